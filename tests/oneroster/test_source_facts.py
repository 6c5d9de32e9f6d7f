"""The facts about a source: its files, its system, its times; and academic sessions."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.model.diagnostic import Span
from reconciler.oneroster.bundle import read_zip
from reconciler.oneroster.snapshot import SESSIONS_SCHEMA
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.rosters.reading import NOW, codes, only, places, read, read_over, refused

SMALL = bundle(users=10)
TERM = {"title": "Term", "type": "term", "startDate": "2026-08-20", "endDate": "2027-01-15", "schoolYear": "2027"}


def with_times(**times: str) -> Bundle:
    made = SMALL
    for key, time in times.items():
        table = {"u": "users", "c": "classes", "s": "orgs"}[key[0]]
        made = made.with_row(table, key.replace("_", "-"), dateLastModified=time)
    return made


def sessions(*rows: dict[str, str]) -> Bundle:
    return SMALL.with_rows("academicSessions", [{**TERM, **row} for row in rows])


class TestFacts:
    def test_facts_list_present_files_used_or_counted(self, tmp_path: Path) -> None:
        made = SMALL.raw("results.csv", b"sourcedId\n1\n").raw("buses.csv", b"a\n").raw("lineItems.csv", b"sourcedId\n")
        snapshot = read(made.declaring(lineItems="absent"), tmp_path)
        assert snapshot.facts.files == ("classes", "enrollments", "orgs", "results", "users")

    def test_the_system_is_the_manifests_and_no_unknown_property(self, tmp_path: Path) -> None:
        manifest = SMALL.files()["manifest.csv"] + b"source.systemName,Aspen\nsource.systemCode,aspen-7\n"
        snapshot = read(SMALL.raw("manifest.csv", manifest), tmp_path)
        assert (snapshot.facts.system, snapshot.diagnostics) == ("aspen-7", ())
        assert read(SMALL, tmp_path).facts.system is None
        assert read(SMALL.without_manifest(), tmp_path).facts.system is None

    def test_a_source_is_as_new_as_its_newest_member(self, tmp_path: Path) -> None:
        path = tmp_path / "roster.zip"
        times = {"users.csv": (2026, 9, 1, 4, 5, 6), "orgs.csv": (1980, 1, 1, 0, 0, 0)}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in SMALL.files().items():
                archive.writestr(zipfile.ZipInfo(name, times.get(name, (2026, 8, 31, 23, 0, 0))), content)
        assert read_zip(path, fetched_at=NOW).facts.packed_at == "2026-09-01T04:05:06"

    def test_members_without_times_tell_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "roster.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in SMALL.files().items():
                archive.writestr(zipfile.ZipInfo(name), content)
        assert read_zip(path, fetched_at=NOW).facts.packed_at is None


class TestTimes:
    def test_newest_time_of_orgs_people_and_classes_is_verbatim(self, tmp_path: Path) -> None:
        made = with_times(u_0003="2026-09-03T02:00:00.000Z", c_03="2026-09-04", s_1="2026-09-03 23:59:59")
        snapshot = read(made, tmp_path)
        assert (snapshot.facts.modified_at, snapshot.diagnostics) == ("2026-09-04", ())

    def test_without_times_there_is_none(self, tmp_path: Path) -> None:
        assert read(SMALL, tmp_path).facts.modified_at is None

    def test_future_and_unreadable_times_are_counted_but_ignored(self, tmp_path: Path) -> None:
        made = with_times(
            u_0003="2026-09-03T02:00:00.000Z",
            u_0004="2026-11-24T03:00:00Z",
            u_0005="9/3/2026",
            u_0006="9999-12-31T00:00:00Z",
        )
        snapshot = read(made, tmp_path)
        assert snapshot.facts.modified_at == "2026-09-03T02:00:00.000Z"
        assert str(only(snapshot.diagnostics)) == (
            "users.csv:5: warning: dateLastModified is in the future or unreadable, and is ignored"
            " (3 rows, first line 5) [doubtful-modified-time]"
        )
        assert (snapshot.users.height, snapshot.quarantine.height) == (10, 0)

    def test_less_than_a_day_ahead_is_clock_or_zone(self, tmp_path: Path) -> None:
        snapshot = read(with_times(u_0003="2026-11-23T02:00:00+14:00"), tmp_path)
        assert (snapshot.facts.modified_at, snapshot.diagnostics) == ("2026-11-23T02:00:00+14:00", ())

    def test_times_of_enrollments_are_not_even_read(self, tmp_path: Path) -> None:
        made = SMALL.with_row("enrollments", "e-00003", dateLastModified="9999")
        assert (read(made, tmp_path).facts.modified_at, read(made, tmp_path).diagnostics) == (None, ())

    def test_delta_without_times_is_as_old_as_its_base(self, tmp_path: Path) -> None:
        base = read(with_times(u_0003="2026-09-03"), tmp_path)
        changed = SMALL.delta(SMALL.with_user("u-0004", givenName="Zoe"))
        assert read_over(base, changed, tmp_path).facts.modified_at == "2026-09-01T02:00:00.000Z"
        timeless = changed.with_row("users", "u-0004", dateLastModified="")
        assert read_over(base, timeless, tmp_path).facts.modified_at == "2026-09-03"
        assert read_over(base, timeless, tmp_path).facts.files == base.facts.files


class TestSessions:
    def test_days_and_parents_are_read(self, tmp_path: Path) -> None:
        made = sessions(
            {"sourcedId": "y-1", "endDate": "2027-06-12"},
            {"sourcedId": "t-1", "parentSourcedId": "y-1"},
            {
                "sourcedId": "t-2",
                "parentSourcedId": "y-1",
                "startDate": "2027-01-15T00:00:00Z",
                "endDate": "2027-06-12",
            },
        )
        snapshot = read(made, tmp_path)
        assert snapshot.sessions.schema == SESSIONS_SCHEMA
        assert snapshot.sessions.rows() == [
            ("y-1", "2026-08-20", "2027-06-12", None, 2),
            ("t-1", "2026-08-20", "2027-01-15", "y-1", 3),
            ("t-2", "2027-01-15", "2027-06-12", "y-1", 4),
        ]
        assert snapshot.diagnostics == ()

    def test_without_the_file_there_are_none(self, tmp_path: Path) -> None:
        snapshot = read(SMALL, tmp_path)
        assert (snapshot.sessions.height, snapshot.sessions.schema) == (0, SESSIONS_SCHEMA)

    @pytest.mark.parametrize(
        "days",
        [
            {"endDate": "2025-02-30"},
            {"endDate": "1900-01-01"},
            {"startDate": "9999-12-31"},
            {"endDate": ""},
            {"startDate": "8/20/2026"},
            {"startDate": "2027-01-15"},
            {"startDate": "2027-06-12", "endDate": "2026-08-20"},
        ],
    )
    def test_session_with_invalid_dates_is_unknown_and_classes_stay(self, tmp_path: Path, days: dict[str, str]) -> None:
        snapshot = read(sessions({"sourcedId": "t-1", **days}, {"sourcedId": "t-2"}), tmp_path)
        assert snapshot.sessions["sourced_id"].to_list() == ["t-2"]
        assert (snapshot.classes.height, snapshot.quarantine.height) == (8, 0)
        found = only(snapshot.diagnostics)
        assert (found.code, found.span) == ("invalid-session-dates", Span("academicSessions.csv", 2))
        assert "classes of this session count as not ended" in found.message

    def test_contradictory_sessions_are_unknown_and_repeated_ones_count_once(self, tmp_path: Path) -> None:
        made = sessions(
            {"sourcedId": "t-1"},
            {"sourcedId": "t-1", "endDate": "2027-02-01"},
            {"sourcedId": "t-2"},
            {"sourcedId": "t-2"},
        )
        snapshot = read(made, tmp_path)
        assert snapshot.sessions["sourced_id"].to_list() == ["t-2"]
        assert codes(snapshot.diagnostics) == ["duplicate-session"]

    @pytest.mark.parametrize(
        ("parents", "path"),
        [
            ({"t-1": "t-1"}, "t-1 -> t-1"),
            ({"t-1": "t-2", "t-2": "t-1"}, "t-1 -> t-2 -> t-1"),
            ({"t-1": "t-2", "t-2": "t-3", "t-3": "t-1"}, "t-1 -> t-2 -> t-3 -> t-1"),
        ],
    )
    def test_circular_sessions_are_refused_with_the_circle(
        self, tmp_path: Path, parents: dict[str, str], path: str
    ) -> None:
        made = sessions(*({"sourcedId": key, "parentSourcedId": parent} for key, parent in parents.items()))
        found = only(refused(made, tmp_path))
        assert (found.code, found.message) == ("session-cycle", f"sessions form a cycle: {path}")
        assert found.span == Span("academicSessions.csv", 2)

    def test_changes_of_sessions_are_laid_over_those_before(self, tmp_path: Path) -> None:
        before = sessions({"sourcedId": "t-1"}, {"sourcedId": "t-2"}, {"sourcedId": "t-3"})
        after = sessions({"sourcedId": "t-1"}, {"sourcedId": "t-2", "endDate": "2027-01-20"})
        base = read(before, tmp_path)
        merged = read_over(base, before.delta(after), tmp_path)
        assert merged.sessions.select("sourced_id", "end").rows() == [("t-1", "2027-01-15"), ("t-2", "2027-01-20")]
        assert merged.classes.equals(base.classes)
        unclear = replace(after.delta(before.with_row("academicSessions", "t-2", endDate="soon")))
        kept = read_over(merged, unclear, tmp_path).sessions["sourced_id"]
        assert sorted(kept) == ["t-1", "t-3"]

    def test_changes_that_bring_no_sessions_keep_those_before(self, tmp_path: Path) -> None:
        before = sessions({"sourcedId": "t-1"}, {"sourcedId": "t-2"})
        base = read(before, tmp_path)
        merged = read_over(base, before.delta(before.with_user("u-0003", givenName="Zoe")), tmp_path)
        assert merged.sessions.equals(base.sessions)
        assert merged.diagnostics == ()


class TestSanity:
    def test_invalid_enrollment_dates_are_dropped_with_a_warning(self, tmp_path: Path) -> None:
        made = SMALL
        for place, day in enumerate(["1900-01-01", "9999-12-31", "2025-02-30", "soon"], start=3):
            made = made.with_row("enrollments", f"e-0000{place}", endDate=day)
        snapshot = read(made, tmp_path)
        assert snapshot.enrollments["end_date"].null_count() == 4
        assert (snapshot.enrollments.height, places(snapshot)) == (20, [])
        found = only(snapshot.diagnostics)
        assert (found.code, found.span) == ("invalid-date", Span("enrollments.csv", 4))

    def test_more_guardians_than_anybody_has_are_told(self, tmp_path: Path) -> None:
        many, some = (",".join(f"a-{number}" for number in range(count)) for count in (400, 10))
        snapshot = read(SMALL.with_user("u-0003", agentSourcedIds=many), tmp_path)
        found = only(snapshot.diagnostics)
        assert (found.code, found.span) == ("many-agents", Span("users.csv", 4))
        assert snapshot.users.height == 10
        assert read(SMALL.with_user("u-0003", agentSourcedIds=some), tmp_path).diagnostics == ()

    def test_two_districts_above_all_others_are_told(self, tmp_path: Path) -> None:
        snapshot = read(SMALL.with_row("orgs", "d-2", name="Other", type="district"), tmp_path)
        found = only(snapshot.diagnostics)
        assert (found.code, found.span) == ("several-roots", Span("orgs.csv", 2))
        flat = SMALL.with_row("orgs", "s-1", parentSourcedId="")
        assert read(flat, tmp_path).diagnostics == ()
