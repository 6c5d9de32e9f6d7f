"""Defines the order of the holds as data, which planning applies and docs/reference/holds.md lists."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.planning.holds import dependents, remaining
from reconciler.planning.holds.delta_absence import hold_absent_in_delta
from reconciler.planning.holds.gate_holds import hold_by_gates
from reconciler.planning.holds.groups import hold_emptied_groups
from reconciler.planning.holds.identity import hold_doubtful_identities
from reconciler.planning.holds.limit_holds import count_limit_uses, hold_exceeding_rows, hold_for_unidentified_rows
from reconciler.planning.holds.merge_halves import hold_merge_halves
from reconciler.planning.holds.season import hold_for_season
from reconciler.planning.holds.state import HoldInputs, HoldState, start_holds
from reconciler.planning.holds.usernames import hold_last_of_role_again, settle_usernames
from reconciler.planning.holds.vanishing import hold_vanishing_values


@dataclass(frozen=True, slots=True)
class HoldStep:
    """One rule that holds changes, and its place in the order."""

    name: str
    #: one plain sentence that says why the step comes where it does
    reason: str
    apply: Callable[[HoldState], HoldState]


#: Applied once. The causes of a hold are listed in the same order.
HOLD_STEPS = (
    HoldStep(
        "season",
        "Comes first because it needs the calendar alone, and its sentence explains the most.",
        hold_for_season,
    ),
    HoldStep(
        "delta-absence",
        "Comes before all evidence: people whom a delta roster does not name wait, whatever the other evidence.",
        hold_absent_in_delta,
    ),
    HoldStep(
        "identity",
        "Comes before gates and limits: its sentence says whose losses are probably only new IDs.",
        hold_doubtful_identities,
    ),
    HoldStep(
        "count",
        "Counts every row, held or not, before a gate or limit holds any: waiting changes still use up their limit.",
        count_limit_uses,
    ),
    HoldStep(
        "gates",
        "Come before the limits because a source in doubt explains more than the number of its losses.",
        hold_by_gates,
    ),
    HoldStep(
        "limits",
        "Come after the count, which says which limits are exceeded.",
        hold_exceeding_rows,
    ),
    HoldStep(
        "groups",
        "Come after the limits, which explain whole schools, and after the approvals that release a graduating class.",
        hold_emptied_groups,
    ),
    HoldStep(
        "vanishing-values",
        "Comes after the rules on losses: those who stay keep their values until a person approves.",
        hold_vanishing_values,
    ),
    HoldStep(
        "unidentified-rows",
        "Comes with the rules on losses, before anything that depends on who stays.",
        hold_for_unidentified_rows,
    ),
    HoldStep(
        "last-of-role",
        "Comes after every rule that holds people directly: held people still fill their role.",
        dependents.hold_last_of_role,
    ),
)

#: Repeated after HOLD_STEPS until a whole round changes nothing, because each step may affect another.
SETTLE_STEPS = (
    HoldStep(
        "merge-halves",
        "Comes first in a round: one half of a merge never goes ahead of the other, whatever holds it.",
        hold_merge_halves,
    ),
    HoldStep(
        "usernames",
        "Comes when all holds are known: a held account keeps its username from the newcomer who wants it.",
        settle_usernames,
    ),
    HoldStep(
        "last-of-role-again",
        "Comes after the usernames: a newcomer who is refused does not fill the role of somebody who leaves.",
        hold_last_of_role_again,
    ),
    HoldStep(
        "enrollments",
        "Comes when it is known which people and classes wait: their enrollments wait with them.",
        dependents.hold_dependent_enrollments,
    ),
    HoldStep(
        "other-halves",
        "Comes when it is known which enrollments wait: nobody leaves a class before the next one may come.",
        remaining.hold_other_halves,
    ),
    HoldStep(
        "places",
        "Comes after all that holds enrollments: each keeps its class, person and role from others.",
        remaining.settle_places,
    ),
    HoldStep(
        "classes",
        "Comes when it is known which enrollments stay: they keep their classes.",
        remaining.hold_classes_in_use,
    ),
    HoldStep(
        "empty-classes",
        "Comes beside the classes that stay: a new class waits with all that would move into it.",
        remaining.hold_empty_classes,
    ),
    HoldStep(
        "orgs",
        "Comes last: an org stays while a person, a class or another org that stays belongs to it.",
        dependents.hold_orgs_in_use,
    ),
)


def hold_changes(changes: Mapping[Kind, pl.DataFrame], inputs: HoldInputs) -> HoldState:
    """Return the changes after every step of HOLD_STEPS, with limits, causes and diagnostics. changes: by kind."""
    state = start_holds(changes, inputs)
    for step in HOLD_STEPS:
        state = step.apply(state)
    return state


def settle_changes(state: HoldState) -> HoldState:
    """Return the state after rounds of SETTLE_STEPS. Each step only holds or drops rows, so that the rounds end."""
    while True:
        before = state.changes
        for step in SETTLE_STEPS:
            state = step.apply(state)
        if all(_count_free_rows(before[kind]) == _count_free_rows(state.changes[kind]) for kind in ROSTER_KINDS):
            return state


def _count_free_rows(changes: pl.DataFrame) -> int:
    """Return the number of rows that go ahead. Steps only hold or drop rows, so equal numbers mean equal rows."""
    return changes.height - int(changes["held"].sum())
