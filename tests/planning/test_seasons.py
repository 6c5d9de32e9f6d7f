"""Days on which a roster may do less: what waits then, what goes on, and which season a day is in."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from reconciler.config.models.rostering import SeasonSettings as ConfiguredSeason
from reconciler.model.change import Action
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.oneroster.snapshot import SESSIONS_SCHEMA
from reconciler.operations.plan.rules import find_season
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.frames.change_frame import build_change_schema
from reconciler.planning.holds.rules import ActiveSeason, LimitRules, SeasonMode
from reconciler.planning.holds.season import hold_for_season
from reconciler.planning.holds.state import HoldInputs, start_holds
from tests.support.rosters.snapshots import actions, decide, district, live_of, person

PEOPLE = [person(each) for each in range(100)]
SUMMER = ActiveSeason(SeasonMode.ADDS_ONLY, "2027-08-20", Span("customers/springfield/customer.yaml", 31))
EXAMS = ActiveSeason(SeasonMode.FREEZE, "2027-06-01")


def changed() -> list[dict[str, object]]:
    """u-000 and u-001 gone, u-002 with another name, u-003 under another sourcedId, u-004 not enabled, u-900 new."""
    people = [dict(each) for each in PEOPLE[2:]]
    people[0]["given_name"] = "Other"
    people[1]["sourced_id"] = "u-803"
    people[2]["enabled"] = False
    return [*people, person(900)]


def rules(season: ActiveSeason | None, **more: object) -> RosterRules:
    return replace(RosterRules("identifier", season=season), **more)


def test_outside_of_a_season_nothing_waits() -> None:
    decision = decide(district(changed()), live_of(district(PEOPLE)), rules(None))
    assert actions(decision, Kind.USER) == {
        "delete": ["u-000", "u-001"],
        "suspend": ["u-004"],
        "rekey": ["u-803"],
        "update": ["u-002"],
        "create": ["u-900"],
    }
    assert decision.causes == ()


def test_adds_only_holds_removals_and_lets_the_rest_through() -> None:
    decision = decide(district(changed()), live_of(district(PEOPLE)), rules(SUMMER))
    assert actions(decision, Kind.USER) == {
        "delete": ["u-000*", "u-001*"],
        "suspend": ["u-004"],
        "rekey": ["u-803"],
        "update": ["u-002"],
        "create": ["u-900"],
    }
    enrollments = actions(decision, Kind.ENROLLMENT)
    assert all(key.endswith("*") for key in enrollments["delete"])
    assert not any(key.endswith("*") for key in enrollments["create"])


def test_adds_only_says_until_when_and_where_configured() -> None:
    decision = decide(district(changed()), live_of(district(PEOPLE)), rules(SUMMER))
    assert decision.causes == (
        "Until 2027-08-20, nothing is removed (calendar in customers/springfield/customer.yaml:31).",
    )


def test_season_with_nothing_to_hold_says_nothing() -> None:
    decision = decide(district([*PEOPLE, person(900)]), live_of(district(PEOPLE)), rules(SUMMER))
    assert decision.causes == ()
    assert actions(decision, Kind.USER) == {"create": ["u-900"]}


def test_adds_only_holds_suspensions_of_absent_not_disabled_people() -> None:
    decision = decide(district(changed()), live_of(district(PEOPLE)), rules(SUMMER, missing="suspend"))
    assert actions(decision, Kind.USER)["suspend"] == ["u-000*", "u-001*", "u-004"]


def test_adds_only_holds_classes_enrollments_and_marked_rows() -> None:
    before = live_of(district(PEOPLE, classes=["c-1", "c-2", "c-3"]))
    decision = decide(district(PEOPLE, classes=["c-1", "c-2"], marked=["u-007"]), before, rules(SUMMER))
    assert actions(decision, Kind.CLASS) == {"delete": ["c-3*"]}
    assert actions(decision, Kind.USER) == {"delete": ["u-007*"]}
    assert all(key.endswith("*") for key in actions(decision, Kind.ENROLLMENT)["delete"])


def test_what_ended_with_its_term_goes_in_adds_only() -> None:
    before = district(PEOPLE, classes=["c-1", "c-2"])
    before = replace(before, classes=before.classes.with_columns(pl.lit("t-1").alias("terms")))
    sessions = pl.DataFrame(
        [{"sourced_id": "t-1", "start": "2026-08-01", "end": "2027-06-12"}],
        schema=SESSIONS_SCHEMA,
    )
    after = district(PEOPLE, classes=[])
    today = rules(SUMMER, limit_rules=LimitRules(today="2027-07-01"))
    decision = decide(after, live_of(before), today, sessions=sessions)
    assert actions(decision, Kind.CLASS) == {"conclude": ["c-1", "c-2"]}
    frozen = decide(after, live_of(before), replace(today, season=EXAMS), sessions=sessions)
    assert actions(frozen, Kind.CLASS) == {"conclude": ["c-1*", "c-2*"]}


def test_freeze_keeps_back_everything() -> None:
    decision = decide(district(changed()), live_of(district(PEOPLE)), rules(EXAMS))
    for kind in (Kind.USER, Kind.ENROLLMENT):
        assert decision.changes[kind]["held"].all()
    assert decision.causes[0] == "Until 2027-06-01, no roster change is applied (calendar)."


def test_what_was_held_before_stays_held() -> None:
    row = dict.fromkeys(build_change_schema(Kind.ORG)) | {
        "action": Action.CREATE.value,
        "reason": Reason.NEW.value,
        "key": "s-1",
        "held": True,
    }
    frame = pl.DataFrame([row], schema=build_change_schema(Kind.ORG))
    state = hold_for_season(start_holds({Kind.ORG: frame}, HoldInputs(season=SUMMER)))
    assert (state.changes[Kind.ORG]["held"].to_list(), state.causes) == ([True], ())


def test_unbinding_an_account_counts_as_a_removal() -> None:
    row = dict.fromkeys(build_change_schema(Kind.USER)) | {
        "action": Action.UPDATE.value,
        "reason": Reason.ROSTER_ROW_MISSING.value,
        "held": False,
        "before_bound": True,
        "bound": False,
    }
    frame = pl.DataFrame([row, {**row, "bound": True}], schema=build_change_schema(Kind.USER))
    state = hold_for_season(start_holds({Kind.USER: frame}, HoldInputs(season=SUMMER)))
    assert state.changes[Kind.USER]["held"].to_list() == [True, False]


def test_adds_only_keeps_missing_places_but_allows_transfers() -> None:
    row = dict.fromkeys(build_change_schema(Kind.USER)) | {
        "action": Action.UPDATE.value,
        "reason": Reason.FIELD_CHANGED.value,
        "held": False,
        "before_roles": "s-1=student\ns-2=student",
    }
    after = ("s-1=student", "s-3=student", "s-1=student\ns-2=student\ns-3=student", "s-1=teacher\ns-2=student")
    frame = pl.DataFrame([{**row, "roles": roles} for roles in after], schema=build_change_schema(Kind.USER))
    state = hold_for_season(start_holds({Kind.USER: frame}, HoldInputs(season=SUMMER)))
    assert state.changes[Kind.USER]["held"].to_list() == [True, False, False, False]
    assert state.causes


def season(first: str, last: str, mode: str) -> ConfiguredSeason:
    return ConfiguredSeason.model_validate({"from": first, "to": last, "mode": mode})


CALENDAR = (
    season("2027-06-10", "2027-08-20", "adds_only"),
    season("2027-06-14", "2027-06-18", "freeze"),
    season("2027-08-01", "2027-09-01", "adds_only"),
)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2027-06-09", None),
        ("2027-06-10", ("adds_only", "2027-08-20", 31)),
        ("2027-06-14", ("freeze", "2027-06-18", 32)),
        ("2027-06-18", ("freeze", "2027-06-18", 32)),
        ("2027-06-19", ("adds_only", "2027-08-20", 31)),
        ("2027-08-01", ("adds_only", "2027-09-01", 30)),
        ("2027-09-01", ("adds_only", "2027-09-01", 30)),
        ("2027-09-02", None),
    ],
)
def test_both_ends_count_and_the_stricter_of_several_holds(day: str, expected: tuple[str, str, int] | None) -> None:
    origins = {
        "rostering.calendar": Span("customer.yaml", 30),
        "rostering.calendar.0": Span("customer.yaml", 31),
        "rostering.calendar.1": Span("customer.yaml", 32),
    }
    found = find_season(CALENDAR, day, origins)
    assert (found and (found.mode, found.until, found.span and found.span.line)) == expected
