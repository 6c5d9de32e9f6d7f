"""Whether a plan does the same as one that was reviewed, or less; and what it does besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.change import ACTION_ORDER
from reconciler.model.plan import CustomerPlan
from reconciler.planning.plan_id import NO_EFFECTS, list_effects


@dataclass(frozen=True, slots=True)
class ReviewDifference:
    """By customer, sorted, frames with the columns of `planning.effects.EFFECTS`; no entry where there are none.

    more: effects that were not reviewed. released: reviewed, but to be held, and not held any more. fewer: reviewed
    and not there any more. A thing that is changed in another way than reviewed is in `more` and in `fewer`.
    """

    extra_effects: Mapping[str, pl.DataFrame]
    released_effects: Mapping[str, pl.DataFrame]
    missing_effects: Mapping[str, pl.DataFrame]

    @property
    def does_more(self) -> bool:
        return bool(self.extra_effects or self.released_effects)


def compare_with_reviewed(reviewed: Iterable[CustomerPlan], now: Iterable[CustomerPlan]) -> ReviewDifference:
    """What a plan made now does otherwise than the reviewed one. An effect that waits now and did not then is the same
    effect: less is done."""
    then = {customer.id: customer for customer in reviewed}
    today = {customer.id: customer for customer in now}
    found: tuple[dict[str, pl.DataFrame], ...] = ({}, {}, {})
    for name in sorted({*then, *today}):
        before = list_effects(then[name]) if name in then else NO_EFFECTS
        after = list_effects(today[name]) if name in today else NO_EFFECTS
        held, free = before.filter("held"), before.filter(~pl.col("held"))
        released = after.filter(~pl.col("held")).join(held, on="effect", how="semi").join(free, on="effect", how="anti")
        parts = (_subtract_effects(after, before), _sort_effects(released), _subtract_effects(before, after))
        for place, part in zip(found, parts, strict=True):
            place.update({name: part} if part.height else {})
    return ReviewDifference(*found)


def _subtract_effects(effects: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return _sort_effects(effects.join(others, on="effect", how="anti"))


def _sort_effects(effects: pl.DataFrame) -> pl.DataFrame:
    """By action (what takes something away first), then kind and key."""
    order = pl.col("action").replace_strict({each.value: place for each, place in ACTION_ORDER.items()})
    return effects.sort(order, "kind", "key", "path")
