"""Compute a plan's id: a digest of what the plan would do, to which customers, in which store.

The same effects give the same id, whatever the order of files, the time or the formatting. The id is made of one keyed
digest per effect, so that effects can be added to a plan's own by their digests alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping

import polars as pl
import polars_hash as plh
import pyarrow as pa

from reconciler.model.change import Action, Change, Create, Restore, get_action
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import CustomerPlan, StoreIdentity
from reconciler.model.roster import ROSTER_FIELDS

# What a plan would do, effect by effect: what its id is made of, and what two plans are compared by.


#: kind, action, key: of the change. path: the changed value of a document, null for all else. held: kept back until a
#: person approves. effect: everything that makes it this effect and no other, but for `held`.
EFFECT_SCHEMA: dict[str, type[pl.DataType]] = {
    "kind": pl.String,
    "action": pl.String,
    "key": pl.String,
    "path": pl.String,
    "held": pl.Boolean,
    "effect": pl.String,
}

NO_EFFECTS = pl.DataFrame(schema=EFFECT_SCHEMA)

_FIELD = "\x1f"
_NULL = "\x00"
_BINDING_ACTIONS = (Action.ADOPT.value, Action.RESTORE.value)


def list_effects(customer: CustomerPlan) -> pl.DataFrame:
    """One row with the columns of `EFFECTS` for each effect, in no order. A roster that is only shown
    (`roster_applies` is False) has none."""
    if not customer.document_changes and not customer.roster:
        return NO_EFFECTS
    declared = [
        row for change in customer.document_changes for row in _list_document_effects(change, customer.settings or {})
    ]
    frames = [pl.DataFrame(declared, schema=EFFECT_SCHEMA, orient="row")]
    if customer.roster_applies:
        frames += [build_row_effects(kind, customer.roster[kind]) for kind in ROSTER_KINDS if kind in customer.roster]
    return pl.concat(frames)


def build_row_effects(kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
    """rows: `action`, `key`, `former_key`, `into`, `held`, `manager`, `live_id` and the kind's fields as they are to
    be."""
    content = ["action", "key", "former_key", "into", "manager", *[field.name for field in ROSTER_FIELDS[kind]]]
    parts = [pl.col(name).cast(pl.String).fill_null(_NULL) for name in content]
    bound = pl.when(pl.col("action").is_in(_BINDING_ACTIONS)).then(pl.col("live_id")).cast(pl.String).fill_null(_NULL)
    return rows.select(
        pl.lit(kind.value).alias("kind"),
        "action",
        "key",
        pl.lit(None, dtype=pl.String).alias("path"),
        "held",
        pl.concat_str([pl.lit(kind.value), *parts, bound], separator=_FIELD).alias("effect"),
    )


def _list_document_effects(change: Change, settings: Mapping[str, object]) -> Iterator[tuple[object, ...]]:
    """settings: as `CustomerPlan` has them. Of a document that comes anew the whole content counts."""
    action = get_action(change).value
    whole = isinstance(change, Create | Restore)
    if whole or not change.fields:
        content = _digest_document(_get_document(change, settings)) if whole else None
        yield (
            change.kind.value,
            action,
            change.key,
            None,
            change.held,
            _serialize_parts(change.kind, action, change.key, content),
        )
    for field in change.fields:
        effect = _serialize_parts(change.kind, action, change.key, field.path, field.before, field.after)
        yield change.kind.value, action, change.key, field.path, change.held, effect


def _get_document(change: Change, settings: Mapping[str, object]) -> object:
    if change.kind is Kind.CUSTOMER:
        return settings.get("customer")
    documents = settings.get(change.kind.plural)
    return documents.get(change.key) if isinstance(documents, Mapping) else None


def _digest_document(document: object) -> str:
    return hashlib.sha256(_serialize_parts(document).encode()).hexdigest()


def _serialize_parts(*parts: object) -> str:
    return json.dumps(parts, sort_keys=True)


#: hexadecimal digits of an effect's HMAC that its digest keeps
_DIGEST_DIGITS = 16

NO_DIGESTS = pl.Series("digest", dtype=pl.UInt64)


def digest_effects(customer: CustomerPlan, key: str) -> pl.Series:
    """Return one UInt64 per effect, sorted: 63 bits of its HMAC-SHA256, and the lowest bit set if the effect is held.

    63 bits are enough because nobody without the key can look for two effects with the same digest.
    """
    effects = list_effects(customer)
    if effects.is_empty():
        return NO_DIGESTS
    hashed = plh.col("effect").chash.hmac_sha256(key=key).str.head(_DIGEST_DIGITS)
    whole = hashed.str.to_integer(base=16, dtype=pl.UInt64)
    return effects.select((whole // 2 * 2 + pl.col("held").cast(pl.UInt64)).alias("digest"))["digest"].sort()


def add_digests(digests: pl.Series, others: pl.Series) -> pl.Series:
    """Add the effects of `others` that are not in `digests` yet, held or not. Both are sorted, and so is the result."""
    new = others.filter(~(others // 2).is_in((digests // 2).implode()))
    return pl.concat([digests, new]).sort()


def drop_held_digests(digests: pl.Series) -> pl.Series:
    return digests.filter(digests % 2 == 0)


def pack_digests(digests: pl.Series) -> bytes:
    """Return 8 bytes per digest, in their order."""
    values = digests.rechunk().to_arrow()
    return bytes(values.buffers()[1].slice(values.offset * 8, len(values) * 8)) if len(values) else b""


def unpack_digests(packed: bytes) -> pl.Series:
    """Return the digests that `pack_digests` was given."""
    buffers = [None, pa.py_buffer(packed)]
    return pl.Series("digest", pa.Array.from_buffers(pa.uint64(), len(packed) // 8, buffers), dtype=pl.UInt64)


def compute_plan_id(
    store: StoreIdentity, key: str, customers: Iterable[CustomerPlan], run_to_undo: int | None = None
) -> str:
    """Return `sha256:HEX`. A customer without effects leaves no mark on it.

    key: the store's key for effects. run_to_undo: the run that the plan reverses.
    """
    return combine_digests(store, {customer.id: digest_effects(customer, key) for customer in customers}, run_to_undo)


def combine_digests(store: StoreIdentity, digests: Mapping[str, pl.Series], run_to_undo: int | None = None) -> str:
    """Return the id of the plan with these effects: by customer, the sorted digests of `digest_effects`."""
    combined = hashlib.sha256()
    undoes = [] if run_to_undo is None else [run_to_undo]
    combined.update(json.dumps(["plan", 3, store.id, store.environment, *undoes]).encode())
    for customer, series in sorted(digests.items()):
        if series.len():
            combined.update(json.dumps([customer, series.len()]).encode())
            combined.update(pack_digests(series))
    return "sha256:" + combined.hexdigest()
