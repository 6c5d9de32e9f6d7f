from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.kind import Kind
from reconciler.model.plan import LimitUse
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.holds.approvals import PreApproval
from reconciler.planning.holds.limits import EARLIER_USES_SCHEMA, LIMIT_TARGETS, Threshold, Thresholds
from reconciler.planning.holds.rules import LimitRules
from tests.support.rosters.snapshots import actions, decide, district, live_of, person

TODAY = "2026-11-23"
EVERYBODY = [person(each, "s-1" if each < 60 else "s-2") for each in range(100)]
DAY_ONE = district(EVERYBODY)


def rules(*uses: tuple[str, int], approvals: Sequence[PreApproval] = (), **thresholds: Threshold) -> RosterRules:
    earlier = pl.DataFrame(
        [{"name": name, "row_id": number, "schools": "s-1"} for name, number in uses], schema=EARLIER_USES_SCHEMA
    )
    return RosterRules(
        "identifier",
        limit_rules=LimitRules(replace(Thresholds(), **thresholds), earlier, tuple(approvals), today=TODAY),
    )


def changed(people: Sequence[Mapping[str, Any]], number: int, **fields: Any) -> list[dict[str, Any]]:
    """The first `number` with other fields; `{n}` in a value is the person's place."""
    return [
        {**each, **{name: str(value).format(n=place) for name, value in fields.items()}}
        if place < number
        else dict(each)
        for place, each in enumerate(people)
    ]


def limit(decision: RosterDecision, name: str, scope: str = "customer") -> LimitUse:
    return next(each for each in decision.limits if each.name == name and each.scope == scope)


def held(decision: RosterDecision, kind: Kind = Kind.USER) -> int:
    frame = decision.changes.get(kind)
    return 0 if frame is None else int(frame["held"].sum())


def test_every_plan_lists_every_limit_and_its_allowance() -> None:
    decision = decide(DAY_ONE, live_of(DAY_ONE))
    assert [each.name for each in decision.limits if each.scope == "customer"] == list(LIMIT_TARGETS)
    assert {each.name: each.allowed for each in decision.limits if each.scope == "customer"} == {
        "users": 10,
        "scope_narrowed": 10,
        "classes": 5,
        "enrollments": 50,
        "rekeys": 20,
        "updates": 50,
        "role_escalations": 0,
    }
    assert [each.scope for each in decision.limits if each.scope != "customer"] == ["org:s-1", "org:s-2"]
    assert not any(each.seen for each in decision.limits)


@pytest.mark.parametrize(("number", "waits"), [(20, False), (21, True)])
def test_rekeys_have_a_limit_of_their_own(number: int, waits: bool) -> None:
    decision = decide(district(changed(EVERYBODY, number, sourced_id="n-{n:03}")), live_of(DAY_ONE))
    assert limit(decision, "rekeys").seen == number
    assert held(decision) == (number if waits else 0)
    assert any("another student information system" in cause for cause in decision.causes) == waits
    assert limit(decision, "users").seen == 0


@pytest.mark.parametrize("field", ["email", "username", "school"])
@pytest.mark.parametrize(("number", "waits"), [(50, False), (51, True)])
def test_changes_of_username_email_and_school_are_limited(field: str, number: int, waits: bool) -> None:
    value = "s-2" if field == "school" else "other{n}@d.example"
    decision = decide(district(changed(EVERYBODY, number, **{field: value})), live_of(DAY_ONE))
    assert limit(decision, "updates").seen == number
    assert held(decision) == (number if waits else 0)


def test_value_new_to_the_store_is_no_change() -> None:
    without = [{**each, "email": None} for each in EVERYBODY]
    assert limit(decide(DAY_ONE, live_of(district(without))), "updates").seen == 0


def test_names_and_grades_are_not_limited() -> None:
    decision = decide(district(changed(EVERYBODY, 100, given_name="Other", grades="07")), live_of(DAY_ONE))
    assert limit(decision, "updates").seen == 0
    assert held(decision) == 0


@pytest.mark.parametrize("role", ["teacher", "administrator", "site_administrator", "principal"])
def test_nobody_becomes_teacher_or_administrator_unseen(role: str) -> None:
    decision = decide(district(changed(EVERYBODY, 1, role=role)), live_of(DAY_ONE))
    assert limit(decision, "role_escalations").seen == 1
    assert held(decision) == 1
    assert any("would become a teacher or administrator" in cause for cause in decision.causes)


def test_a_teacher_who_becomes_a_student_is_no_escalation() -> None:
    before = changed(EVERYBODY, 5, role="teacher")
    decision = decide(district(changed(before, 1, role="student")), live_of(district(before)))
    assert limit(decision, "role_escalations").seen == 0


def test_new_administrator_waits_except_in_the_first_roster() -> None:
    later = district([*EVERYBODY, person(500, role="administrator"), person(501, role="teacher")])
    decision = decide(later, live_of(DAY_ONE))
    assert actions(decision, Kind.USER)["create"] == ["u-500*", "u-501"]
    first = decide(later, LiveRoster())
    assert held(first) == 0


def test_as_many_may_be_raised_as_the_customer_allows() -> None:
    decision = decide(
        district(changed(EVERYBODY, 2, role="teacher")), live_of(DAY_ONE), rules(role_escalations=Threshold(0, 2))
    )
    assert held(decision) == 0


def test_earlier_losses_count_along() -> None:
    leavers = district(EVERYBODY[6:])
    assert held(decide(leavers, live_of(DAY_ONE), rules())) == 0
    decision = decide(leavers, live_of(DAY_ONE), rules(*[("users", 1000 + each) for each in range(5)]))
    use = limit(decision, "users")
    assert (use.seen, use.earlier, use.planned, use.exceeded) == (11, 5, 6, True)
    assert held(decision) == 6
    assert decision.causes[0] == (
        "6 of 100 people would be removed; with 5 in the last 7 days that is 11, and the limit is 10."
    )


def test_a_school_is_lost_over_days_as_well() -> None:
    """Ten of sixty is within the customer's ten per cent of a hundred; with what left before it is not a school's."""
    decision = decide(
        district(EVERYBODY[6:]), live_of(DAY_ONE), rules(*[("users", 1000 + each) for each in range(10)], users=WIDE)
    )
    use = limit(decision, "users", "org:s-1")
    assert (use.seen, use.allowed, use.exceeded) == (16, 15, True)
    assert held(decision) == 6


WIDE = Threshold(50, 5, 25)


def test_plan_removing_nothing_is_not_held_by_earlier_losses() -> None:
    decision = decide(
        district([*EVERYBODY, person(300)]), live_of(DAY_ONE), rules(*[("users", 1000 + each) for each in range(30)])
    )
    assert held(decision) == 0
    assert not any(each.exceeded for each in decision.limits)


def test_row_counted_before_is_not_counted_twice() -> None:
    live = live_of(DAY_ONE)
    ids = live.users.filter(pl.col("sourced_id").is_in(["u-000", "u-001"]))["id"].to_list()
    later = changed(EVERYBODY, 2, email="other{n}@d.example")
    decision = decide(district(later), live, rules(*[("updates", each) for each in ids]))
    assert limit(decision, "updates").seen == 2


@pytest.mark.parametrize(("people", "released"), [(50, True), (49, False)])
def test_an_approval_in_advance_releases_up_to_its_number(people: int, released: bool) -> None:
    approval = PreApproval(people, "2027-07-01", "graduating class")
    decision = decide(district(EVERYBODY[50:]), live_of(DAY_ONE), rules(approvals=[approval]))
    codes = {each.code for each in decision.diagnostics}
    assert held(decision) == (0 if released else 50)
    assert ("approved-in-advance" in codes) == released
    assert ("approval-too-small" in codes) == (not released)
    if released:
        assert held(decision, Kind.ENROLLMENT) == 0
        assert limit(decision, "users").seen == 0
        assert decision.changes[Kind.USER]["limits"].unique().to_list() == [approval.name]


def test_what_an_approval_released_before_is_used_up() -> None:
    approval = PreApproval(60, "2027-07-01", "graduating class")
    used = [(approval.name, 1000 + each) for each in range(11)]
    decision = decide(district(EVERYBODY[50:]), live_of(DAY_ONE), rules(*used, approvals=[approval]))
    assert held(decision) == 50


def test_no_approval_in_advance_empties_a_school() -> None:
    decision = decide(
        district(EVERYBODY[60:]),
        live_of(DAY_ONE),
        rules(approvals=[PreApproval(100, "2027-07-01", "graduating class")]),
    )
    assert held(decision) == 60
    assert any("would lose everyone" in cause for cause in decision.causes)


def test_a_school_is_not_emptied_in_two_steps() -> None:
    small = [person(each, "s-2" if each < 5 else "s-1") for each in range(100)]
    last = [each for each in small if each["sourced_id"] != "u-004"]
    uses = pl.DataFrame([{"name": "users", "row_id": 1000 + each, "schools": "s-2"} for each in range(4)])
    now = [each for each in small if each["sourced_id"] not in {f"u-{number:03}" for number in range(4)}]
    gone = [each for each in last if each["school"] == "s-1"]
    decision = decide(
        district(gone),
        live_of(district(now)),
        RosterRules(
            "identifier", limit_rules=LimitRules(earlier_uses=uses.select(list(EARLIER_USES_SCHEMA)), today=TODAY)
        ),
    )
    assert actions(decision, Kind.USER) == {"delete": ["u-004*"]}


def test_recent_additions_make_no_room_for_leavers() -> None:
    leavers = district(EVERYBODY[8:])
    few = RosterRules("identifier", limit_rules=LimitRules(newcomers=60, today=TODAY))
    assert held(decide(leavers, live_of(DAY_ONE))) == 0
    assert held(decide(leavers, live_of(DAY_ONE), few)) == 8


def test_enrollments_that_would_be_somebody_elses_count_as_lost() -> None:
    moved = DAY_ONE.enrollments.with_columns(pl.lit("u-001").alias("user"))
    decision = decide(replace(DAY_ONE, enrollments=moved), live_of(DAY_ONE))
    assert limit(decision, "enrollments").seen == 198
    assert decision.changes[Kind.ENROLLMENT]["held"].all()


@pytest.mark.parametrize(("until", "code"), [("2026-11-22", "approval-expired"), (TODAY, "approval-unused")])
def test_expired_or_unneeded_approval_is_a_warning(until: str, code: str) -> None:
    decision = decide(district(EVERYBODY[2:]), live_of(DAY_ONE), rules(approvals=[PreApproval(10, until, "moving")]))
    assert [each.code for each in decision.diagnostics] == [code]
    assert "moving" in decision.diagnostics[0].message


@pytest.mark.slow
@settings(max_examples=10, deadline=None)
@given(
    days=st.lists(st.sets(st.integers(0, 59), max_size=12), min_size=8, max_size=14),
    window=st.integers(1, 7),
    back=st.booleans(),
)
def test_no_sequence_of_runs_exceeds_its_limits_within_a_window(days: list[set[int]], window: int, back: bool) -> None:
    """Every day another roster without these people; what is not held is carried out. back: they come again the day
    after."""
    everybody = {each: person(each, "s-1" if each < 30 else "s-2") for each in range(60)}
    alive = dict(everybody)
    gone_on: dict[int, int] = {}
    threshold = Thresholds().users
    for day, absent in enumerate(days):
        wanted = everybody if back else alive
        roster = [each for number, each in wanted.items() if number not in absent]
        if not roster:
            continue
        earlier = [("users", 1000 + each) for each, when in gone_on.items() if day - when < window]
        schools = {"s-1": range(30), "s-2": range(30, 60)}
        frame = pl.DataFrame(
            [{"name": name, "row_id": row, "schools": "s-1" if row - 1000 < 30 else "s-2"} for name, row in earlier],
            schema=EARLIER_USES_SCHEMA,
        )
        decision = decide(
            district(roster),
            live_of(district(alive.values())),
            RosterRules("identifier", limit_rules=LimitRules(earlier_uses=frame, today=TODAY)),
        )
        users = decision.changes.get(Kind.USER)
        if users is not None:
            done = users.filter(~pl.col("held"))
            for key in done.filter(pl.col("action") == "delete")["key"]:
                alive.pop(int(key[2:]))
                gone_on[int(key[2:])] = day
            for key in done.filter(pl.col("action").is_in(["create", "restore"]))["key"]:
                alive[int(key[2:])] = everybody[int(key[2:])]
                gone_on.pop(int(key[2:]), None)
        lost = [each for each, when in gone_on.items() if day - when < window]
        assert len(lost) <= max(threshold.floor, 60 * threshold.percent // 100)
        for members in schools.values():
            assert len([each for each in lost if each in members]) <= max(threshold.floor, 30 * 25 // 100)
