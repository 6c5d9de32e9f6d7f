"""A plan's id: a digest of what it would do, to which customers, in which store.

The same effects give the same id, whatever the order of files, the time or the formatting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

import polars as pl

from reconciler.model.plan import CustomerPlan, StoreIdentity
from reconciler.planning.effects import effects_of

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
