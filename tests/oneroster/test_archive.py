"""Damaged and hostile archives are refused; harmless oddities give a warning."""

import stat
import struct
import zipfile
from pathlib import Path

import pytest

from reconciler.oneroster.archive import archive
from reconciler.oneroster.bundle import read_zip
from tests.support.rosters.bundles import bundle
from tests.support.rosters.reading import NOW, codes, only, read, refused_file

SMALL = bundle(users=10)


def packed(path: Path, *more: tuple[str | zipfile.ZipInfo, bytes], without: tuple[str, ...] = ()) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in SMALL.files().items():
            if name not in without:
                made.writestr(name, content)
        for name, content in more:
            made.writestr(name, content)
    return path


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo("placeholder.csv")
    made.filename, made.external_attr, made.create_system = name, mode << 16, 3
    return made


def test_missing_file_is_refused_with_advice(tmp_path: Path) -> None:
    found = only(refused_file(tmp_path / "absent.zip"))
    assert found.code == "unreadable-file"
    assert str(found) == (
        "absent.zip: error: the file cannot be read: No such file or directory [unreadable-file]\n"
        "    Check its path and permissions."
    )


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    path.write_bytes(b"")
    assert codes(refused_file(path)) == ["empty-file"]


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    path.write_bytes(b"sourcedId,status\n" * 100)
    assert codes(refused_file(path)) == ["not-a-zip"]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_truncated_archive_is_refused_as_incomplete(tmp_path: Path, share: float) -> None:
    path = packed(tmp_path / "roster.zip")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert codes(refused_file(path)) == ["truncated-archive"]


@pytest.mark.parametrize("file", ["users.csv", "demographics.csv"])
def test_corrupt_member_is_refused_even_if_unused(tmp_path: Path, file: str) -> None:
    path = packed(tmp_path / "roster.zip", ("demographics.csv", b"sourcedId,birthDate\n" + b"u-0001,2011-04-05\n" * 50))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as made:
        member = made.getinfo(file)
    at = member.header_offset + 30 + len(file) + member.compress_size // 2
    content[at] ^= 0xFF
    path.write_bytes(content)
    found = only(refused_file(path))
    assert found.code == "damaged-archive"
    assert file in found.message


def test_member_declaring_less_than_it_holds_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "roster.zip")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as made:
        size = made.getinfo("users.csv").file_size
    needle = struct.pack("<L", size)
    at = content.rfind(needle)
    content[at : at + 4] = struct.pack("<L", size // 2)
    path.write_bytes(content)
    assert codes(refused_file(path)) == ["damaged-archive"]


def test_password_protected_member_is_refused_by_name(tmp_path: Path) -> None:
    path = packed(tmp_path / "roster.zip")
    content = bytearray(path.read_bytes())
    directory = content.rfind(b"PK\x01\x02", 0, content.rfind(b"users.csv"))
    content[directory + 8] |= 1
    path.write_bytes(content)
    found = only(refused_file(path))
    assert found.code == "encrypted-member"
    assert "users.csv" in found.message


@pytest.mark.parametrize(
    "name",
    [
        "../users.csv",
        "a/../../users.csv",
        "/etc/users.csv",
        "C:/users.csv",
        "..\\users.csv",
        "a\\..\\..\\x.csv",
        "..",
        "x\x1b[2J.csv",
    ],
)
def test_name_leading_out_of_the_archive_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "roster.zip", (entry(name), b"x"))
    found = refused_file(path)
    assert "unsafe-member-name" in codes(found)
    assert all(diagnostic.message.isprintable() for diagnostic in found)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFBLK])
def test_a_link_or_device_is_refused(tmp_path: Path, kind: int) -> None:
    path = packed(tmp_path / "roster.zip", (entry("more.csv", kind | 0o644), b"/etc/passwd"))
    assert codes(refused_file(path)) == ["not-a-regular-file"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["users.csv", "Users.CSV"])
def test_the_same_member_twice_is_refused_with_both_names(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / "roster.zip", (name, b"x"))
    found = only(refused_file(path))
    assert found.code == "duplicate-member"
    assert found.message == f"the archive holds users.csv and {name}"


def test_members_that_share_bytes_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "roster.zip")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as made:
        users = made.getinfo("users.csv").header_offset
    at = content.rfind(b"classes.csv") - 4
    content[at : at + 4] = struct.pack("<L", users)
    path.write_bytes(content)
    assert "overlapping-members" in codes(refused_file(path))


def test_member_expanding_a_hundredfold_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "roster.zip", ("users.csv", b"a" * 4_000_000), without=("users.csv",))
    found = only(refused_file(path))
    assert found.code == "unpacks-too-large"
    assert "users.csv" in found.message


def test_members_too_large_together_are_refused_while_streaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = packed(tmp_path / "roster.zip")
    monkeypatch.setattr(archive, "MOST_BYTES", 1_000)
    assert set(codes(refused_file(path))) == {"unpacks-too-large"}


def test_an_archive_of_too_many_members_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "many.zip", *((f"{number}.txt", b"") for number in range(1_001)))
    assert codes(refused_file(path)) == ["too-many-members"]
    path = packed(tmp_path / "tables.zip", *((f"{number}.csv", b"") for number in range(65)))
    assert codes(refused_file(path)) == ["too-many-members"]


def test_an_unusual_compression_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as made:
        made.writestr("users.csv", b"x")
    assert codes(refused_file(path)) == ["unknown-compression"]


def test_every_problem_of_an_archive_is_told_at_once(tmp_path: Path) -> None:
    path = packed(tmp_path / "roster.zip", (entry("../a.csv"), b"x"), (entry("b.csv", stat.S_IFLNK), b"x"))
    assert codes(refused_file(path)) == ["unsafe-member-name", "not-a-regular-file"]


def test_single_enclosing_folder_is_accepted_with_a_warning(tmp_path: Path) -> None:
    snapshot = read_zip(SMALL.zip(tmp_path / "roster.zip", folder="export/2026"), fetched_at=NOW)
    assert snapshot.users.height == 10
    assert str(only(snapshot.diagnostics)).startswith(
        "roster.zip: warning: the files are in the directory export/2026/ [folder-in-archive]"
    )


@pytest.mark.parametrize("folder", ["export\\", "export\\2026\\"])
def test_backslashes_in_names_are_read_as_slashes(tmp_path: Path, folder: str) -> None:
    path = tmp_path / "roster.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(entry(folder), b"")
        for name, content in SMALL.files().items():
            made.writestr(entry(f"{folder}{name}"), content)
    snapshot = read_zip(path, fetched_at=NOW)
    assert snapshot.users.height == 10
    assert codes(snapshot.diagnostics) == ["backslash-in-name", "folder-in-archive"]
    assert folder.replace("\\", "/") in snapshot.diagnostics[1].message


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_differ_in_slashes_alone_are_the_same_member(tmp_path: Path) -> None:
    path = packed(tmp_path / "roster.zip", (entry("a/x.csv"), b"x"), (entry("a\\x.csv"), b"x"))
    assert "duplicate-member" in codes(refused_file(path))


def test_files_in_two_folders_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "roster.zip", ("old/users.csv", b"x"))
    found = only(refused_file(path))
    assert found.code == "several-folders"
    assert "the root, old" in found.message


def test_what_operating_systems_leave_is_ignored_and_told(tmp_path: Path) -> None:
    noise = ("__MACOSX/._users.csv", ".DS_Store", "desktop.ini", ".hidden.csv", "__MACOSX/users.csv")
    path = packed(tmp_path / "roster.zip", *((name, b"x") for name in noise), ("readme.txt", b"x"))
    snapshot = read_zip(path, fetched_at=NOW)
    assert snapshot.users.height == 10
    assert codes(snapshot.diagnostics) == ["ignored-file", "ignored-file"]


@pytest.mark.parametrize("without", [(), ("users.csv", "orgs.csv", "classes.csv", "enrollments.csv", "manifest.csv")])
def test_an_archive_inside_the_archive_is_refused_unseen(tmp_path: Path, without: tuple[str, ...]) -> None:
    inner = SMALL.zip(tmp_path / "inner.zip").read_bytes()
    found = only(refused_file(packed(tmp_path / "outer.zip", ("old.zip", inner), without=without)))
    assert found.code == "nested-archive"
    assert "old.zip" in found.message


def test_digest_is_of_the_archive_and_its_name_optional(tmp_path: Path) -> None:
    path = SMALL.zip(tmp_path / "upload-17")
    snapshot = read_zip(path, fetched_at=NOW, name="day-2.zip")
    assert snapshot.name == "day-2.zip"
    assert snapshot.type == "zip"
    assert read(SMALL, tmp_path).sha256 == snapshot.sha256
    assert len(snapshot.sha256) == 64
