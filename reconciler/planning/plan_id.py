"""A plan's id: a digest of what it would do, to which customers, in which store.

The same effects give the same id, whatever the order of files, the time or the formatting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping

import polars as pl

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


_ROW = "\x1e"
_CUSTOMER = "\x1d"


def compute_plan_id(store: StoreIdentity, customers: Iterable[CustomerPlan], run_to_undo: int | None = None) -> str:
    """`sha256:HEX`. A customer without effects is as if it were not there. undoes: the run that the plan takes back."""
    return compute_effects_id(store, {customer.id: list_effects(customer) for customer in customers}, run_to_undo)


def compute_effects_id(
    store: StoreIdentity, effects: Mapping[str, pl.DataFrame], run_to_undo: int | None = None
) -> str:
    """The id of a plan with these effects. effects: by customer, as `effects_of` gives them, in any order."""
    digest = hashlib.sha256()
    taken_back = [] if run_to_undo is None else [run_to_undo]
    digest.update(json.dumps(["plan", 2, store.id, store.environment, *taken_back]).encode())
    for customer, frame in sorted(effects.items()):
        if frame.is_empty():
            continue
        digest.update(f"{_CUSTOMER}{customer}{_ROW}".encode())
        mark = pl.when("held").then(pl.lit("held")).otherwise(pl.lit(""))
        rows = frame.select(pl.concat_str("effect", mark, separator=_ROW).alias("row"))["row"].sort()
        for piece in rows.to_frame().iter_slices(100_000):
            digest.update((_ROW.join(piece["row"].to_list()) + _ROW).encode())
    return "sha256:" + digest.hexdigest()
