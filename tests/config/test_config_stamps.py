"""Files that nobody has written to are not opened again, and none that somebody has is missed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from customer_files import TODAY, Files, next_tick

from reconciler.config.cache import customers as remembered
from reconciler.config.cache import stamps
from reconciler.config.load import layout as config_files
from reconciler.config.repository import Repository, load

CUSTOMERS = Path("customers")
DEFAULTS = "customers/defaults.yaml"
CUSTOMER = "customers/springfield/customer.yaml"
COMMUNITY = "customers/springfield/communities/high.yaml"
TICK = 1_700_000_000_000_000_000


@pytest.fixture
def district(files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Two customers that were read a long time after they were written."""
    monkeypatch.setenv(remembered.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(stamps, "_clock", lambda: time.time_ns() + 2 * stamps.QUIET)
    files.write(DEFAULTS, "kind: defaults\ntimezone: America/Chicago\n")
    for name in ("springfield", "shelbyville"):
        files.customer(name=name)
        files.community(of=name)
    warm()
    return files


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The files that are read from now on, while they are."""
    found: set[str] = set()
    read = config_files.Disk.read

    def noted(disk: config_files.Disk, path: str, most: int, *, follow: bool = False) -> bytes:
        found.add(path)
        return read(disk, path, most, follow=follow)

    monkeypatch.setattr(config_files.Disk, "read", noted)
    return found


def warm() -> Repository:
    found = load(CUSTOMERS, today=TODAY, remembering=True)
    next_tick()
    return found


def seats(found: Repository) -> int:
    return found.customers["springfield"].communities["high"].site_license.seats


def edited(path: Path) -> str:
    """As long as before."""
    text = path.read_text()
    assert text.count("seats: 100") == 1
    return text.replace("seats: 100", "seats: 999")


def test_no_file_of_a_customer_is_opened_where_nobody_wrote_to_one(district: Files, opened: set[str]) -> None:
    assert seats(warm()) == 100
    assert opened == {DEFAULTS}


def test_of_many_only_who_was_edited_is_opened(district: Files, opened: set[str]) -> None:
    path = district.folder / COMMUNITY
    path.write_text(edited(path))
    assert seats(warm()) == 999
    assert opened == {DEFAULTS, CUSTOMER, COMMUNITY}


def _in_place(path: Path) -> None:
    path.write_text(edited(path))


def _by_another(path: Path) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(edited(path))
    shutil.copystat(path, beside)
    beside.replace(path)


def _by_a_linked_one(path: Path) -> None:
    """Written to under a name that nobody looks at."""
    other = path.parents[3] / "other"
    os.link(path, other)
    other.write_text(edited(path))


@pytest.mark.parametrize("write", [_in_place, _by_another, _by_a_linked_one])
def test_other_content_of_the_same_length_and_time_is_seen(district: Files, write: Callable[[Path], None]) -> None:
    path = district.folder / COMMUNITY
    before = path.stat()
    write(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    after = path.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert seats(warm()) == 999


def test_the_same_file_under_another_name_is_seen(district: Files) -> None:
    (district.folder / COMMUNITY).rename(district.folder / "customers/springfield/communities/low.yaml")
    assert "springfield" in warm().invalid


def _slow_clock(state: os.stat_result) -> bytes:
    """Of a file system whose clock stands still."""
    return stamps._STAMP.pack(state.st_dev, state.st_ino, state.st_size, TICK, TICK)


@pytest.mark.parametrize("passed", [0, stamps.QUIET])
def test_a_file_that_is_written_to_twice_within_one_tick_is_seen(
    district: Files, monkeypatch: pytest.MonkeyPatch, passed: int
) -> None:
    monkeypatch.setattr(stamps, "_stamp_of", _slow_clock)
    monkeypatch.setattr(stamps, "_clock", lambda: TICK + passed)
    warm()
    path = district.folder / COMMUNITY
    path.write_text(edited(path))

    monkeypatch.setattr(stamps, "_clock", lambda: TICK + 10 * stamps.QUIET)
    assert seats(warm()) == 999


def test_another_file_with_the_same_times_is_seen(district: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "_stamp_of", _slow_clock)
    warm()
    _by_another(district.folder / COMMUNITY)
    assert seats(warm()) == 999


def test_a_file_from_the_future_is_read_each_time(district: Files, opened: set[str]) -> None:
    path = district.folder / COMMUNITY
    future = time.time_ns() + 100 * stamps.QUIET
    os.utime(path, ns=(future, future))
    warm()
    opened.clear()
    warm()
    assert COMMUNITY in opened


def test_a_file_that_was_young_is_not_opened_any_more_once_it_is_old(
    district: Files, monkeypatch: pytest.MonkeyPatch, opened: set[str]
) -> None:
    for after in (1, 2 * stamps.QUIET):
        monkeypatch.setattr(stamps, "_clock", lambda after=after: time.time_ns() + after)
        (district.folder / COMMUNITY).touch()
        warm()
    opened.clear()
    warm()
    assert opened == {DEFAULTS}


def test_what_is_written_between_the_listing_and_the_reading_is_read_next_time_too(
    district: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = district.folder / COMMUNITY
    path.touch()
    read = config_files.Disk.read

    def written_first(disk: config_files.Disk, name: str, most: int, *, follow: bool = False) -> bytes:
        if name == COMMUNITY and "seats: 100" in path.read_text():
            path.write_text(edited(path))
        return read(disk, name, most, follow=follow)

    monkeypatch.setattr(config_files.Disk, "read", written_first)
    assert seats(warm()) == 999
    path.write_text(path.read_text().replace("seats: 999", "seats: 888"))
    assert seats(warm()) == 888


def test_another_defaults_file_above_is_seen_although_no_file_of_the_customer_is_another(
    district: Files, opened: set[str]
) -> None:
    district.write("customers/defaults.yaml", "kind: defaults\ntimezone: America/Denver\n")
    found = warm()
    assert {str(each.customer.timezone) for each in found.customers.values()} == {"America/Denver"}
    assert CUSTOMER in opened


def test_a_new_lesson_in_the_catalogue_is_seen(district: Files, opened: set[str]) -> None:
    district.write("customers/lessons/cells.yaml", "kind: lesson\nid: cells\ntitle: C\nurl: https://l.example/c\n")
    warm()
    assert CUSTOMER in opened


def test_a_link_in_the_place_of_a_file_is_seen(district: Files) -> None:
    path = district.folder / COMMUNITY
    path.rename(district.folder / "high.yaml")
    path.symlink_to(district.folder / "high.yaml")
    for _ in range(2):
        assert [each.code for each in warm().invalid["springfield"]] == ["linked-file"]


def test_files_of_an_invalid_customer_are_opened_each_time(district: Files, opened: set[str]) -> None:
    district.customer("wrong: 1\n", name="springfield")
    for _ in range(2):
        opened.clear()
        assert "springfield" in warm().invalid
        assert opened == {DEFAULTS, CUSTOMER, COMMUNITY}
