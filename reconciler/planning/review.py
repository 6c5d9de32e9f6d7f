"""Compares a plan with a reviewed one: the new plan may do the same or less, and anything more is listed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.change import ACTION_ORDER
from reconciler.model.ids import CustomerId
from reconciler.model.plan import CustomerPlan
from reconciler.planning.plan_id import NO_EFFECTS, list_effects


@dataclass(frozen=True, slots=True)
class ReviewDifference:
    """Frames of EFFECT_SCHEMA by customer, sorted; no entry for a customer without any.

    A value that is changed to something else than reviewed is in `extra_effects` and in `missing_effects`.
    """

    #: effects that were not reviewed
    extra_effects: Mapping[CustomerId, pl.DataFrame]
    #: effects that were held when reviewed and no longer are
    released_effects: Mapping[CustomerId, pl.DataFrame]
    #: reviewed effects that the new plan lacks
    missing_effects: Mapping[CustomerId, pl.DataFrame]

    @property
    def does_more(self) -> bool:
        return bool(self.extra_effects or self.released_effects)


def compare_with_reviewed(reviewed: Iterable[CustomerPlan], now: Iterable[CustomerPlan]) -> ReviewDifference:
    """Return the differences of a new plan from the reviewed one. An effect that is held only now is no difference: the
    plan does less."""
    before = {customer.id: customer for customer in reviewed}
    after = {customer.id: customer for customer in now}
    differences: tuple[dict[CustomerId, pl.DataFrame], ...] = ({}, {}, {})
    for name in sorted({*before, *after}):
        old = list_effects(before[name]) if name in before else NO_EFFECTS
        new = list_effects(after[name]) if name in after else NO_EFFECTS
        held, free = old.filter("held"), old.filter(~pl.col("held"))
        released = new.filter(~pl.col("held")).join(held, on="effect", how="semi").join(free, on="effect", how="anti")
        parts = (new.join(old, on="effect", how="anti"), released, old.join(new, on="effect", how="anti"))
        for by_customer, part in zip(differences, parts, strict=True):
            by_customer.update({name: _sort_effects(part)} if part.height else {})
    return ReviewDifference(*differences)


def _sort_effects(effects: pl.DataFrame) -> pl.DataFrame:
    """Sort by action (losses first), then kind and key."""
    order = pl.col("action").replace_strict({each.value: place for each, place in ACTION_ORDER.items()})
    return effects.sort(order, "kind", "key", "path")
