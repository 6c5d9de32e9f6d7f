"""The order of the holds, as data."""

from __future__ import annotations

from reconciler.model.kind import Kind
from reconciler.planning.holds.order import HOLD_STEPS, SETTLE_STEPS, hold_changes, settle_changes
from reconciler.planning.holds.state import HoldInputs
from tests.support.plans.store_plans import frame, org


def test_the_holds_come_in_this_order() -> None:
    assert [step.name for step in HOLD_STEPS] == [
        "season",
        "delta-absence",
        "identity",
        "count",
        "gates",
        "limits",
        "groups",
        "vanishing-values",
        "unidentified-rows",
        "last-of-role",
    ]
    assert [step.name for step in SETTLE_STEPS] == [
        "merge-halves",
        "usernames",
        "last-of-role-again",
        "enrollments",
        "other-halves",
        "places",
        "classes",
        "empty-classes",
        "orgs",
    ]


def test_every_step_says_why_it_comes_there() -> None:
    steps = (*HOLD_STEPS, *SETTLE_STEPS)
    assert len({step.name for step in steps}) == len({step.apply for step in steps}) == len(steps)
    for step in steps:
        assert step.reason.startswith(("Come", "Count"))
        assert step.reason.endswith(".")
        assert "|" not in step.reason


def test_nothing_is_held_of_no_changes() -> None:
    state = settle_changes(hold_changes({}, HoldInputs()))
    assert {kind: rows.height for kind, rows in state.changes.items()} == dict.fromkeys(state.changes, 0)
    assert (state.causes, state.quarantine.height) == ((), 0)


def test_a_held_change_stays_held_through_all_steps() -> None:
    orgs = frame(Kind.ORG, org("s-1", held=True), org("s-2"))
    state = settle_changes(hold_changes({Kind.ORG: orgs}, HoldInputs()))
    assert state.changes[Kind.ORG].select("key", "held").rows() == [("s-1", True), ("s-2", False)]
