"""Faults 1 to 24: archives and files. Each case has its number and ends with all accounts intact."""

from __future__ import annotations

import stat
import struct
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.rosters.bundles import bundle
from tests.support.schools.by_files import DAY_ONE, STUDENTS, School, as_file, entry, inner_zip, lines, packed


def test_01_a_truncated_archive_is_refused(school: School, tmp_path: Path) -> None:
    path = packed(tmp_path / "cut.zip")
    path.write_bytes(path.read_bytes()[:-200])
    school.refused(path, "truncated-archive")


def test_02_member_with_bad_checksum_refuses_the_archive(school: School, tmp_path: Path) -> None:
    path = packed(tmp_path / "bad.zip")
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("classes.csv")
    content = bytearray(path.read_bytes())
    content[member.header_offset + 30 + len("classes.csv") + member.compress_size // 2] ^= 0xFF
    path.write_bytes(content)
    assert "classes.csv" in school.refused(path, "damaged-archive")["message"]


def test_03_member_under_a_password_is_refused_by_name(school: School, tmp_path: Path) -> None:
    path = packed(tmp_path / "secret.zip")
    content = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(signature)
        flags = struct.unpack_from("<H", content, place + at)[0]
        struct.pack_into("<H", content, place + at, flags | 1)
    path.write_bytes(content)
    assert "orgs.csv" in school.refused(path, "encrypted-member")["message"]


def test_04_a_bomb_is_refused(school: School, tmp_path: Path) -> None:
    path = packed(tmp_path / "bomb.zip", ("demographics.csv", b" " * 60_000_000))
    school.refused(path, "unpacks-too-large")


def test_05_an_archive_inside_the_archive_is_refused(school: School, tmp_path: Path) -> None:
    school.refused(packed(tmp_path / "nested.zip", ("roster.zip", inner_zip())), "nested-archive")


@pytest.mark.parametrize("name", ["users.csv", "Users.csv"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_06_two_members_of_one_name_are_refused(school: School, tmp_path: Path, name: str) -> None:
    school.refused(packed(tmp_path / "twice.zip", (name, DAY_ONE.text("users").encode())), "duplicate-member")


@pytest.mark.parametrize("name", ["../users.csv", "/users.csv", "C:/users.csv", "..\\users.csv"])
def test_07_member_leaving_its_folder_is_refused(school: School, tmp_path: Path, name: str) -> None:
    school.refused(packed(tmp_path / "away.zip", (entry(name), b"x")), "unsafe-member-name")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_08_member_not_a_plain_file_is_refused(school: School, tmp_path: Path, mode: int) -> None:
    school.refused(packed(tmp_path / "link.zip", (entry("link.csv", mode | 0o777), b"/etc")), "not-a-regular-file")


def test_09_one_folder_is_accepted_and_two_are_refused(school: School, tmp_path: Path) -> None:
    school.told(DAY_ONE.zip(tmp_path / "folder.zip", folder="export"), "folder-in-archive")
    two = packed(tmp_path / "two.zip", ("a/users.csv", b"x"), ("b/orgs.csv", b"x"), without=DAY_ONE.files())
    school.refused(two, "several-folders")


@pytest.mark.parametrize("name", ["__MACOSX/._users.csv", ".DS_Store", "desktop.ini", ".hidden"])
def test_10_what_desktops_leave_behind_is_ignored(school: School, tmp_path: Path, name: str) -> None:
    school.told(packed(tmp_path / "mac.zip", (name, b"\x00\x05")), "ignored-file", "info")


def test_11_too_many_members_are_refused(school: School, tmp_path: Path) -> None:
    path = packed(tmp_path / "many.zip", *((f"{number}.txt", b"") for number in range(5_000)))
    school.refused(path, "too-many-members")


@pytest.mark.parametrize("file", ["users.csv", "orgs.csv", "classes.csv", "enrollments.csv"])
def test_12_a_missing_file_is_refused(school: School, file: str) -> None:
    school.refused(DAY_ONE.without_file(file), "missing-file")


def test_12_declared_but_missing_file_is_refused(school: School) -> None:
    school.refused(DAY_ONE.declaring(courses="bulk"), "missing-file")


def test_13_file_declared_absent_or_unknown_is_reported(school: School) -> None:
    school.told(DAY_ONE.declaring(courses="absent").raw("courses.csv", b"sourcedId,title\n"), "undeclared-file")
    school.told(DAY_ONE.raw("staff.csv", b"a,b\n1,2\n"), "unknown-file")


def test_14_absence_from_a_delta_removes_nobody(school: School) -> None:
    one = DAY_ONE.with_user(
        STUDENTS[0], email="new@example.com", status="active", dateLastModified="2026-09-01T00:00:00Z"
    )
    rows = [row for row in one.tables["users"] if row["sourcedId"] == STUDENTS[0]]
    customer = school.quiet(one.with_rows("users", rows).declaring(users="delta"))
    assert customer["counts"]["user"]["delete"] == 0
    assert customer["counts"]["user"]["update"] == 1


def test_15_missing_optional_file_holds_what_it_would_remove(school: School) -> None:
    sessions = b"sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear\n"
    sessions += b"t-1,,,Term,term,2026-08-20,2027-06-11,,2027\nt-2,,,Term,term,2026-08-20,2027-06-11,,2027\n"
    assert school.apply(DAY_ONE.raw("academicSessions.csv", sessions)).code == 0
    school.told(DAY_ONE, "optional-file-missing")


def test_15_and_with_something_to_hold_it_is_held(school: School) -> None:
    sessions = b"sourcedId,status,dateLastModified,title,type,startDate,endDate,parentSourcedId,schoolYear\n"
    sessions += b"t-1,,,Term,term,2026-08-20,2027-06-11,,2027\nt-2,,,Term,term,2026-08-20,2027-06-11,,2027\n"
    assert school.apply(DAY_ONE.raw("academicSessions.csv", sessions)).code == 0
    school.held(DAY_ONE.without_class("c-01"), "optional-file-missing")


def test_16_a_file_of_nothing_is_refused(school: School) -> None:
    school.refused(DAY_ONE.raw("users.csv", b""), "empty-file")


@pytest.mark.parametrize("table", ["orgs", "users", "classes", "enrollments"])
def test_17_header_only_file_that_had_rows_is_refused(school: School, table: str) -> None:
    made = DAY_ONE.with_rows(table, [])
    before = school.live()
    plan = school.plan(made)
    customer = plan.json["customers"][0]
    assert (plan.code, customer["outcome"]) == (3, "refused")
    assert "emptied-file" in {each["code"] for each in customer["diagnostics"]}
    assert school.apply(made).code == 3
    assert school.live() == before


def test_18_file_with_rows_of_another_is_refused(school: School) -> None:
    school.refused(DAY_ONE.raw("users.csv", DAY_ONE.text("classes").encode()), "wrong-file-header")


def test_19_far_fewer_rows_than_last_time_are_held(school: School) -> None:
    customer = school.held(DAY_ONE.without_users(STUDENTS[:30]), "row-count-drop")
    assert customer["counts"]["user"]["delete"] == customer["hold"]["people"] == 30


def test_20_file_ending_in_mid_line_is_refused(school: School) -> None:
    text = DAY_ONE.text("users").encode()
    school.refused(DAY_ONE.raw("users.csv", text[: len(text) - 60]), "truncated-file")


def test_21_the_same_archive_again_changes_nothing(school: School) -> None:
    customer = school.quiet(DAY_ONE)
    assert customer["outcome"] == "unchanged"


def test_22_older_archive_is_held_entirely(school: School, tmp_path: Path) -> None:
    path = tmp_path / "older.zip"
    older = DAY_ONE.without_users(STUDENTS[:2]).with_user(STUDENTS[5], givenName="Former")
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in older.files().items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 8, 1, 3, 0, 0)), content)
    customer = school.held(path, "stale-source")
    assert all(change["held"] for change in customer["changes"])


def test_23_another_customers_archive_is_refused(school: School) -> None:
    other = bundle(users=80, seed=9)
    renamed = other.with_rows(
        "orgs",
        [
            {**row, "sourcedId": f"x-{row['sourcedId']}", "parentSourcedId": row.get("parentSourcedId") and "x-d-1"}
            for row in other.tables["orgs"]
        ],
    )
    school.refused(renamed, "not-this-customer")


def test_23_an_archive_of_another_source_system_is_refused(school: School) -> None:
    def of(system: str) -> bytes:
        return DAY_ONE.files()["manifest.csv"] + f"source.systemCode,{system}\n".encode()

    assert school.apply(DAY_ONE.raw("manifest.csv", of("sis-1"))).code == 0
    school.refused(replace(DAY_ONE).raw("manifest.csv", of("sis-2")), "other-source-system")


#: Numbers without a case in this folder, and why.
NOT_HERE = {
    24: "a schedule runs only in `sync`: tests/operations/test_sync_notices.py",
}


def test_every_line_of_a_file_of_faults_reads(school: School) -> None:
    """The tests themselves could be wrong: a good roster must be read."""
    with pytest.raises(AssertionError):
        school.refused(DAY_ONE, "missing-file")
    with pytest.raises(AssertionError):
        school.held(DAY_ONE.raw("users.csv", as_file(lines("users"))), "row-count-drop")


def test_117_a_blank_mode_of_a_file_that_no_sync_reads_is_told(school: School) -> None:
    manifest = DAY_ONE.files()["manifest.csv"].replace(b"file.results,absent", b"file.results,")
    found = school.told(DAY_ONE.raw("manifest.csv", manifest), "blank-mode")
    assert found["message"] == "file.results has no mode; it is read as absent"
    school.refused(
        DAY_ONE.raw("manifest.csv", manifest.replace(b"file.users,bulk", b"file.users,")), "invalid-manifest"
    )


def test_124_backslashes_that_lead_nowhere_are_read_as_slashes(school: School, tmp_path: Path) -> None:
    members = [(entry(f"roster\\{name}"), content) for name, content in DAY_ONE.files().items()]
    found = school.told(packed(tmp_path / "by-powershell.zip", *members, without=DAY_ONE.files()), "backslash-in-name")
    assert found["hint"] == "Pack it with PowerShell 7 or another program: the ZIP format requires slashes."
    school.refused(packed(tmp_path / "out.zip", (entry("..\\users.csv"), b"x")), "unsafe-member-name")


def test_125_a_bundle_of_another_version_than_the_file_says_is_told(school: School) -> None:
    found = school.told(DAY_ONE.version12(), "version-differs")
    assert found["message"] == "the roster is OneRoster 1.2, but rostering.version is 1.1; it is read as 1.2"
    old = DAY_ONE.raw("manifest.csv", DAY_ONE.files()["manifest.csv"].replace(b"version,1.1", b"version,1.0"))
    assert "version 1.0 is not supported" in school.refused(old, "unknown-version")["message"]
