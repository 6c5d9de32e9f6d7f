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
def test_session_is_over_on_its_exclusive_end_date(day: str, expected: list[str]) -> None:
    assert sorted(find_ended_terms(YEAR, day)) == expected


def test_without_a_day_nothing_is_over() -> None:
    assert find_ended_terms(YEAR, None).len() == 0


@pytest.mark.parametrize("end", [None, "2027-02-30", "soon", "12.06.2027", "2026-08-01"])
def test_end_invalid_or_before_the_start_ends_nothing(end: str | None) -> None:
    assert find_ended_terms(sessions(("t-1", "2026-08-20", end)), AFTER).len() == 0


def test_term_known_to_two_rosters_needs_both_to_be_over() -> None:
    moved = sessions(("t-1", "2026-08-20", "2026-09-01"), ("t-2", "2026-08-20", "2026-09-01"))
    assert sorted(find_ended_terms(pl.concat([YEAR, moved]), "2027-02-01")) == ["t-1"]


def test_earlier_sessions_are_kept_beside_new_ones() -> None:
    now = sessions(("t-2", "2027-01-20", "2027-06-19"), ("t-3", "2027-08-20", "2028-01-20"))
    kept = dict(merge_sessions(now, YEAR).select("sourced_id", "end").iter_rows())
    assert kept == {"t-1": "2027-01-20", "t-2": "2027-06-19", "t-3": "2028-01-20"}


@pytest.mark.parametrize(
    ("terms", "expected"), [("t-1", 1), ("t-1,t-2", 1), ("t-1, t-2", 1), ("t-1,t-9", 0), ("t-9", 0), (None, 0)]
)
def test_class_is_over_when_all_its_known_terms_are(terms: str | None, expected: int) -> None:
    classes = pl.DataFrame(
        {"sourced_id": ["c-1"], "terms": [terms]}, schema={"sourced_id": pl.String, "terms": pl.String}
    )
    assert find_ended_classes(classes, YEAR, AFTER).len() == expected


def test_ended_years_classes_and_enrollments_conclude_outside_limits() -> None:
    decision = decide(year(["n-1"], "t-3"), live_of(year()), on(AFTER), sessions=YEAR)
    assert actions(decision, Kind.CLASS) == {"conclude": sorted(OLD), "create": ["n-1"]}
    assert reasons(decision, Kind.CLASS) == {("conclude", "session_ended"), ("create", "new")}
    assert reasons(decision, Kind.ENROLLMENT) == {("conclude", "session_ended"), ("create", "new")}
    assert decision.changes[Kind.ENROLLMENT].filter(pl.col("action") == "conclude").height == 300
    assert not any(limit.planned for limit in decision.limits)
    assert not any(frame["held"].any() for frame in decision.changes.values())


def test_same_change_before_the_terms_end_is_held() -> None:
    decision = decide(year(["n-1"], "t-3"), live_of(year()), on(EARLY), sessions=YEAR)
    assert actions(decision, Kind.CLASS)["delete"] == sorted(f"{key}*" for key in OLD)
    assert reasons(decision, Kind.ENROLLMENT) == {("delete", "parent_removed"), ("create", "new")}
    assert decision.changes[Kind.ENROLLMENT].filter(pl.col("action") == "delete")["held"].all()


def test_without_sessions_nothing_concludes() -> None:
    decision = decide(year(["n-1"], "t-3"), live_of(year()), on(AFTER), sessions=make_empty_sessions())
    assert set(actions(decision, Kind.CLASS)) == {"delete", "create"}


def test_marked_class_is_deleted_though_its_term_is_over() -> None:
    marked = year()
    status = pl.when(pl.col("sourced_id") == "c-1").then(pl.lit("tobedeleted")).otherwise("status").alias("status")
    decision = decide(
        replace(marked, classes=marked.classes.with_columns(status)), live_of(year()), on(AFTER), sessions=YEAR
    )
    assert reasons(decision, Kind.CLASS) == {("delete", "roster_tobedeleted")}


def test_deselected_class_does_not_depend_on_its_term() -> None:
    chosen = on(AFTER, selection=RosterSelection(classes=tuple(OLD[1:])))
    decision = decide(year(), live_of(year()), chosen, sessions=YEAR)
    assert reasons(decision, Kind.CLASS) == {("delete", "scope_narrowed")}
    assert reasons(decision, Kind.ENROLLMENT) == {("delete", "scope_narrowed")}


def test_quarantined_class_does_not_conclude_nor_do_its_enrollments() -> None:
    aside = year(OLD[1:], aside=[("class", "c-1")])
    decision = decide(aside, live_of(year()), on(AFTER), sessions=YEAR)
    assert Kind.CLASS not in decision.changes
    assert reasons(decision, Kind.ENROLLMENT) == {("delete", "roster_row_missing")}


def test_unidentifiable_quarantined_row_keeps_every_class() -> None:
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
def test_enrollment_in_a_continuing_class_concludes_after_its_end(end: str | None, expected: tuple[str, str]) -> None:
    before = dated(year(["c-1"], "t-3"), end)
    after = dated(year(["c-1"], "t-3", without_enrollments=["u-001", "u-002"]), end)
    decision = decide(after, live_of(before), on(AFTER), sessions=YEAR)
    assert reasons(decision, Kind.ENROLLMENT) == {expected}
    assert decision.changes[Kind.ENROLLMENT].height == 2


def test_leaver_at_years_end_keeps_enrollments_on_record() -> None:
    gone = replace(year([]), users=year([]).users[1:], roles=year([]).roles[1:])
    decision = decide(gone, live_of(year()), on(AFTER), sessions=YEAR)
    assert actions(decision, Kind.USER) == {"delete": ["u-000"]}
    assert reasons(decision, Kind.ENROLLMENT) == {("conclude", "session_ended")}


def test_kept_absentee_does_not_stay_in_a_finished_class() -> None:
    gone = replace(year([]), users=year([]).users[1:], roles=year([]).roles[1:])
    decision = decide(gone, live_of(year()), on(AFTER, missing="keep"), sessions=YEAR)
    assert Kind.USER not in decision.changes
    assert decision.changes[Kind.ENROLLMENT].height == 300


def test_school_with_finished_classes_and_moved_people_can_go() -> None:
    before = district([person(each, "s-2") for each in range(30)], classes=["c-1"])
    before = replace(before, classes=before.classes.with_columns(pl.lit("t-1").alias("terms")))
    after = district([person(each, "s-2") for each in range(30)], schools=["s-2"], classes=[])
    decision = decide(after, live_of(before), on(AFTER), sessions=YEAR)
    assert actions(decision, Kind.CLASS) == {"conclude": ["c-1"]}
    assert actions(decision, Kind.ORG) == {"delete": ["s-1"]}


def concluded_before(live: LiveRoster) -> LiveRoster:
    """The classes went by an earlier run; the enrollments were held then."""
    return replace(live, classes=live.classes.with_columns(pl.lit(True).alias("tombstoned")))


def test_remainder_of_a_concluded_class_concludes_too() -> None:
    decision = decide(year([]), concluded_before(live_of(year())), on(AFTER), sessions=YEAR)
    assert Kind.CLASS not in decision.changes
    assert reasons(decision, Kind.ENROLLMENT) == {("conclude", "session_ended")}


def test_a_class_that_comes_back_is_restored() -> None:
    decision = decide(year(["c-1"], "t-3"), concluded_before(live_of(year(["c-1"]))), on(AFTER), sessions=YEAR)
    assert actions(decision, Kind.CLASS) == {"restore": ["c-1"]}
    assert Kind.ENROLLMENT not in decision.changes
