"""Computes a plan's ID: a digest of the store, the customers and every effect on them.

The same effects give the same ID, whatever the order of files, the time or the formatting. The ID is made of one keyed
digest per effect, so that the effects of other runs can be added by their digests alone.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping

import polars as pl
import polars_hash as plh
import pyarrow as pa

from reconciler.model.change import Action, Change, Create, Restore, get_action
from reconciler.model.ids import CustomerId, PlanId, RunId
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import CustomerPlan, StoreIdentity
from reconciler.model.roster import ROSTER_FIELDS

#: The effects of a plan, from which its ID is computed and by which two plans are compared.
EFFECT_SCHEMA: dict[str, type[pl.DataType]] = {
    "kind": pl.String,
    "action": pl.String,
    "key": pl.String,
    #: the changed value of a document; null for roster rows and whole documents
    "path": pl.String,
    "held": pl.Boolean,
    #: everything that identifies the effect, except `held`
    "effect": pl.String,
}

NO_EFFECTS = pl.DataFrame(schema=EFFECT_SCHEMA)

_FIELD = "\x1f"
_NULL = "\x00"
_BINDING_ACTIONS = (Action.ADOPT.value, Action.RESTORE.value)


def list_effects(customer: CustomerPlan) -> pl.DataFrame:
    """Return one row of EFFECT_SCHEMA for each effect, in no order. A roster that is only a preview has none."""
    if not customer.document_changes and not customer.roster:
        return NO_EFFECTS
    declared = [
        row for change in customer.document_changes for row in list_document_effects(change, customer.settings or {})
    ]
    frames = [pl.DataFrame(declared, schema=EFFECT_SCHEMA, orient="row")]
    if customer.roster_applies:
        frames += [build_row_effects(kind, customer.roster[kind]) for kind in ROSTER_KINDS if kind in customer.roster]
    return pl.concat(frames)


def build_row_effects(kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the effects of roster rows that have `action`, `key`, `former_key`, `into`, `held`, `manager`, `live_id`
    and the kind's fields after the change."""
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


def list_document_effects(change: Change, settings: Mapping[str, object]) -> Iterator[tuple[object, ...]]:
    """Yield the rows of one change; `settings` has the content of documents that are created or restored."""
    action = get_action(change).value
    is_whole = isinstance(change, Create | Restore)
    if is_whole or not change.fields:
        content = _digest_document(_get_document(change, settings)) if is_whole else None
        effect = _serialize_parts(change.kind, action, change.key, content)
        yield change.kind.value, action, change.key, None, change.held, effect
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


#: Hexadecimal digits of an effect's HMAC that its digest keeps.
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
    """Return the digests of effects that are not held."""
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
    store: StoreIdentity, key: str, customers: Iterable[CustomerPlan], run_to_undo: RunId | None = None
) -> PlanId:
    """Return `sha256:HEX`. Customers without effects do not count.

    `key` is the store's key for effects; `run_to_undo` is the run that the plan undoes.
    """
    return combine_digests(store, {customer.id: digest_effects(customer, key) for customer in customers}, run_to_undo)


def combine_digests(
    store: StoreIdentity, digests: Mapping[CustomerId, pl.Series], run_to_undo: RunId | None = None
) -> PlanId:
    """Return the ID of the plan with these effects: by customer, the sorted digests of `digest_effects`."""
    combined = hashlib.sha256()
    undone_runs = [] if run_to_undo is None else [run_to_undo]
    combined.update(json.dumps(["plan", 3, store.id, store.environment, *undone_runs]).encode())
    for customer, series in sorted(digests.items()):
        if series.len():
            combined.update(json.dumps([customer, series.len()]).encode())
            combined.update(pack_digests(series))
    return PlanId("sha256:" + combined.hexdigest())
