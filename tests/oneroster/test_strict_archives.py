"""Strict checks of an archive's members, also of an archive that a sync refuses."""

from __future__ import annotations

import inspect
import re
import warnings
import zipfile
from pathlib import Path

import pytest

from reconciler.oneroster.archive import archive
from reconciler.oneroster.strict.check import check_against_standard
from reconciler.oneroster.strict.rules import REFUSALS
from tests.support.rosters.strict_bundles import as_delta, complete, hold, pack, places

VERSIONS = ("1.1", "1.2")


def members(version: str = "1.1") -> list[tuple[str, bytes]]:
    return list(complete(version).files().items())


@pytest.mark.parametrize("version", VERSIONS)
def test_a_folder_around_all_files_is_told_once_and_its_files_are_checked(version: str, tmp_path: Path) -> None:
    made = complete(version).with_row("orgs", "d", name="")
    letter = check_against_standard(made.zip(tmp_path / "roster.zip", folder="export"))
    assert places(letter.diagnostics) == [
        ("strict-missing-required-value", "orgs.csv", 2, 4),
        ("strict-folder-in-archive", "roster.zip", 0, 0),
    ]


def test_a_file_that_is_twice_in_the_archive_is_refused_and_told_and_the_rest_is_checked(tmp_path: Path) -> None:
    files = members()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = pack(tmp_path / "roster.zip", [*files, ("orgs.csv", b"")])
    letter = check_against_standard(path)
    assert places(letter.diagnostics) == [
        ("duplicate-member", "roster.zip", 0, 0),
        ("strict-duplicate-file", "orgs.csv", 0, 0),
    ]
    assert letter.has_errors


def test_files_whose_names_differ_in_case_are_told(tmp_path: Path) -> None:
    letter = check_against_standard(pack(tmp_path / "roster.zip", [*members(), ("ORGS.csv", b"")]))
    assert places(letter.diagnostics) == [
        ("duplicate-member", "roster.zip", 0, 0),
        ("strict-file-name-case", "ORGS.csv", 0, 0),
    ]


def test_what_operating_systems_leave_behind_is_no_file_of_the_standard(tmp_path: Path) -> None:
    letter = check_against_standard(
        pack(tmp_path / "roster.zip", [*members(), ("__MACOSX/._orgs.csv", b""), (".DS_Store", b"")])
    )
    assert places(letter.diagnostics) == [
        ("strict-unknown-file", ".DS_Store", 0, 0),
        ("strict-unknown-file", "__MACOSX/._orgs.csv", 0, 0),
    ]


@pytest.mark.parametrize("name", ["../users.csv", "/etc/users.csv", "a\\b.csv"])
def test_a_name_that_leads_out_of_the_archive_is_refused_and_the_rest_is_checked(name: str, tmp_path: Path) -> None:
    bent = complete("1.1").with_row("orgs", "d", name="").files()
    letter = check_against_standard(pack(tmp_path / "roster.zip", [*bent.items(), (name, b"x")]))
    found = [code for code, *_ in places(letter.diagnostics)]
    assert "unsafe-member-name" in found
    assert "strict-unknown-file" in found
    assert "strict-missing-required-value" in found


def test_a_link_is_refused_and_is_no_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w") as made:
        for name, content in members():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (0o120777 if name == "orgs.csv" else 0o100644) << 16
            made.writestr(entry, content)
    letter = check_against_standard(path)
    assert places(letter.diagnostics) == [("not-a-regular-file", "roster.zip", 0, 0)]


def test_a_damaged_file_is_refused_and_the_others_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        for name, content in complete("1.1").with_row("orgs", "d", name="").files().items():
            made.writestr(zipfile.ZipInfo(name), content)
    content = path.read_bytes()
    assert content.count(b"Homework") == 1
    path.write_bytes(content.replace(b"Homework", b"homework"))
    letter = check_against_standard(path)
    assert places(letter.diagnostics) == [
        ("damaged-archive", "roster.zip", 0, 0),
        ("strict-missing-required-value", "orgs.csv", 2, 4),
    ]


def test_a_damaged_manifest_is_refused_and_the_version_is_that_of_the_files(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        for name, content in members("1.2"):
            made.writestr(zipfile.ZipInfo(name), content)
    path.write_bytes(path.read_bytes().replace(b"manifest.version,1.0", b"manifest.version,1.1"))
    letter = check_against_standard(path)
    assert places(letter.diagnostics) == [("damaged-archive", "roster.zip", 0, 0)]
    assert letter.version == "1.2"


def test_a_file_that_unpacks_to_too_much_is_refused_and_the_others_are_checked(tmp_path: Path) -> None:
    files = dict(members()) | {"demographics.csv": b"000\n" * 5_000_000}
    letter = check_against_standard(pack(tmp_path / "roster.zip", files.items()))
    assert places(letter.diagnostics) == [("unpacks-too-large", "roster.zip", 0, 0)]


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty-file"), (b"users", "not-a-zip"), (b"PK\x03\x04users", "truncated-archive")]
)
def test_what_is_no_archive_is_refused_and_nothing_more_is_said(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    path.write_bytes(content)
    letter = check_against_standard(path)
    assert (letter.version, letter.counts, letter.has_errors) == (None, {}, True)
    assert [diagnostic.code for diagnostic in letter.diagnostics] == [code]


def test_an_archive_of_too_many_files_is_refused_and_not_looked_into(tmp_path: Path) -> None:
    letter = check_against_standard(
        pack(tmp_path / "roster.zip", [*members(), *((f"{number}.csv", b"") for number in range(64))])
    )
    assert [diagnostic.code for diagnostic in letter.diagnostics] == ["too-many-members"]
    assert letter.version is None


def test_files_in_several_folders_are_refused_and_those_at_the_root_are_checked(tmp_path: Path) -> None:
    letter = check_against_standard(pack(tmp_path / "roster.zip", [*members(), ("old/users.csv", b"x")]))
    assert places(letter.diagnostics) == [
        ("several-folders", "roster.zip", 0, 0),
        ("strict-unknown-file", "old/users.csv", 0, 0),
    ]


def test_a_file_that_is_not_there_is_the_callers_to_tell(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"absent\.zip"):
        check_against_standard(tmp_path / "absent.zip")


def test_every_reason_to_refuse_an_archive_is_in_the_table() -> None:
    assert set(re.findall(r'error\(\s*"([a-z-]+)"', inspect.getsource(archive))) == set(REFUSALS)


def test_delta_rows_and_rows_of_files_sent_as_delta_refer_to_what_was_sent_earlier(tmp_path: Path) -> None:
    made = as_delta(complete("1.1"), "enrollments", "academicSessions")
    made = made.with_row("enrollments", "e-1", classSourcedId="earlier", status="tobedeleted")
    assert hold(made.with_row("classes", "c", termSourcedIds="earlier"), tmp_path).diagnostics == ()
