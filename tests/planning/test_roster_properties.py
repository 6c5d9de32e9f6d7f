"""What no roster whatever may bring about."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Outcome, PlanPrecondition, StoreIdentity
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.losses import is_leaving
from reconciler.planning.holds.limits import Thresholds
from reconciler.planning.plan_id import compute_plan_id
from tests.support.rosters.snapshots import decide, district, live_of, person, shuffled

SCHOOLS = ("s-1", "s-2", "s-3")

people = st.lists(
    st.tuples(
        st.integers(0, 40),
        st.sampled_from(SCHOOLS),
        st.sampled_from(["student", "student", "student", "teacher", "administrator"]),
        st.sampled_from(["a@d.example", "b@d.example", None]),
    ),
    unique_by=lambda each: each[0],
    min_size=1,
    max_size=40,
)


def roster(rows: list[tuple[int, str, str, str | None]], **extra: object):
    return district(
        [person(number, school, role=role, email=email) for number, school, role, email in rows],
        schools=SCHOOLS,
        **extra,  # type: ignore[arg-type]
    )


def identity(decision: RosterDecision) -> str:
    plan = CustomerPlan(
        id="d",
        name="D",
        outcome=Outcome.CHANGES,
        precondition=PlanPrecondition(None, None, None),
        roster=decision.changes,
    )
    return compute_plan_id(StoreIdentity("store", "test"), "key", [plan])


@settings(deadline=None, max_examples=25)
@given(people)
def test_a_roster_compared_with_itself_plans_nothing(rows: list) -> None:  # type: ignore[type-arg]
    assert decide(roster(rows), live_of(roster(rows))).changes == {}


@settings(deadline=None, max_examples=25)
@given(people, people, st.integers(0, 1000))
def test_plan_is_the_same_under_any_row_order(first: list, later: list, seed: int) -> None:  # type: ignore[type-arg]
    live = live_of(roster(first))
    assert identity(decide(roster(later), live)) == identity(decide(shuffled(roster(later), seed), live))


@settings(deadline=None, max_examples=40)
@given(people, people)
def test_no_plan_removes_more_people_than_its_limits(first: list, later: list) -> None:  # type: ignore[type-arg]
    decision = decide(roster(later), live_of(roster(first)))
    users = decision.changes.get(Kind.USER)
    if users is None:
        return
    free = users.filter(is_leaving(Kind.USER) & ~pl.col("held"))
    threshold = Thresholds().users
    managed = [row for row in first if row[2] != "administrator"]
    assert free.height <= max(threshold.floor, len(managed) * threshold.percent // 100)
    for school in SCHOOLS:
        there = [row for row in managed if row[1] == school]
        lost = free.filter(pl.col("before_roles").str.contains(f"{school}=", literal=True)).height
        assert lost <= max(threshold.floor, len(there) * 25 // 100)
        if len(there) >= 2:
            assert lost < len(there)


@settings(deadline=None, max_examples=25)
@given(people, people, st.data())
def test_a_row_set_aside_never_loses_its_account(first: list, later: list, data: st.DataObject) -> None:  # type: ignore[type-arg]
    spoiled = data.draw(st.sampled_from([f"u-{row[0]:03}" for row in first]))
    kept = [row for row in later if f"u-{row[0]:03}" != spoiled] or [(99, "s-1", "student", None)]
    decision = decide(roster(kept, aside=[("user", spoiled)]), live_of(roster(first)))
    users = decision.changes.get(Kind.USER)
    assert users is None or spoiled not in users["key"].to_list()
