"""What ended with its term concludes; what only looks like it is a deletion that the limits count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA, SESSIONS_SCHEMA, Snapshot
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.holds.rules import LimitRules
from reconciler.planning.roster.removals import (
    find_ended_classes,
    find_ended_terms,
    make_empty_sessions,
    merge_sessions,
)
from reconciler.planning.roster.selection import RosterSelection
from tests.support.rosters.snapshots import actions, decide, district, live_of, person

PEOPLE = [person(each) for each in range(30)]
AFTER = "2027-07-01"
OLD = [f"c-{each}" for each in range(1, 11)]


def sessions(*rows: tuple[str, str | None, str | None]) -> pl.DataFrame:
    named = [{"sourced_id": key, "start": start, "end": end, "line": 2} for key, start, end in rows]
    return pl.DataFrame(named, schema=SESSIONS_SCHEMA)


YEAR = sessions(("t-1", "2026-08-20", "2027-01-20"), ("t-2", "2027-01-20", "2027-06-12"))
EARLY = "2027-06-11"


def year(classes: Iterable[str] = OLD, terms: str | None = "t-1,t-2", **more: Any) -> Snapshot:
    made = district(PEOPLE, classes=classes, **more)
    return replace(made, classes=made.classes.with_columns(pl.lit(terms, dtype=pl.String).alias("terms")))


def on(day: str, **more: Any) -> RosterRules:
    return RosterRules("identifier", limit_rules=LimitRules(today=day), **more)


def reasons(decision: RosterDecision, kind: Kind) -> set[tuple[str, str]]:
    frame = decision.changes.get(kind)
    return set() if frame is None else set(frame.select("action", "reason").unique().rows())


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2027-01-19", []), ("2027-01-20", ["t-1"]), ("2027-06-11", ["t-1"]), ("2027-06-12", ["t-1", "t-2"])],
)
def test_a_session_is_over_on_its_end_which_is_the_first_day_after(day: str, expected: list[str]) -> None:
    assert sorted(find_ended_terms(YEAR, day)) == expected


def test_without_a_day_nothing_is_over() -> None:
    assert find_ended_terms(YEAR, None).len() == 0


@pytest.mark.parametrize("end", [None, "2027-02-30", "soon", "12.06.2027", "2026-08-01"])
def test_an_end_that_is_no_day_or_before_the_start_ends_nothing(end: str | None) -> None:
    assert find_ended_terms(sessions(("t-1", "2026-08-20", end)), AFTER).len() == 0


def test_a_term_that_two_rosters_know_is_over_where_both_say_so() -> None:
    moved = sessions(("t-1", "2026-08-20", "2026-09-01"), ("t-2", "2026-08-20", "2026-09-01"))
    assert sorted(find_ended_terms(pl.concat([YEAR, moved]), "2027-02-01")) == ["t-1"]


def test_sessions_of_earlier_rosters_are_kept_beside_the_new_ones() -> None:
    now = sessions(("t-2", "2027-01-20", "2027-06-19"), ("t-3", "2027-08-20", "2028-01-20"))
    kept = dict(merge_sessions(now, YEAR).select("sourced_id", "end").iter_rows())
    assert kept == {"t-1": "2027-01-20", "t-2": "2027-06-19", "t-3": "2028-01-20"}


@pytest.mark.parametrize(
    ("terms", "expected"), [("t-1", 1), ("t-1,t-2", 1), ("t-1, t-2", 1), ("t-1,t-9", 0), ("t-9", 0), (None, 0)]
)
def test_a_class_is_over_where_all_its_terms_are_known_and_over(terms: str | None, expected: int) -> None:
    classes = pl.DataFrame(
        {"sourced_id": ["c-1"], "terms": [terms]}, schema={"sourced_id": pl.String, "terms": pl.String}
    )
    assert find_ended_classes(classes, YEAR, AFTER).len() == expected


def test_classes_of_an_ended_year_conclude_with_their_enrollments_and_count_against_nothing() -> None:
    decision = decide(year(["n-1"], "t-3"), live_of(year()), on(AFTER), sessions=YEAR)
    assert actions(decision, Kind.CLASS) == {"conclude": sorted(OLD), "create": ["n-1"]}
    assert reasons(decision, Kind.CLASS) == {("conclude", "session_ended"), ("create", "new")}
    assert reasons(decision, Kind.ENROLLMENT) == {("conclude", "session_ended"), ("create", "new")}
    assert decision.changes[Kind.ENROLLMENT].filter(pl.col("action") == "conclude").height == 300
    assert not any(limit.planned for limit in decision.limits)
    assert not any(frame["held"].any() for frame in decision.changes.values())


def test_before_the_end_of_the_term_the_same_is_a_deletion_that_is_held() -> None:
    decision = decide(year(["n-1"], "t-3"), live_of(year()), on(EARLY), sessions=YEAR)
    assert actions(decision, Kind.CLASS)["delete"] == sorted(f"{key}*" for key in OLD)
    assert reasons(decision, Kind.ENROLLMENT) == {("delete", "parent_removed"), ("create", "new")}
    assert decision.changes[Kind.ENROLLMENT].filter(pl.col("action") == "delete")["held"].all()


def test_without_sessions_nothing_concludes() -> None:
    decision = decide(year(["n-1"], "t-3"), live_of(year()), on(AFTER), sessions=make_empty_sessions())
    assert set(actions(decision, Kind.CLASS)) == {"delete", "create"}


def test_a_class_that_the_source_marks_is_deleted_though_its_term_is_over() -> None:
    marked = year()
    status = pl.when(pl.col("sourced_id") == "c-1").then(pl.lit("tobedeleted")).otherwise("status").alias("status")
    decision = decide(
        replace(marked, classes=marked.classes.with_columns(status)), live_of(year()), on(AFTER), sessions=YEAR
    )
    assert reasons(decision, Kind.CLASS) == {("delete", "roster_tobedeleted")}


def test_a_class_that_is_not_selected_any_more_is_no_matter_of_its_term() -> None:
    chosen = on(AFTER, selection=RosterSelection(classes=tuple(OLD[1:])))
    decision = decide(year(), live_of(year()), chosen, sessions=YEAR)
    assert reasons(decision, Kind.CLASS) == {("delete", "scope_narrowed")}
    assert reasons(decision, Kind.ENROLLMENT) == {("delete", "scope_narrowed")}


def test_a_class_whose_row_was_set_aside_does_not_conclude_nor_do_its_enrollments() -> None:
    aside = year(OLD[1:], aside=[("class", "c-1")])
    decision = decide(aside, live_of(year()), on(AFTER), sessions=YEAR)
    assert Kind.CLASS not in decision.changes
    assert reasons(decision, Kind.ENROLLMENT) == {("delete", "roster_row_missing")}


def test_a_row_set_aside_that_may_be_any_class_keeps_all_of_them() -> None:
    row = {"kind": "class", "file": "classes.csv", "line": 2, "code": "bad", "message": "bad"}
    quarantine = pl.DataFrame([{name: row.get(name) for name in QUARANTINE_SCHEMA}], schema=QUARANTINE_SCHEMA)
    decision = decide(replace(year(["n-1"], "t-3"), quarantine=quarantine), live_of(year()), on(AFTER), sessions=YEAR)
    assert actions(decision, Kind.CLASS)["conclude"] == sorted(f"{key}*" for key in OLD)
    concluded = decision.changes[Kind.ENROLLMENT].filter(pl.col("action") == "conclude")
    assert concluded["held"].all()


def dated(snapshot: Snapshot, end: str | None) -> Snapshot:
    """With one last day for all enrollments."""
    return replace(
        snapshot, enrollments=snapshot.enrollments.with_columns(pl.lit(end, dtype=pl.String).alias("end_date"))
    )


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("2027-06-30", ("conclude", "session_ended")),
        ("2027-07-01", ("delete", "roster_row_missing")),
        ("2027-07-02", ("delete", "roster_row_missing")),
        ("2027-02-30", ("delete", "roster_row_missing")),
        (None, ("delete", "roster_row_missing")),
    ],
)
def test_an_enrollment_of_a_class_that_stays_concludes_after_its_own_last_day(
    end: str | None, expected: tuple[str, str]
) -> None:
    before = dated(year(["c-1"], "t-3"), end)
    after = dated(year(["c-1"], "t-3", without_enrollments=["u-001", "u-002"]), end)
    decision = decide(after, live_of(before), on(AFTER), sessions=YEAR)
    assert reasons(decision, Kind.ENROLLMENT) == {expected}
    assert decision.changes[Kind.ENROLLMENT].height == 2


def test_somebody_who_leaves_with_the_year_takes_no_enrollment_out_of_the_record() -> None:
    gone = replace(year([]), users=year([]).users[1:], roles=year([]).roles[1:])
    decision = decide(gone, live_of(year()), on(AFTER), sessions=YEAR)
    assert actions(decision, Kind.USER) == {"delete": ["u-000"]}
    assert reasons(decision, Kind.ENROLLMENT) == {("conclude", "session_ended")}


def test_who_stays_though_absent_does_not_stay_in_a_class_that_is_over() -> None:
    gone = replace(year([]), users=year([]).users[1:], roles=year([]).roles[1:])
    decision = decide(gone, live_of(year()), on(AFTER, missing="keep"), sessions=YEAR)
    assert Kind.USER not in decision.changes
    assert decision.changes[Kind.ENROLLMENT].height == 300


def test_a_school_whose_classes_are_over_and_whose_people_moved_can_go() -> None:
    before = district([person(each, "s-2") for each in range(30)], classes=["c-1"])
    before = replace(before, classes=before.classes.with_columns(pl.lit("t-1").alias("terms")))
    after = district([person(each, "s-2") for each in range(30)], schools=["s-2"], classes=[])
    decision = decide(after, live_of(before), on(AFTER), sessions=YEAR)
    assert actions(decision, Kind.CLASS) == {"conclude": ["c-1"]}
    assert actions(decision, Kind.ORG) == {"delete": ["s-1"]}


def concluded_before(live: LiveRoster) -> LiveRoster:
    """The classes went by an earlier run; the enrollments were held then."""
    return replace(live, classes=live.classes.with_columns(pl.lit(True).alias("tombstoned")))


def test_what_is_left_of_a_class_that_concluded_before_concludes_too() -> None:
    decision = decide(year([]), concluded_before(live_of(year())), on(AFTER), sessions=YEAR)
    assert Kind.CLASS not in decision.changes
    assert reasons(decision, Kind.ENROLLMENT) == {("conclude", "session_ended")}


def test_a_class_that_comes_back_is_restored() -> None:
    decision = decide(year(["c-1"], "t-3"), concluded_before(live_of(year(["c-1"]))), on(AFTER), sessions=YEAR)
    assert actions(decision, Kind.CLASS) == {"restore": ["c-1"]}
    assert Kind.ENROLLMENT not in decision.changes
