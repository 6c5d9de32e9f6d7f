"""Pages of interrupted fetches lie outside the store, and erase and purge delete them too."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler import clock
from reconciler.oneroster.sources.api.pages.checkpoint import CheckpointSettings, open_checkpoint
from reconciler.operations.fetch.cache_folder import find_cache_folder
from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle

START = datetime(2026, 9, 1, 6, tzinfo=UTC)
DAY = bundle(users=20)
ANN, BEN = DAY.students()[:2]


def left_behind() -> Path:
    """By a fetch that was killed, of whatever store."""
    folder = find_cache_folder()
    assert folder is not None
    place = CheckpointSettings(folder / "fetches", bytes(32))
    with suppress(InterruptedError), open_checkpoint(place, {"url": "a"}, clock.get_current_moment()) as kept:
        assert kept is not None
        raise InterruptedError
    (left,) = place.folder.iterdir()
    return left


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_erased_or_purged_people_leave_kept_pages_too(project: Project) -> None:
    project.customer()
    for day, made in enumerate((DAY, DAY.without_users([ANN]))):
        with clock.freeze_time(START + timedelta(days=day)):
            assert project.apply("springfield", "--zip", made.zip(project.folder / f"{day}.zip")).code == 0

    pages = left_behind()
    with clock.freeze_time(START + timedelta(days=2)):
        assert project.run("erase", "springfield", "u-nobody", "--request", "T-1", "--yes").code != 0
        assert pages.exists(), "nobody was erased"
        assert project.run("erase", "springfield", BEN, "--request", "T-1", "--yes").code == 0
    assert not pages.exists()

    pages = left_behind()
    with clock.freeze_time(START + timedelta(days=60)):
        assert project.run("purge", "--today", "2026-10-31").code == 0
        assert pages.exists(), "it was only shown"
        purged = project.run("purge", "--yes", "--today", "2026-10-31")
    assert purged.code == 0, purged
    assert not pages.exists()


def test_the_cache_folder_is_never_within_the_repository() -> None:
    assert find_cache_folder({}) is None
    assert find_cache_folder({"XDG_CACHE_HOME": "relative"}) is None
    assert find_cache_folder({"HOME": "/home/ann"}) == Path("/home/ann/.cache/reconciler")
    assert find_cache_folder({"HOME": "/home/ann", "XDG_CACHE_HOME": "/x"}) == Path("/x/reconciler")
    assert find_cache_folder({"HOME": "/home/ann", "RECONCILER_CACHE": "off"}) is None
