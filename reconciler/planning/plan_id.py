"""A plan's id: a digest of what it would do, to which customers, in which store.

The same effects give the same id, whatever the order of files, the time or the formatting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from reconciler.model.change import Action, Change, Create, Restore, action_of
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import CustomerPlan, StoreIdentity
from reconciler.model.roster import FIELDS

# What a plan would do, effect by effect: what its id is made of, and what two plans are compared by.


#: kind, action, key: of the change. path: the changed value of a document, null for all else. held: kept back until a
#: person approves. effect: everything that makes it this effect and no other, but for `held`.
EFFECTS: dict[str, type[pl.DataType]] = {
    "kind": pl.String,
    "action": pl.String,
    "key": pl.String,
    "path": pl.String,
    "held": pl.Boolean,
    "effect": pl.String,
}

NO_EFFECTS = pl.DataFrame(schema=EFFECTS)

_FIELD = "\x1f"
_NULL = "\x00"
_BINDING = (Action.ADOPT.value, Action.RESTORE.value)


def effects_of(customer: CustomerPlan) -> pl.DataFrame:
    """One row with the columns of `EFFECTS` for each effect, in no order. A roster that is only shown
    (`roster_applies` is False) has none."""
    if not customer.declared and not customer.roster:
        return NO_EFFECTS
    declared = [row for change in customer.declared for row in _of_document(change, customer.settings or {})]
    frames = [pl.DataFrame(declared, schema=EFFECTS, orient="row")]
    if customer.roster_applies:
        frames += [row_effects(kind, customer.roster[kind]) for kind in ROSTER_KINDS if kind in customer.roster]
    return pl.concat(frames)


def row_effects(kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
    """rows: `action`, `key`, `former_key`, `into`, `held`, `manager`, `live_id` and the kind's fields as they are to
    be."""
    content = ["action", "key", "former_key", "into", "manager", *[field.name for field in FIELDS[kind]]]
    parts = [pl.col(name).cast(pl.String).fill_null(_NULL) for name in content]
    bound = pl.when(pl.col("action").is_in(_BINDING)).then(pl.col("live_id")).cast(pl.String).fill_null(_NULL)
    return rows.select(
        pl.lit(kind.value).alias("kind"),
        "action",
        "key",
        pl.lit(None, dtype=pl.String).alias("path"),
        "held",
        pl.concat_str([pl.lit(kind.value), *parts, bound], separator=_FIELD).alias("effect"),
    )


def _of_document(change: Change, settings: Mapping[str, object]) -> Iterator[tuple[object, ...]]:
    """settings: as `CustomerPlan` has them. Of a document that comes anew the whole content counts."""
    action = action_of(change).value
    whole = isinstance(change, Create | Restore)
    if whole or not change.fields:
        content = _digest(_document(change, settings)) if whole else None
        yield change.kind.value, action, change.key, None, change.held, _text(change.kind, action, change.key, content)
    for field in change.fields:
        effect = _text(change.kind, action, change.key, field.path, field.before, field.after)
        yield change.kind.value, action, change.key, field.path, change.held, effect


def _document(change: Change, settings: Mapping[str, object]) -> object:
    if change.kind is Kind.CUSTOMER:
        return settings.get("customer")
    documents = settings.get(change.kind.plural)
    return documents.get(change.key) if isinstance(documents, Mapping) else None


def _digest(document: object) -> str:
    return hashlib.sha256(_text(document).encode()).hexdigest()


def _text(*parts: object) -> str:
    return json.dumps(parts, sort_keys=True)


_ROW = "\x1e"
_CUSTOMER = "\x1d"


def plan_id(store: StoreIdentity, customers: Iterable[CustomerPlan], undoes: int | None = None) -> str:
    """`sha256:HEX`. A customer without effects is as if it were not there. undoes: the run that the plan takes back."""
    return effects_id(store, {customer.id: effects_of(customer) for customer in customers}, undoes)


def effects_id(store: StoreIdentity, effects: Mapping[str, pl.DataFrame], undoes: int | None = None) -> str:
    """The id of a plan with these effects. effects: by customer, as `effects_of` gives them, in any order."""
    digest = hashlib.sha256()
    taken_back = [] if undoes is None else [undoes]
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
