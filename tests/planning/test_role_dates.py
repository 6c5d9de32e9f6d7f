"""beginDate and endDate of roles: ended roles are gone, coming ones wait, and doubtful dates count as none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from reconciler.model.diagnostic import Severity
from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import Snapshot
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.holds.rules import LimitRules
from reconciler.planning.roster.role_dates import DatedRoles, split_roles_by_date
from tests.support.rosters.snapshots import actions, decide, district, live_of, person

TODAY = "2026-11-20"
BEFORE, AFTER = "2026-11-19", "2026-11-21"
PEOPLE = [person(number) for number in range(1, 41)]
ONE = "u-001"


def dated(begin: str | None, end: str | None, users: tuple[str, ...] = (ONE,), **other: Any) -> Snapshot:
    """Return the day's roster in which the roles of some people have these dates."""
    day = district(PEOPLE, **other)
    theirs = pl.col("user").is_in(users)
    return replace(
        day,
        roles=day.roles.with_columns(
            pl.when(theirs).then(pl.lit(begin, dtype=pl.String)).otherwise("begin_date").alias("begin_date"),
            pl.when(theirs).then(pl.lit(end, dtype=pl.String)).otherwise("end_date").alias("end_date"),
        ),
    )


def split(begin: str | None, end: str | None, today: str | None = TODAY) -> DatedRoles:
    day = dated(begin, end)
    return split_roles_by_date(day.roles, day.users, today)


def plan(snapshot: Snapshot, today: str = TODAY, **rules: Any) -> RosterDecision:
    wanted = RosterRules("identifier", limit_rules=LimitRules(today=today), **rules)
    return decide(snapshot, live_of(district(PEOPLE)), wanted)


@pytest.mark.parametrize(
    ("begin", "end", "active"),
    [
        (None, None, True),
        (BEFORE, AFTER, True),
        (TODAY, TODAY, True),
        (None, BEFORE, False),
        ("2026-08-01", BEFORE, False),
        (AFTER, None, False),
        (AFTER, "2027-06-30", False),
        (AFTER, BEFORE, True),
        ("8/15/2026", "6/30/2026", True),
    ],
)
def test_a_role_is_active_from_its_first_date_to_its_last(begin: str | None, end: str | None, active: bool) -> None:
    assert (ONE in split(begin, end).roles["user"]) == active


def test_without_a_date_every_role_is_active() -> None:
    assert split(None, BEFORE, None).roles.height == len(PEOPLE)


def test_dates_that_contradict_each_other_are_reported_and_not_used() -> None:
    (warning,) = split(AFTER, BEFORE).diagnostics
    assert (warning.code, warning.severity) == ("reversed-dates", Severity.WARNING)


def test_a_person_whose_roles_have_ended_leaves_for_that_reason() -> None:
    decision = plan(dated(None, BEFORE))
    assert actions(decision, Kind.USER) == {"delete": [ONE]}
    assert decision.changes[Kind.USER]["reason"].to_list() == ["role_ended"]
    assert set(decision.changes[Kind.ENROLLMENT]["reason"]) == {"parent_removed"}


def test_such_leavers_count_toward_the_limit_as_others_do() -> None:
    decision = plan(dated(None, BEFORE, tuple(f"u-{number:03}" for number in range(1, 7))))
    assert set(decision.changes[Kind.USER]["held"]) == {True}
    assert set(decision.changes[Kind.ENROLLMENT]["held"]) == {True}


@pytest.mark.parametrize(("missing", "action"), [("suspend", {"suspend": [ONE]}), ("keep", {})])
def test_missing_decides_what_becomes_of_them(missing: str, action: dict[str, list[str]]) -> None:
    assert actions(plan(dated(None, BEFORE), missing=missing), Kind.USER) == action


def test_protected_people_stay() -> None:
    assert actions(plan(dated(None, BEFORE), protect=frozenset({ONE})), Kind.USER) == {}


def test_a_known_person_whose_role_is_to_come_stays_as_is() -> None:
    decision = plan(dated(AFTER, None))
    assert decision.changes == {}
    assert "role-to-come" in {each.code for each in decision.diagnostics}


def test_a_new_person_is_added_on_the_first_day() -> None:
    day = dated(AFTER, None, ("u-041",))
    new = [*PEOPLE, person(41)]
    made = district(new)
    late = replace(
        made,
        roles=made.roles.with_columns(
            pl.when(pl.col("user") == "u-041").then(pl.lit(AFTER)).otherwise("begin_date").alias("begin_date")
        ),
    )
    assert day.users.height == 40
    assert plan(late).changes == {}
    assert plan(late).quarantine.height == 0
    begun = plan(late, AFTER)
    assert actions(begun, Kind.USER) == {"create": ["u-041"]}
    assert begun.changes[Kind.ENROLLMENT].height == 2


def test_another_role_that_is_active_keeps_the_person() -> None:
    day = dated(None, BEFORE)
    other = day.roles.filter(pl.col("user") == ONE).with_columns(
        pl.lit("s-2").alias("org"), pl.lit(None, dtype=pl.String).alias("end_date"), pl.lit(False).alias("primary")
    )
    decision = plan(replace(day, roles=pl.concat([day.roles, other])))
    assert actions(decision, Kind.USER) == {"update": [ONE]}
    assert decision.changes[Kind.USER]["roles"].to_list() == ["s-2=student"]


def test_a_person_marked_as_deleted_is_marked_whatever_the_dates() -> None:
    decision = plan(dated(None, BEFORE, marked=[ONE]))
    assert decision.changes[Kind.USER]["reason"].to_list() == ["roster_tobedeleted"]


def test_the_end_of_most_roles_is_a_warning() -> None:
    everybody = tuple(f"u-{number:03}" for number in range(1, 41))
    decision = plan(dated(None, BEFORE, everybody))
    (told,) = [each for each in decision.diagnostics if each.code == "role-ended"]
    assert told.severity is Severity.WARNING
    assert set(decision.changes[Kind.USER]["held"]) == {True}
