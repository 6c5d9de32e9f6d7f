"""Two months of scheduled syncs, and ten days of a few customers: no one is lost and no fetch is early."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from reconciler.model.schedule import Period, Schedule
from reconciler.operations.sync import customer as sync_one
from tests.support.customers.project import Project
from tests.support.operations import sync_simulation
from tests.support.operations.sync_simulation import LiveDistrict, Play, begin_of, districts
from tests.support.roster_server.authority import SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.sources.in_memory import given_sources

pytestmark = pytest.mark.slow

#: All zones of the play put their clocks forward or back within sixty days of it.
BEGIN = begin_of("2026-10-01T00:05:00")
#: Moments of the schedule follow from it; a store of its own each time would play something else each time.
STORE = "5f3c1c6e-4a55-4c39-9f0e-6f8f2f0c7a11"


@pytest.fixture(autouse=True)
def same_store(project: Project) -> None:
    with project.by_hand() as cursor:
        cursor.execute(f"update store set uuid = '{STORE}'")


def played(project: Project, monkeypatch: pytest.MonkeyPatch, seed: int = 7) -> Play:
    play = Play(project, districts(5, seed, [Period.EVERY_12_HOURS, Period.DAILY, Period.DAILY, Period.WEEKLY]))
    for each in play.districts:
        monkeypatch.setenv(f"RECONCILER_SECRET__{each.name.upper().replace('-', '_')}__SFTP", "hunter2")
    play.set_up(given_sources(monkeypatch))
    return play


def test_ten_days_of_five_districts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    play = played(project, monkeypatch)
    play.run(BEGIN, 10, every=timedelta(hours=3), down=[6])
    play.check()
    seen = play.seen()
    assert seen["early"] > seen["applied"] > 5
    assert seen["refused"] > 0


def _digest_without_the_roster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_one, "digest_sync_inputs", lambda sha256, *rest: "always")
    monkeypatch.setattr(sync_simulation, "CHANGE", 0.5)


def _tries_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Schedule, "compute_retry_time", lambda self, tries, now: now + timedelta(minutes=30))
    monkeypatch.setattr(sync_simulation, "FAULT", 0.95)


def _days_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Schedule.find_next_start
    monkeypatch.setattr(Schedule, "find_next_start", lambda self, moment: real(self, moment + timedelta(days=1)))


@pytest.mark.parametrize("breakage", [_digest_without_the_roster, _tries_without_end, _days_passed_over])
def test_a_sync_that_is_broken_is_found_out(
    project: Project, monkeypatch: pytest.MonkeyPatch, breakage: Callable[[pytest.MonkeyPatch], None]
) -> None:
    play = played(project, monkeypatch)
    with monkeypatch.context() as broken:
        breakage(broken)
        play.run(BEGIN, 2, every=timedelta(hours=3))
    with pytest.raises(AssertionError, match="district-"):
        play.check()


@pytest.mark.skipif("RECONCILER_SOAK" not in os.environ, reason="a quarter of an hour: `make soak` plays it")
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_sixty_days_of_two_hundred_districts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of them from a OneRoster server, over the days on which clocks are put forward and back. On PostgreSQL the
    ten days are played."""
    play = Play(project, districts(200, 11, [Period.HOURLY, *[Period.EVERY_6_HOURS] * 2, *[Period.EVERY_12_HOURS] * 3]))
    project.write(
        "reconciler.yaml",
        'format: 1\nenvironments: {test: {store: "sqlite:///.reconciler/store.db"}}\nnetwork: {allow: ["127.0.0.1"]}\n',
    )
    with RosterServer(play.districts[10].roster) as one, RosterServer(play.districts[11].roster) as two:
        for place, server in ((10, one), (11, two)):
            play.districts[place] = LiveDistrict.of(play.districts[place], server)
        for each in play.districts:
            variable = f"RECONCILER_SECRET__{each.name.upper().replace('-', '_')}"
            monkeypatch.setenv(f"{variable}__SFTP", "hunter2")
            monkeypatch.setenv(f"{variable}__ONEROSTER", SECRET)
        play.set_up(given_sources(monkeypatch))
        play.run(BEGIN, 60, every=timedelta(minutes=30), down=[20, 21])
    play.check()
    seen = play.seen()
    for what in ("applied", "held", "refused", "unreachable", "sign-in", "cut", "empty", "half"):
        assert seen[what] > 10, what
    assert seen["early"] > 10 * seen["applied"]
    assert play.approved > 0
