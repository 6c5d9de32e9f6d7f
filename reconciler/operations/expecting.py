"""Whether a plan made now does what was reviewed, or less: by the reviewed plan itself, or by its id alone.

An id is a digest, so nothing can be taken out of it. But what was reviewed and is not to be done any more was often
done meanwhile, and the store can tell what: put back to the effects of now, it gives the reviewed id, or it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.plan import Plan
from reconciler.operations.carried_out import CarriedOut
from reconciler.planning.digest import effects_id
from reconciler.planning.effects import effects_of
from reconciler.planning.expected import Departure, departure
from reconciler.store.live import Store

#: how far back an id alone is followed: applies, and the runs (one for each customer) of these
MOST_APPLIES = 20
MOST_RUNS = 1_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """fits: the plan does the same or less. departure: what differs, where the reviewed plan is at hand. runs: those
    that carried out since what is no longer there, where the id alone told."""

    fits: bool
    departure: Departure | None = None
    runs: tuple[int, ...] = ()


def held_to_plan(plan: Plan, reviewed: Plan) -> Verdict:
    """Both of one store."""
    found = departure(reviewed.customers, plan.customers)
    return Verdict(not found.does_more, found)


def held_to_id(store: Store, plan: Plan, reviewed: str) -> Verdict:
    """reviewed: the id of a plan of this store."""
    if plan.plan_id == reviewed:
        return Verdict(True)
    now = {customer.id: effects_of(customer) for customer in plan.customers}
    with store.reading() as reader:
        runs = reader.recent_runs(MOST_RUNS)
        carried_out = CarriedOut(reader, runs)
        for chosen in _guesses(runs, reviewed):
            if effects_id(store.identity, _together(now, carried_out.effects(chosen))) == reviewed:
                return Verdict(True, runs=tuple(sorted(chosen)))
    return Verdict(False)


def _guesses(runs: pl.DataFrame, reviewed: str) -> Iterator[list[int]]:
    """Runs that may have carried out a part of it: those of that very plan; then everything since the last apply,
    the last two, and so on."""
    same = runs.filter(pl.col("plan_id") == reviewed)["run"].to_list()
    if same:
        yield same
    applies = runs.with_columns(pl.col("plan_id").rle_id().alias("apply"))
    for last in range(min(MOST_APPLIES, applies["apply"].n_unique())):
        yield applies.filter(pl.col("apply") <= last)["run"].to_list()


def _together(now: Mapping[str, pl.DataFrame], since: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    found = dict(now)
    for customer, effects in since.items():
        mine = found.get(customer, effects.clear())
        found[customer] = pl.concat([mine, effects.join(mine, on="effect", how="anti")])
    return found
