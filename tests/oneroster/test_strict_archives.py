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
def test_enclosing_folder_is_reported_once_and_its_files_checked(version: str, tmp_path: Path) -> None:
    made = complete(version).with_row("orgs", "d", name="")
    letter = check_against_standard(made.zip(tmp_path / "roster.zip", folder="export"))
    assert places(letter.diagnostics) == [
        ("strict-missing-required-value", "orgs.csv", 2, 4),
        ("strict-folder-in-archive", "roster.zip", 0, 0),
    ]


def test_file_twice_in_an_archive_is_refused_and_others_checked(tmp_path: Path) -> None:
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


def test_operating_system_leftovers_are_not_standard_files(tmp_path: Path) -> None:
    letter = check_against_standard(
        pack(tmp_path / "roster.zip", [*members(), ("__MACOSX/._orgs.csv", b""), (".DS_Store", b"")])
    )
    assert places(letter.diagnostics) == [
        ("strict-unknown-file", ".DS_Store", 0, 0),
        ("strict-unknown-file", "__MACOSX/._orgs.csv", 0, 0),
    ]


@pytest.mark.parametrize("name", ["../users.csv", "/etc/users.csv", "..\\b.csv"])
def test_name_leading_outside_is_refused_and_others_checked(name: str, tmp_path: Path) -> None:
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


def test_damaged_file_is_refused_and_others_are_checked(tmp_path: Path) -> None:
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


def test_damaged_manifest_is_refused_and_files_tell_the_version(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        for name, content in members("1.2"):
            made.writestr(zipfile.ZipInfo(name), content)
    path.write_bytes(path.read_bytes().replace(b"manifest.version,1.0", b"manifest.version,1.1"))
    letter = check_against_standard(path)
    assert places(letter.diagnostics) == [("damaged-archive", "roster.zip", 0, 0)]
    assert letter.version == "1.2"


def test_oversized_file_is_refused_and_others_are_checked(tmp_path: Path) -> None:
    files = dict(members()) | {"demographics.csv": b"000\n" * 5_000_000}
    letter = check_against_standard(pack(tmp_path / "roster.zip", files.items()))
    assert places(letter.diagnostics) == [("unpacks-too-large", "roster.zip", 0, 0)]


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty-file"), (b"users", "not-a-zip"), (b"PK\x03\x04users", "truncated-archive")]
)
def test_non_archive_is_refused_without_further_findings(content: bytes, code: str, tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    path.write_bytes(content)
    letter = check_against_standard(path)
    assert (letter.version, letter.counts, letter.has_errors) == (None, {}, True)
    assert [diagnostic.code for diagnostic in letter.diagnostics] == [code]


def test_archive_of_too_many_files_is_refused_unread(tmp_path: Path) -> None:
    letter = check_against_standard(
        pack(tmp_path / "roster.zip", [*members(), *((f"{number}.csv", b"") for number in range(64))])
    )
    assert [diagnostic.code for diagnostic in letter.diagnostics] == ["too-many-members"]
    assert letter.version is None


def test_several_folders_are_refused_and_root_files_are_checked(tmp_path: Path) -> None:
    letter = check_against_standard(pack(tmp_path / "roster.zip", [*members(), ("old/users.csv", b"x")]))
    assert places(letter.diagnostics) == [
        ("several-folders", "roster.zip", 0, 0),
        ("strict-unknown-file", "old/users.csv", 0, 0),
    ]


def test_missing_file_is_left_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"absent\.zip"):
        check_against_standard(tmp_path / "absent.zip")


def test_every_archive_refusal_is_in_the_table() -> None:
    assert set(re.findall(r'error\(\s*"([a-z-]+)"', inspect.getsource(archive))) == set(REFUSALS)


def test_delta_rows_may_refer_to_earlier_files(tmp_path: Path) -> None:
    made = as_delta(complete("1.1"), "enrollments", "academicSessions")
    made = made.with_row("enrollments", "e-1", classSourcedId="earlier", status="tobedeleted")
    assert hold(made.with_row("classes", "c", termSourcedIds="earlier"), tmp_path).diagnostics == ()
