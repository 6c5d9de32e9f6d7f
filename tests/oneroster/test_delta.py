"""Deltas read from archives over the last good roster: modes, references to earlier files, deletions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from reconciler.model.diagnostic import Severity, Span
from reconciler.model.gate import GATES
from reconciler.oneroster.snapshot import Snapshot
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.rosters.reading import codes, only, places, read, read_over, refused_over

SMALL = bundle(users=10)
NEW = SMALL.version12()
VERSIONS = pytest.mark.parametrize("before", [SMALL, NEW], ids=["1.1", "1.2"])
CHANGED = {"status": "active", "dateLastModified": "2026-09-01"}
GONE = {"status": "tobedeleted", "dateLastModified": "2026-09-01"}


def changes(version: str = "1.1", **tables: list[dict[str, str]]) -> Bundle:
    return Bundle({stem: tuple(rows) for stem, rows in tables.items()}, version, modes=dict.fromkeys(tables, "delta"))


def row(frame: pl.DataFrame, key: str) -> dict[str, object]:
    return frame.row(by_predicate=pl.col("sourced_id") == key, named=True)


def roles_of(snapshot: Snapshot, user: str) -> list[tuple[str, str, bool]]:
    return snapshot.roles.filter(pl.col("user") == user).select("org", "role", "primary").sort("org").rows()


@VERSIONS
def test_changed_row_replaces_only_its_own_record(tmp_path: Path, before: Bundle) -> None:
    base = read(before, tmp_path)
    later = before.with_user("u-0003", givenName="Zoe").with_row("classes", "c-03", title="Poetry")
    merged = read_over(base, before.delta(later), tmp_path)
    assert (row(merged.users, "u-0003")["given_name"], row(merged.users, "u-0003")["line"]) == ("Zoe", 2)
    assert row(merged.classes, "c-03")["title"] == "Poetry"
    assert row(merged.users, "u-0004") == row(base.users, "u-0004")
    assert merged.enrollments.equals(base.enrollments)
    assert merged.orgs.equals(base.orgs)
    assert roles_of(merged, "u-0003") == roles_of(base, "u-0003")
    assert (dict(merged.rows), merged.quarantine.height, merged.diagnostics) == ({"users": 1, "classes": 1}, 0, ())


@VERSIONS
def test_delta_files_are_whole_only_if_declared(tmp_path: Path, before: Bundle) -> None:
    base = read(before, tmp_path)
    merged = read_over(base, before.delta(before.with_user("u-0003", givenName="Zoe")), tmp_path)
    assert not any(merged.is_full(stem) for stem in ("orgs", "users", "classes", "enrollments", "academicSessions"))
    assert all(base.is_full(stem) for stem in ("orgs", "users", "classes", "enrollments"))


@VERSIONS
def test_deleted_person_stays_marked_with_roles_and_place(tmp_path: Path, before: Bundle) -> None:
    base = read(before, tmp_path)
    merged = read_over(base, before.delta(before.without_users(["u-0003"])), tmp_path)
    assert row(merged.users, "u-0003") == {**row(base.users, "u-0003"), "status": "tobedeleted", "line": 2}
    assert roles_of(merged, "u-0003") == roles_of(base, "u-0003")
    gone = merged.enrollments.filter(pl.col("status") == "tobedeleted")
    assert set(gone["user"]) == {"u-0003"}
    assert merged.quarantine.height == 0


@VERSIONS
def test_a_deletion_need_not_say_the_whole_record(tmp_path: Path, before: Bundle) -> None:
    base = read(before, tmp_path)
    made = changes(before.version, users=[{"sourcedId": "u-0003", **GONE}], classes=[{"sourcedId": "c-03", **GONE}])
    merged = read_over(base, made, tmp_path)
    assert row(merged.users, "u-0003")["status"] == "tobedeleted"
    assert row(merged.users, "u-0003")["family_name"] == row(base.users, "u-0003")["family_name"]
    assert row(merged.classes, "c-03")["status"] == "tobedeleted"
    assert merged.quarantine.height == 0
    assert read(made, tmp_path).quarantine.height == 0


def test_vague_deletion_of_an_unknown_record_is_quarantined(tmp_path: Path) -> None:
    merged = read_over(read(SMALL, tmp_path), changes(classes=[{"sourcedId": "c-99", **GONE}]), tmp_path)
    assert places(merged) == [("class", "c-99", "classes.csv", 2, 4, "missing-value")]
    assert merged.classes.height == 8


def test_deletion_mark_stays_until_the_record_returns(tmp_path: Path) -> None:
    first = read_over(read(SMALL, tmp_path), changes(users=[{"sourcedId": "u-0003", **GONE}]), tmp_path)
    second = read_over(first, SMALL.delta(SMALL.with_user("u-0004", givenName="Zoe")), tmp_path)
    assert row(second.users, "u-0003")["status"] == "tobedeleted"
    back = read_over(second, changes(users=[{**dict(SMALL.tables["users"][2]), **CHANGED}]), tmp_path)
    assert row(back.users, "u-0003")["status"] == "active"
    assert roles_of(back, "u-0003") == roles_of(read(SMALL, tmp_path), "u-0003")


@VERSIONS
def test_reference_may_point_into_an_earlier_file(tmp_path: Path, before: Bundle) -> None:
    later = before.with_user("u-0099", username="new").with_row(
        "enrollments", "e-99", classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId="u-0004", role="student"
    )
    merged = read_over(read(before, tmp_path), before.delta(later), tmp_path)
    assert row(merged.enrollments, "e-99")["class"] == "c-01"
    assert roles_of(merged, "u-0099") == [("s-1", "student", True)]
    assert merged.quarantine.height == 0


@VERSIONS
def test_unknown_reference_is_quarantined_until_its_record_arrives(tmp_path: Path, before: Bundle) -> None:
    enrolled = before.with_row(
        "enrollments", "e-99", classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId="u-0099", role="student"
    )
    first = read_over(read(before, tmp_path), before.delta(enrolled), tmp_path)
    assert places(first) == [("enrollment", "e-99", "enrollments.csv", 2, 6, "dangling-reference")]
    second = read_over(first, before.delta(before.with_user("u-0099", username="new")), tmp_path)
    assert row(second.enrollments, "e-99")["user"] == "u-0099"
    assert (second.quarantine.height, dict(second.waiting)) == (0, {})


def test_row_needs_a_status_but_not_a_time(tmp_path: Path) -> None:
    person = {**SMALL.tables["users"][2], "givenName": "Zoe"}
    made = changes(users=[person, {**SMALL.tables["users"][3], "givenName": "Yan", "status": "active"}])
    merged = read_over(read(SMALL, tmp_path), made, tmp_path)
    assert places(merged) == [("user", "u-0003", "users.csv", 2, 2, "missing-status")]
    assert row(merged.users, "u-0004")["given_name"] == "Yan"
    assert row(merged.users, "u-0003")["given_name"] != "Zoe"
    assert str(only(merged.diagnostics)) == (
        "users.csv:2: warning: dateLastModified is empty, but a delta row must have it"
        " (2 rows, first line 2) [missing-modified-time]"
    )


def test_contradictory_rows_are_quarantined_and_the_record_stays(tmp_path: Path) -> None:
    person = dict(SMALL.tables["users"][2])
    made = changes(users=[{**person, **CHANGED}, {"sourcedId": "u-0003", **GONE}])
    merged = read_over(read(SMALL, tmp_path), made, tmp_path)
    assert set(merged.quarantine["code"]) == {"duplicate-sourced-id"}
    assert row(merged.users, "u-0003")["status"] == "active"


def test_earlier_bad_row_protects_until_its_record_returns(tmp_path: Path) -> None:
    first = read(SMALL.with_user("u-0003", role="wizard"), tmp_path)
    second = read_over(first, SMALL.delta(SMALL.with_user("u-0004", givenName="Zoe")), tmp_path)
    assert second.quarantine.select("key", "code").rows() == [("u-0003", "unknown-role")]
    assert second.quarantine["message"].item().endswith("(in a file sent earlier)")
    third = read_over(second, SMALL.delta(SMALL.with_user("u-0004", givenName="Yan")), tmp_path)
    assert third.quarantine["message"].item().count("earlier") == 1
    good = changes(users=[{**SMALL.tables["users"][2], **CHANGED}])
    assert read_over(third, good, tmp_path).quarantine.height == 0


def test_bad_delta_row_keeps_the_earlier_record(tmp_path: Path) -> None:
    base = read(SMALL, tmp_path)
    merged = read_over(base, SMALL.delta(SMALL.with_user("u-0003", role="wizard")), tmp_path)
    assert places(merged) == [("user", "u-0003", "users.csv", 2, 6, "unknown-role")]
    assert row(merged.users, "u-0003") == row(base.users, "u-0003")


class TestMixed:
    """Some files bulk, some delta."""

    def test_whole_file_replaces_all_its_earlier_rows(self, tmp_path: Path) -> None:
        made = changes(enrollments=[]).with_rows("users", SMALL.tables["users"][:9])
        merged = read_over(read(SMALL, tmp_path), made, tmp_path)
        assert (merged.users.height, merged.is_full("users"), merged.is_full("enrollments")) == (9, True, False)
        assert "u-0010" not in merged.enrollments["user"]
        assert merged.enrollments.height == 18
        assert merged.quarantine.height == 0

    def test_enrollments_return_with_somebody_missing_for_a_day(self, tmp_path: Path) -> None:
        base = read(SMALL, tmp_path)
        missing = changes(enrollments=[]).with_rows("users", SMALL.tables["users"][:9])
        back = changes(enrollments=[]).with_rows("users", SMALL.tables["users"])
        merged = read_over(read_over(base, missing, tmp_path), back, tmp_path)
        assert merged.enrollments.sort("sourced_id").equals(base.enrollments.sort("sourced_id"))

    @VERSIONS
    def test_people_of_a_lost_org_are_quarantined_until_it_returns(self, tmp_path: Path, before: Bundle) -> None:
        base = read(before, tmp_path)
        lost = changes(before.version, users=[]).with_rows("orgs", before.tables["orgs"][:2])
        first = read_over(base, lost, tmp_path)
        protected = first.quarantine.filter(pl.col("kind") == "user")["key"]
        assert set(protected) == set(base.roles.filter(pl.col("org") == "s-2")["user"])
        assert first.users.height + protected.len() == 10
        whole = changes(before.version, users=[]).with_rows("orgs", before.tables["orgs"])
        second = read_over(first, whole, tmp_path)
        assert second.users.sort("sourced_id").equals(base.users.sort("sourced_id"))
        assert second.roles.sort("user").equals(base.roles.sort("user"))
        assert second.classes.sort("sourced_id").equals(base.classes.sort("sourced_id"))
        assert second.quarantine.height == 0

    def test_people_of_1_2_are_whole_only_with_both_files(self, tmp_path: Path) -> None:
        base = read(NEW, tmp_path)
        users = changes("1.2", roles=[]).with_rows("users", NEW.tables["users"])
        assert not read_over(base, users, tmp_path).is_full("users")
        both = changes("1.2", classes=[]).with_rows("users", NEW.tables["users"])
        both = both.with_rows("roles", NEW.tables["roles"])
        assert read_over(base, both, tmp_path).is_full("users")

    def test_undeclared_file_beside_a_delta_removes_nothing(self, tmp_path: Path) -> None:
        made = changes(users=[]).raw("classes.csv", changes(classes=[]).text("classes").encode())
        declared = made.files()["manifest.csv"].replace(b"file.classes,bulk\n", b"")
        merged = read_over(read(SMALL, tmp_path), made.raw("manifest.csv", declared), tmp_path)
        assert (merged.classes.height, merged.is_full("classes")) == (8, False)
        assert "classes.csv is not declared; it is read as delta, like other files" in [
            each.message for each in merged.diagnostics
        ]


class TestRoles:
    """roles.csv of 1.2."""

    def test_a_person_without_new_roles_keeps_theirs(self, tmp_path: Path) -> None:
        base = read(NEW, tmp_path)
        merged = read_over(base, NEW.delta(NEW.with_user("u-0003", givenName="Zoe")), tmp_path)
        assert roles_of(merged, "u-0003") == roles_of(base, "u-0003")

    def test_a_role_is_added_changed_and_taken_away(self, tmp_path: Path) -> None:
        base = read(NEW, tmp_path)
        assert roles_of(base, "u-0003") == [("s-2", "student", True)]
        second = {"userSourcedId": "u-0003", "roleType": "secondary", "role": "aide", "orgSourcedId": "s-1", **CHANGED}
        added = read_over(base, changes("1.2", roles=[{"sourcedId": "r-99", **second}]), tmp_path)
        assert roles_of(added, "u-0003") == [("s-1", "aide", False), ("s-2", "student", True)]
        other = {**second, "role": "teacher"}
        changed = read_over(added, changes("1.2", roles=[{"sourcedId": "r-99", **other}]), tmp_path)
        assert roles_of(changed, "u-0003") == [("s-1", "teacher", False), ("s-2", "student", True)]
        gone = {"sourcedId": "r-u-0003-1", **GONE}
        left = read_over(changed, changes("1.2", roles=[gone]), tmp_path)
        assert (roles_of(left, "u-0003"), left.quarantine.height) == ([("s-1", "teacher", True)], 0)

    def test_role_row_moving_schools_leaves_nothing_behind(self, tmp_path: Path) -> None:
        base = read(NEW, tmp_path)
        moved = NEW.with_row("roles", "r-u-0003-1", orgSourcedId="s-1")
        merged = read_over(base, NEW.delta(moved), tmp_path)
        assert roles_of(merged, "u-0003") == [("s-1", "student", True)]
        again = read_over(merged, moved.delta(NEW), tmp_path)
        assert roles_of(again, "u-0003") == roles_of(base, "u-0003")

    def test_losing_the_last_role_protects_until_a_row_decides(self, tmp_path: Path) -> None:
        role = next(each for each in NEW.tables["roles"] if each["userSourcedId"] == "u-0003")
        first = read_over(read(NEW, tmp_path), changes("1.2", roles=[{**role, **GONE}]), tmp_path)
        assert [(each[1], each[5]) for each in places(first)] == [("u-0003", "missing-role")]
        moved = {**role, **CHANGED, "sourcedId": "r-new", "orgSourcedId": "s-1"}
        second = read_over(first, changes("1.2", roles=[moved]), tmp_path)
        assert roles_of(second, "u-0003") == [("s-1", "student", True)]
        assert second.quarantine.height == 0
        deleted = read_over(first, changes("1.2", users=[{"sourcedId": "u-0003", **GONE}]), tmp_path)
        assert row(deleted.users, "u-0003")["status"] == "tobedeleted"
        assert roles_of(deleted, "u-0003") == [("s-2", "student", True)]

    def test_earlier_bad_role_row_ends_with_a_good_one(self, tmp_path: Path) -> None:
        role = next(each for each in NEW.tables["roles"] if each["userSourcedId"] == "u-0003")
        base = read(NEW.with_row("roles", role["sourcedId"], role="wizard"), tmp_path)
        assert "u-0003" not in base.users["sourced_id"]
        merged = read_over(base, changes("1.2", roles=[{**role, **CHANGED}]), tmp_path)
        assert row(merged.users, "u-0003")["line"] == 4
        assert merged.quarantine.height == 0


class TestRefusals:
    @VERSIONS
    def test_gate_refuses_a_delta_before_any_full_roster(self, tmp_path: Path, before: Bundle) -> None:
        made = before.delta(before.with_user("u-0003", givenName="Zoe"))
        found = only(refused_over(None, made, tmp_path))
        assert found.code == "delta-without-whole"
        assert found.code in GATES
        assert found.hint == "Send a full (bulk) roster first."

    def test_changes_of_another_version_are_refused(self, tmp_path: Path) -> None:
        made = NEW.delta(NEW.with_user("u-0003", givenName="Zoe"))
        found = only(refused_over(read(SMALL, tmp_path), made, tmp_path))
        assert (found.code, "1.2, but the last full roster is 1.1" in found.message) == (
            "delta-without-whole",
            True,
        )

    def test_a_bundle_without_any_file_of_changes_is_refused(self, tmp_path: Path) -> None:
        found = only(refused_over(read(SMALL, tmp_path), Bundle({}).declaring(users="delta"), tmp_path))
        assert (found.code, found.severity) == ("missing-file", Severity.ERROR)
        assert found.hint == "Include at least one file with changes in a delta."

    @pytest.mark.parametrize("stem", ["orgs", "courses"])
    def test_declared_whole_file_is_required_beside_a_delta(self, tmp_path: Path, stem: str) -> None:
        found = only(refused_over(read(SMALL, tmp_path), changes(users=[]).declaring(**{stem: "bulk"}), tmp_path))
        assert (found.code, found.span and found.span.file) == ("missing-file", "manifest.csv")

    def test_missing_declared_delta_file_is_reported(self, tmp_path: Path) -> None:
        merged = read_over(read(SMALL, tmp_path), changes(users=[]).declaring(classes="delta"), tmp_path)
        assert codes(merged.diagnostics) == ["declared-file-missing"]
        assert merged.classes.height == 8

    def test_a_circle_that_changes_make_is_told(self, tmp_path: Path) -> None:
        made = SMALL.delta(SMALL.with_row("orgs", "d-1", parentSourcedId="s-2"))
        found = only(read_over(read(SMALL, tmp_path), made, tmp_path).diagnostics)
        assert found.code == "org-cycle"
        assert found.message.startswith("orgs form a cycle: d-1 -> s-2 -> d-1")

    def test_a_whole_roster_asks_for_no_earlier_one(self, tmp_path: Path) -> None:
        assert read_over(None, SMALL, tmp_path).users.height == 10


@VERSIONS
def test_delta_alone_is_checked_by_row_without_references(tmp_path: Path, before: Bundle) -> None:
    later = before.with_user("u-0003", enabledUser="perhaps").with_row("classes", "c-03", title="Poetry")
    later = later.with_row("enrollments", "e-00003", endDate="2027-01-01")
    alone = read(before.delta(later), tmp_path)
    assert places(alone) == [("user", "u-0003", "users.csv", 2, 4, "invalid-boolean")]
    assert (alone.classes.height, alone.enrollments.height, alone.diagnostics) == (1, 1, ())


def test_rows_with_unknown_references_are_anothers_in_shared_bundles(
    tmp_path: Path,
) -> None:
    base = replace(read(SMALL, tmp_path), shared=True)
    later = SMALL.with_row(
        "enrollments", "e-77", classSourcedId="theirs", schoolSourcedId="s-9", userSourcedId="their-1", role="student"
    ).with_row("enrollments", "e-00003", classSourcedId="nowhere")
    merged = read_over(base, SMALL.delta(later), tmp_path)
    assert [each[1] for each in places(merged)] == ["e-00003"]
    assert "rows-of-others" in codes(merged.diagnostics)


def test_many_broken_references_are_counted_against_the_whole(tmp_path: Path) -> None:
    base = read(bundle(users=50), tmp_path)
    rows = [
        {"sourcedId": f"x-{number}", "classSourcedId": "no", "schoolSourcedId": "s-1", "userSourcedId": "u-0001"}
        | {"role": "teacher", **CHANGED}
        for number in range(3)
    ]
    assert read_over(base, changes(enrollments=rows[:2]), tmp_path).diagnostics == ()
    found = only(read_over(base, changes(enrollments=rows), tmp_path).diagnostics)
    assert (found.code, found.span) == ("many-dangling-references", Span("enrollments.csv"))
