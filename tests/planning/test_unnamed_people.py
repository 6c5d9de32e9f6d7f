"""A file of changes while an earlier roster's hold stands: who was missing then waits on, and nobody is released."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import Hold, PlanPrecondition
from reconciler.planning.customer_plan import PlannedDocuments, PlannedRoster, build_customer_plan
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision
from tests.support.rosters.snapshots import HOLD_KEY, actions, decide, district, live_of, person

PEOPLE = [person(each, "s-1" if each < 60 else "s-2") for each in range(100)]
LIVE = live_of(district(PEOPLE))
LATER = PEOPLE[20:]


def hold_of(decision: RosterDecision) -> Hold:
    plan = build_customer_plan(
        "springfield",
        "Springfield",
        PlannedDocuments(PlanPrecondition(None, None, None)),
        PlannedRoster(decision),
        hold_key=HOLD_KEY,
    )
    assert plan.hold is not None
    return plan.hold


def changes_alone(people: list[dict[str, Any]], live: Any = LIVE, **more: Any) -> RosterDecision:
    """people: of the roster that the changes are laid over, with what they bring."""
    return decide(district(people, **more), live, whole=(), waiting=True)


def test_the_same_people_wait_by_the_same_hold() -> None:
    before, now = decide(district(LATER), LIVE), changes_alone(LATER)
    assert hold_of(now).id == hold_of(before).id
    assert hold_of(now).people == 20


def test_without_a_hold_nobody_is_listed() -> None:
    assert decide(district(LATER), LIVE, whole=()).changes == {}


def test_what_else_the_changes_say_goes_on() -> None:
    found = actions(changes_alone([*LATER, person(200)]), Kind.USER)
    assert found["create"] == ["u-200"]
    assert len(found["delete"]) == 20
    assert all(each.endswith("*") for each in found["delete"])


def test_who_comes_back_by_a_row_waits_no_more() -> None:
    assert hold_of(changes_alone(PEOPLE[5:])).people == 5
    assert changes_alone(PEOPLE).changes == {}


@pytest.mark.parametrize("missing", ["delete", "suspend"])
def test_they_wait_even_where_no_limit_would_hold_them(missing: str) -> None:
    """Limits were raised since, or the window has moved on: a whole roster may let them go by that, changes may not."""
    rules = RosterRules("identifier", missing=missing)
    decision = decide(district(PEOPLE[1:]), LIVE, rules, whole=(), waiting=True)
    assert actions(decision, Kind.USER) == {missing: ["u-000*"]}
    assert not any(limit.exceeded for limit in decision.limits)
    assert hold_of(decision).causes == (
        "1 person was missing from the last full roster, and this delta roster does not mention them.",
    )


def test_their_classes_and_enrollments_wait_with_them() -> None:
    """Also those that are missing by themselves."""
    without = district(LATER, classes=["c-2"])
    decision = decide(without, LIVE, whole=(), waiting=True)
    assert all(decision.changes[kind]["held"].all() for kind in ROSTER_KINDS if kind in decision.changes)
    assert actions(decision, Kind.CLASS) == {"delete": ["c-1*"]}


def test_people_marked_by_a_delta_count_with_those_waiting() -> None:
    """One more than the limit grants, whoever asks for it."""
    ten = PEOPLE[10:]
    found = actions(changes_alone(ten, marked=["u-099"]), Kind.USER)["delete"]
    assert "u-099*" in found
    assert len(found) == 11


def test_a_file_that_is_whole_speaks_for_itself() -> None:
    """People came whole, classes as changes alone."""
    decision = decide(district(PEOPLE[1:], classes=["c-2"]), LIVE, whole=[Kind.USER, Kind.ENROLLMENT], waiting=True)
    assert actions(decision, Kind.USER) == {"delete": ["u-000"]}
    assert actions(decision, Kind.CLASS) == {"delete": ["c-1*"]}


def test_new_account_beside_a_waiting_one_waits_too() -> None:
    """The same identifier under another sourcedId: most likely the same person."""
    later = [*PEOPLE[1:], {**PEOPLE[0], "sourced_id": "n-000", "username": "other"}]
    rules = RosterRules("sourced_id")
    before = decide(district(later), LIVE, rules)
    now = decide(district(later), LIVE, rules, whole=(), waiting=True)
    assert actions(before, Kind.USER) == {"delete": ["u-000*"], "create": ["n-000*"]}
    assert hold_of(now).id == hold_of(before).id
