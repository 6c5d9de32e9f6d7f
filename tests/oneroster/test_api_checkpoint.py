"""Pages kept of a fetch that was killed: gone on from only where nothing moved, and readable by nobody."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.api.pages import checkpoint as room
from reconciler.oneroster.sources.api.pages.checkpoint import (
    CheckpointPage,
    CheckpointSettings,
    open_checkpoint,
    remove_all_checkpoints,
    remove_expired_checkpoints,
)
from reconciler.oneroster.sources.api.pages.paging import PageFacts, PageRequest
from reconciler.oneroster.sources.interface import FetchRequest
from tests.support.rosters.bundles import bundle
from tests.support.sources.scripted_api import KilledError, ScriptedApi, record, records, refusal, source

NOW, SOON, LATE = "2026-11-22T03:00:00Z", "2026-11-22T09:00:00Z", "2026-11-23T04:00:00Z"
KEY = bytes(range(32))
MADE = bundle(users=65).version12()
KEPT = CheckpointPage(
    PageRequest(0, 30),
    PageFacts(1, b"\x01\x02", "u-1", "u-1", True, 1),
    {"users": pl.DataFrame({"sourcedId": ["u-1"], "givenName": ["Marguerite"]})},
)


def killed_at(number: int) -> Any:
    def before(api: ScriptedApi, request: int) -> None:
        if request == number:
            raise KilledError

    return before


def nothing_left(folder: Path) -> bool:
    return not list(folder.rglob("*"))


def left_behind(place: CheckpointSettings) -> None:
    with suppress(KilledError), open_checkpoint(place, {"url": "a"}, NOW) as kept:
        assert kept is not None
        kept.save_page("users", 0, KEPT)
        raise KilledError


@pytest.fixture
def place(tmp_path: Path) -> CheckpointSettings:
    return CheckpointSettings(tmp_path / "fetches", KEY)


@pytest.fixture(scope="module")
def whole() -> tuple[bytes, int]:
    """The bundle of a fetch that nothing happened to, and how many requests that takes."""
    api = ScriptedApi(records(MADE))
    with source(api, version="1.2").fetch(FetchRequest(NOW)).stream as stream:
        return stream.read(), len(api.asked)


def test_fetch_killed_at_any_page_resumes_to_identical_bytes(
    place: CheckpointSettings, whole: tuple[bytes, int]
) -> None:
    content, requests = whole
    for number in range(1, requests + 1):
        first = ScriptedApi(records(MADE), before=killed_at(number))
        with pytest.raises(KilledError):
            source(first, place, version="1.2").fetch(FetchRequest(NOW))
        second = ScriptedApi(records(MADE))
        with source(second, place, version="1.2").fetch(FetchRequest(SOON)).stream as stream:
            assert stream.read() == content, f"killed at request {number}"
        # What was read is not read again, but for the last page of each collection and its end.
        assert len(second.asked) <= requests - number + 1 + 2 * 6
        assert nothing_left(place.folder)


def test_fetch_killed_near_its_end_requests_little_more(place: CheckpointSettings) -> None:
    made = bundle(users=500)
    with pytest.raises(KilledError):
        source(ScriptedApi(records(made), before=killed_at(45)), place, page_size=20).fetch(FetchRequest(NOW))
    api = ScriptedApi(records(made))
    source(api, place, page_size=20).fetch(FetchRequest(SOON)).stream.close()
    assert next(query["offset"] for path, query in api.asked if path == "/users") != "0"
    again = ScriptedApi(records(made))
    source(again, page_size=20).fetch(FetchRequest(SOON)).stream.close()
    assert len(api.asked) < len(again.asked) - 25


def test_a_refusal_keeps_the_pages_too(place: CheckpointSettings, whole: tuple[bytes, int]) -> None:
    def busy(api: ScriptedApi, number: int) -> None:
        if number == 12:
            raise refusal("server-busy")

    with pytest.raises(Refusal):
        source(ScriptedApi(records(MADE), before=busy), place, version="1.2").fetch(FetchRequest(NOW))
    api = ScriptedApi(records(MADE))
    with source(api, place, version="1.2").fetch(FetchRequest(SOON)).stream as stream:
        assert stream.read() == whole[0]
    assert len(api.asked) < whole[1]


def test_where_rows_moved_since_it_starts_over(place: CheckpointSettings) -> None:
    with pytest.raises(KilledError):
        source(ScriptedApi(records(MADE), before=killed_at(13)), place, version="1.2").fetch(FetchRequest(NOW))
    rows = records(MADE)
    rows["users"].insert(0, record({"sourcedId": "a-1", "username": "a"}))
    rows["users"].pop()
    fetched = source(ScriptedApi(rows), place, version="1.2").fetch(FetchRequest(SOON))
    fresh = source(ScriptedApi(rows), version="1.2").fetch(FetchRequest(SOON))
    assert fetched.stream.read() == fresh.stream.read()
    assert any("since an earlier fetch" in note.message for note in fetched.diagnostics)


@pytest.mark.parametrize("moment", [LATE, "2026-11-22T02:59:59Z"], ids=["after a day", "before it began"])
def test_old_pages_are_removed(place: CheckpointSettings, whole: tuple[bytes, int], moment: str) -> None:
    with pytest.raises(KilledError):
        source(ScriptedApi(records(MADE), before=killed_at(13)), place, version="1.2").fetch(FetchRequest(NOW))
    api = ScriptedApi(records(MADE))
    source(api, place, version="1.2").fetch(FetchRequest(moment)).stream.close()
    assert len(api.asked) == whole[1]


@pytest.mark.parametrize(
    "other",
    [{"consumer_key": "another"}, {"url": "https://other.example/ims/oneroster/v1p1"}, {"page_size": 31}],
    ids=str,
)
def test_pages_of_another_account_or_question_are_not_used(place: CheckpointSettings, other: dict[str, Any]) -> None:
    with pytest.raises(KilledError):
        source(ScriptedApi(records(MADE), before=killed_at(13)), place, version="1.2").fetch(FetchRequest(NOW))
    api = ScriptedApi(records(MADE))
    source(api, place, version="1.2", **other).fetch(FetchRequest(SOON)).stream.close()
    assert api.asked[0][1]["offset"] == "0"


def damaged(file: Path, how: str) -> None:
    content = bytearray(file.read_bytes())
    if how == "a bit":
        content[len(content) // 2] ^= 1
    elif how == "cut off":
        del content[len(content) // 2 :]
    else:
        content.clear()
    file.write_bytes(content)


@pytest.mark.parametrize("how", ["a bit", "cut off", "empty"])
@pytest.mark.parametrize("which", ["head", "users-000001", "orgs-000000"])
def test_damaged_pages_are_fetched_again(
    place: CheckpointSettings, whole: tuple[bytes, int], which: str, how: str
) -> None:
    with pytest.raises(KilledError):
        source(ScriptedApi(records(MADE), before=killed_at(13)), place, version="1.2").fetch(FetchRequest(NOW))
    damaged(next(place.folder.glob(f"*/{which}")), how)
    with source(ScriptedApi(records(MADE)), place, version="1.2").fetch(FetchRequest(SOON)).stream as stream:
        assert stream.read() == whole[0]


def test_another_key_reads_nothing(place: CheckpointSettings, whole: tuple[bytes, int]) -> None:
    with pytest.raises(KilledError):
        source(ScriptedApi(records(MADE), before=killed_at(13)), place, version="1.2").fetch(FetchRequest(NOW))
    other = CheckpointSettings(place.folder, bytes(32))
    api = ScriptedApi(records(MADE))
    with source(api, other, version="1.2").fetch(FetchRequest(SOON)).stream as stream:
        assert stream.read() == whole[0]
    assert len(api.asked) == whole[1]


def test_nothing_that_is_kept_can_be_read_by_others(place: CheckpointSettings) -> None:
    with pytest.raises(KilledError):
        source(ScriptedApi(records(MADE), before=killed_at(15)), place, version="1.2").fetch(FetchRequest(NOW))
    files = [each for each in place.folder.rglob("*") if each.is_file()]
    assert len(files) > 8
    content = b"".join(each.read_bytes() for each in files) + str(files).encode()
    for row in MADE.tables["users"]:
        for value in (row["familyName"], row["username"], row["sourcedId"], row["email"]):
            assert value.encode() not in content
    for said in (b"sourcedId", b"sis.example", b"secret", b"School"):
        assert said not in content
    assert {each.stat().st_mode & 0o777 for each in files} == {0o600}
    folders = [place.folder, *(each for each in place.folder.rglob("*") if each.is_dir())]
    assert {each.stat().st_mode & 0o777 for each in folders} == {0o700}


def test_a_page_counts_only_in_its_own_place(place: CheckpointSettings) -> None:
    with open_checkpoint(place, {"url": "a"}, NOW) as kept:
        assert kept is not None
        kept.save_page("users", 0, KEPT)
        (folder,) = place.folder.iterdir()
        page = (folder / "users-000000").read_bytes()
        (folder / "users-000001").write_bytes(page)
        (folder / "orgs-000000").write_bytes(page)
        assert [each.page for each in kept.read_pages("users")] == [KEPT.page]
        assert not list(kept.read_pages("orgs"))
        with open_checkpoint(place, {"url": "b"}, NOW) as other:
            assert other is not None
            theirs = next(each for each in place.folder.iterdir() if each != folder)
            (theirs / "users-000000").write_bytes(page)
            assert not list(other.read_pages("users"))
    assert nothing_left(place.folder)


def test_a_page_comes_back_as_it_was_put(place: CheckpointSettings) -> None:
    with open_checkpoint(place, {}, NOW) as kept:
        assert kept is not None
        kept.save_page("users", 0, KEPT)
        (back,) = kept.read_pages("users")
    assert (back.request, back.page) == (KEPT.request, KEPT.page)
    assert back.frames["users"].equals(KEPT.frames["users"])


def test_a_second_process_goes_without(place: CheckpointSettings) -> None:
    with open_checkpoint(place, {"url": "a"}, NOW) as first, open_checkpoint(place, {"url": "a"}, NOW) as second:
        assert first is not None
        assert second is None


def test_a_full_disk_ends_keeping_and_not_the_fetch(
    place: CheckpointSettings, whole: tuple[bytes, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    write, left = room._write_file, [4]

    def filling(path: Path, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    monkeypatch.setattr(room, "_write_file", filling)
    fetched = source(ScriptedApi(records(MADE)), place, version="1.2").fetch(FetchRequest(NOW))
    assert fetched.stream.read() == whole[0]
    assert not fetched.diagnostics
    assert nothing_left(place.folder)


def test_checkpoint_folder_must_be_creatable_and_private(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with open_checkpoint(CheckpointSettings(tmp_path / "file" / "fetches", KEY), {}, NOW) as kept:
        assert kept is None
    place = CheckpointSettings(tmp_path / "fetches", KEY)
    with open_checkpoint(place, {}, NOW):
        (folder,) = place.folder.iterdir()
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    with open_checkpoint(place, {}, NOW) as kept:
        assert kept is None


def test_fetches_that_nobody_goes_on_with_are_removed(place: CheckpointSettings) -> None:
    left_behind(place)
    (folder,) = place.folder.iterdir()
    remove_expired_checkpoints(place, SOON)
    assert folder.exists()
    with open_checkpoint(place, {"url": "a"}, NOW):
        remove_expired_checkpoints(place, "2036-01-01T00:00:00Z")
        assert folder.exists()
    left_behind(place)
    remove_expired_checkpoints(place, "2036-01-01T00:00:00Z")
    assert nothing_left(place.folder)


@pytest.mark.parametrize("unreadable", ["another key", "no head"])
def test_unreadable_checkpoints_expire_by_their_last_page(place: CheckpointSettings, unreadable: str) -> None:
    left_behind(place)
    (folder,) = place.folder.iterdir()
    mine = CheckpointSettings(place.folder, bytes(32)) if unreadable == "another key" else place
    if unreadable == "no head":
        (folder / room.HEAD).unlink()
    last = datetime.fromisoformat(SOON).timestamp()
    os.utime(folder, (last, last))
    remove_expired_checkpoints(mine, LATE)
    assert folder.exists()
    lock = room._lock_folder(folder)
    assert lock is not None
    remove_expired_checkpoints(mine, "2026-11-23T09:00:00Z")
    assert folder.exists(), "it is under way"
    os.close(lock)
    remove_expired_checkpoints(mine, "2026-11-23T09:00:00Z")
    assert nothing_left(place.folder)


def test_unused_checkpoints_are_removed_without_a_key(place: CheckpointSettings) -> None:
    left_behind(place)
    (left,) = place.folder.iterdir()
    (place.folder / "a-file").write_text("nobody's")
    with open_checkpoint(place, {"url": "b"}, NOW) as kept:
        assert kept is not None
        kept.save_page("users", 0, KEPT)
        remove_all_checkpoints(place.folder)
        assert not left.exists()
        assert list(kept.read_pages("users"))
    remove_all_checkpoints(place.folder / "is-not-there")
    assert [each.name for each in place.folder.iterdir()] == ["a-file"]


def test_where_hardly_any_room_is_left_nothing_is_kept(
    place: CheckpointSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: SimpleNamespace(free=room.MIN_FREE_BYTES - 1))
    with open_checkpoint(place, {"url": "a"}, NOW) as kept:
        assert kept is not None
        kept.save_page("users", 0, KEPT)
        assert nothing_left(place.folder)


@pytest.mark.parametrize(("moment", "goes_on"), [("2026-11-22T03:29:00Z", True), ("2026-11-22T03:30:00Z", False)])
def test_pages_that_nothing_proves_count_for_half_an_hour(
    place: CheckpointSettings, moment: str, goes_on: bool
) -> None:
    """One row at once has no seam, and this server counts nothing."""
    made = records(bundle(users=12))
    with pytest.raises(KilledError):
        source(ScriptedApi(made, total=False, clamp=1, before=killed_at(40)), place).fetch(FetchRequest(NOW))
    api = ScriptedApi(made, total=False, clamp=1)
    fetched = source(api, place).fetch(FetchRequest(moment))
    fetched.stream.close()
    assert any("nothing proves" in note.message for note in fetched.diagnostics) is not goes_on


def test_resumed_fetch_keeps_the_age_of_its_start(place: CheckpointSettings) -> None:
    with pytest.raises(KilledError):
        source(ScriptedApi(records(MADE), before=killed_at(13)), place, version="1.2").fetch(FetchRequest(NOW))
    first = source(ScriptedApi(records(MADE)), place, version="1.2").fetch(FetchRequest(SOON))
    second = source(ScriptedApi(records(MADE)), place, version="1.2").fetch(FetchRequest(SOON))
    assert (first.fetched_at, second.fetched_at) == (NOW, SOON)
