"""What a plan would do, effect by effect: what its id is made of, and what two plans are compared by.

An effect of a roster is a row as it is to be; where it is bound to what the store has already, which one that is
belongs to it: the row alone does not say whose account a person gets. An effect of a document is one changed value, or
a whole document that is new. Origins, labels and diagnostics are no effects; secrets enter by reference only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

import polars as pl

from reconciler.model.change import Action, Change, Create, Restore, action_of
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import CustomerPlan
from reconciler.model.roster import FIELDS

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
