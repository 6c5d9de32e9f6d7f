"""Save and read plan files: a ZIP of `plan.json` and one Arrow file for each frame, readable only by its owner.

A plan file contains people's names but no secret. Its last member is a signature, an HMAC under the store's key over
the names and bytes of all others, so that a changed, incomplete or foreign file is refused.
"""

import errno
import hmac
import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import polars as pl
from pydantic import TypeAdapter, ValidationError

from reconciler.model import plan as plans
from reconciler.model.change import ACTION_OF, Action, Change, get_action
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.model.kind import Kind
from reconciler.model.weakening import Weakening
from reconciler.operations.workspace import refuse_other_store
from reconciler.planning.frames import find_schema_error
from reconciler.planning.plan_id import compute_plan_id
from reconciler.store.database import DURABLE
from reconciler.store.key import StoreKey
from reconciler.store.open import Store

_CLASS_OF = {action: kind for kind, action in ACTION_OF.items()}
_DIAGNOSTICS = TypeAdapter(tuple[Diagnostic, ...])
_LIMITS = TypeAdapter(tuple[plans.LimitUse, ...])
_SOURCE = TypeAdapter(plans.SourceSummary | None)
_HOLD = TypeAdapter(plans.Hold | None)
_COUNTS = TypeAdapter(dict[Kind, plans.ActionCounts])
_PRECONDITION = TypeAdapter(plans.PlanPrecondition)
_STORE = TypeAdapter(plans.StoreIdentity)
_BASE = TypeAdapter(plans.GitBase | None)
_OUTSIDE_BASE = TypeAdapter(plans.OutsideBase | None)
_WEAKENINGS = TypeAdapter(tuple[Weakening, ...])
_CHANGES = {action: TypeAdapter(kind) for action, kind in _CLASS_OF.items()}

#: schema of the store that a plan is made for; after an upgrade, saved plans are refused
SCHEMA = DURABLE.head

#: fixed, so that the same plan gives the same bytes
_EPOCH = (1980, 1, 1, 0, 0, 0)
_HEAD = "plan.json"
_SIGNATURE = "seal"
#: characters of the plan file's name in the partial file's name, which has at most 255 bytes
MAX_NAME_LENGTH = 50
_NO_PLAN = "it is not a plan file, or it is incomplete"


def write_plan(plan: plans.Plan, path: Path, key: StoreKey) -> None:
    """Write a plan file of mode 0600, and replace an existing file only when the new one is complete.

    key: of the plan's store. Raises Refusal if the file cannot be written; then no part of it is left."""
    try:
        _write_plan_atomically(plan, path, key)
    except OSError as problem:
        raise Refusal([_describe_write_error(path, problem)]) from problem


def _write_plan_atomically(plan: plans.Plan, path: Path, key: StoreKey) -> None:
    partial = path.with_name(f".{path.name[:MAX_NAME_LENGTH]}.{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as out:
            pack_plan(plan, out, key)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def pack_plan(plan: plans.Plan, out: BinaryIO, key: StoreKey) -> None:
    """Write the bytes of a plan file to a stream. key: of the plan's store."""
    frames: dict[str, pl.DataFrame] = {}
    head: dict[str, Any] = {
        "format_version": plans.FORMAT_VERSION,
        "plan_id": plan.plan_id,
        "created_at": plan.created_at,
        "tool_version": plan.tool_version,
        "schema": SCHEMA,
        "store": _STORE.dump_python(plan.store, mode="json"),
        "customers": [_serialize_customer(customer, place, frames) for place, customer in enumerate(plan.customers)],
        "undoes": plan.undoes,
        "base": _BASE.dump_python(plan.base, mode="json"),
        "elsewhere": _OUTSIDE_BASE.dump_python(plan.outside_base, mode="json"),
        "weakened": _WEAKENINGS.dump_python(plan.weakenings, mode="json"),
    }
    signature = _create_signature(key)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        _write_member(archive, signature, _HEAD, orjson.dumps(head, option=orjson.OPT_SORT_KEYS))
        for name, frame in frames.items():
            buffer = io.BytesIO()
            frame.write_ipc(buffer, compression="lz4")
            _write_member(archive, signature, name, buffer.getbuffer())
        archive.writestr(zipfile.ZipInfo(_SIGNATURE, _EPOCH), signature.hexdigest())


def read_plan(path: Path, store: Store) -> plans.Plan:
    """Read a plan file, and parse no frame before its signature is verified.

    Raises Refusal if it is not a plan file, has another format, belongs to another store or was changed; OSError if it
    cannot be read."""
    return unpack_plan(path, str(path), store)


def unpack_plan(source: Path | BinaryIO, display_name: str, store: Store) -> plans.Plan:
    """Read a plan as `read_plan` does. display_name: for messages."""
    members = _read_members(source, display_name)
    try:
        head = orjson.loads(members[_HEAD])
        version, made_for = head["format_version"], _STORE.validate_python(head["store"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as problem:
        raise Refusal([_describe_bad_plan_file(display_name, _NO_PLAN)]) from problem
    if version != plans.FORMAT_VERSION:
        raise Refusal(
            [_describe_bad_plan_file(display_name, f"its format is {version}, expected {plans.FORMAT_VERSION}")]
        )
    if head.get("schema") != SCHEMA:
        raise Refusal(
            [_describe_bad_plan_file(display_name, f"it was made for store schema {head.get('schema')}, not {SCHEMA}")]
        )
    refuse_other_store(made_for, store)
    _check_signature(display_name, members, store.key)
    try:
        plan = plans.Plan(
            plan_id=head["plan_id"],
            created_at=head["created_at"],
            tool_version=head["tool_version"],
            store=made_for,
            customers=tuple(_deserialize_customer(each, members) for each in head["customers"]),
            undoes=head.get("undoes"),
            base=_BASE.validate_python(head.get("base")),
            outside_base=_OUTSIDE_BASE.validate_python(head.get("elsewhere")),
            weakenings=_WEAKENINGS.validate_python(head.get("weakened", ())),
        )
    except (KeyError, ValidationError, pl.exceptions.PolarsError) as problem:
        raise Refusal([_describe_bad_plan_file(display_name, _NO_PLAN)]) from problem
    for customer in plan.customers:
        for kind, frame in customer.roster.items():
            if error := find_schema_error(kind, frame):
                raise Refusal([_describe_bad_plan_file(display_name, error)])
    if compute_plan_id(plan.store, store.key.effect_key, plan.customers, plan.undoes) != plan.plan_id:
        raise Refusal([_describe_bad_plan_file(display_name, "its content does not match its plan_id")])
    return plan


def _create_signature(key: StoreKey) -> hmac.HMAC:
    return key.start_hmac("plan-file")


def _add_to_signature(signature: hmac.HMAC, name: str, content: bytes | memoryview) -> None:
    # With the length, so that no two lists of members give the same bytes.
    signature.update(f"{name}\0{len(content)}\0".encode())
    signature.update(content)


def _write_member(archive: zipfile.ZipFile, signature: hmac.HMAC, name: str, content: bytes | memoryview) -> None:
    _add_to_signature(signature, name, content)
    with archive.open(zipfile.ZipInfo(name, _EPOCH), "w", force_zip64=True) as member:
        member.write(content)


def _read_members(source: Path | BinaryIO, display_name: str) -> dict[str, bytes]:
    """Return the bytes of every member, in the file's order; read once, so that exactly these bytes are verified."""
    try:
        with zipfile.ZipFile(source) as archive:
            infos = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise Refusal([_describe_bad_plan_file(display_name, _NO_PLAN)])
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, RuntimeError, EOFError) as problem:
        raise Refusal([_describe_bad_plan_file(display_name, _NO_PLAN)]) from problem


def _check_signature(display_name: str, members: dict[str, bytes], key: StoreKey) -> None:
    """Remove the signature from the members, and raise Refusal if it does not match them."""
    expected = members.pop(_SIGNATURE, b"")
    if hmac.compare_digest(expected, _sign_members(members, key)):
        return
    is_earlier = any(hmac.compare_digest(expected, _sign_members(members, each)) for each in key.others)
    raise Refusal(
        [
            _describe_bad_plan_file(
                display_name,
                "it was made before the store got its present key"
                if is_earlier
                else "its signature does not match: the file was changed after it was created",
            )
        ]
    )


def _sign_members(members: Mapping[str, bytes], key: StoreKey) -> bytes:
    signature = _create_signature(key)
    for name, content in members.items():
        _add_to_signature(signature, name, content)
    return signature.hexdigest().encode()


def _describe_write_error(path: Path, problem: OSError) -> Diagnostic:
    hints = {
        errno.ENOSPC: "Free some space or choose a file on another disk, then plan again.",
        errno.EDQUOT: "Your quota is used up. Free some space or choose a file on another disk, then plan again.",
        errno.ENOENT: "Create its folder first, or choose another file.",
        errno.ENAMETOOLONG: "Choose a shorter name.",
    }
    return build_error(
        "plan-not-saved",
        f"the plan cannot be saved: {problem.strerror}; no plan file was written",
        Span(str(path)),
        hints.get(problem.errno or 0, "Check the permissions of its folder, or choose another file."),
    )


def _describe_bad_plan_file(display_name: str, why: str) -> Diagnostic:
    return build_error("bad-plan-file", why, Span(display_name), "Make a new one: reconciler plan … --out FILE")


def _serialize_customer(customer: plans.CustomerPlan, place: int, frames: dict[str, pl.DataFrame]) -> dict[str, Any]:
    def add_frames(group: str, group_frames: Mapping[Any, pl.DataFrame]) -> dict[str, str]:
        names = {str(name): f"{place}/{group}/{name}.arrow" for name in group_frames}
        frames.update({names[str(name)]: frame for name, frame in group_frames.items()})
        return names

    return {
        "id": customer.id,
        "name": customer.name,
        "outcome": customer.outcome,
        "seen": _PRECONDITION.dump_python(customer.precondition, mode="json"),
        "source": _SOURCE.dump_python(customer.source, mode="json"),
        "hold": _HOLD.dump_python(customer.hold, mode="json"),
        "diagnostics": _DIAGNOSTICS.dump_python(customer.diagnostics, mode="json"),
        "counts": _COUNTS.dump_python(dict(customer.counts), mode="json"),
        "limits": _LIMITS.dump_python(customer.limits, mode="json"),
        "declared": [_serialize_change(change) for change in customer.document_changes],
        "roster": add_frames("roster", customer.roster),
        "roster_applies": customer.roster_applies,
        "settings": customer.settings,
        "refresh": add_frames("refresh", customer.fingerprint_refresh),
        "snapshot": add_frames("snapshot", customer.snapshot),
        "facts": dict(customer.facts),
        "doubted": customer.is_doubtful,
        "weakened": _WEAKENINGS.dump_python(customer.weakenings, mode="json"),
        "would_hold": list(customer.would_hold),
    }


def _serialize_change(change: Change) -> dict[str, Any]:
    action = get_action(change)
    return {"action": action, "change": _CHANGES[action].dump_python(change, mode="json")}


def _deserialize_customer(stored: dict[str, Any], members: dict[str, bytes]) -> plans.CustomerPlan:
    """Return a customer's plan, and remove its frames from the members to save memory."""

    def take_frame(name: str) -> pl.DataFrame:
        return pl.read_ipc(members.pop(name), use_pyarrow=False)

    return plans.CustomerPlan(
        id=stored["id"],
        name=stored["name"],
        outcome=plans.Outcome(stored["outcome"]),
        precondition=_PRECONDITION.validate_python(stored["seen"]),
        source=_SOURCE.validate_python(stored["source"]),
        hold=_HOLD.validate_python(stored["hold"]),
        diagnostics=_DIAGNOSTICS.validate_python(stored["diagnostics"]),
        counts=_COUNTS.validate_python(stored["counts"]),
        limits=_LIMITS.validate_python(stored["limits"]),
        document_changes=tuple(
            _CHANGES[Action(each["action"])].validate_python(each["change"])  # type: ignore[misc]
            for each in stored["declared"]
        ),
        roster={Kind(kind): take_frame(name) for kind, name in stored["roster"].items()},
        roster_applies=stored["roster_applies"],
        settings=stored["settings"],
        fingerprint_refresh={Kind(kind): take_frame(name) for kind, name in stored["refresh"].items()},
        snapshot={part: take_frame(name) for part, name in stored["snapshot"].items()},
        facts=stored.get("facts", {}),
        is_doubtful=stored["doubted"],
        weakenings=_WEAKENINGS.validate_python(stored.get("weakened", ())),
        would_hold=tuple(stored.get("would_hold", ())),
    )
