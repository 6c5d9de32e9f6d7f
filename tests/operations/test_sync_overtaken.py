"""Other writes to the store while a roster is fetched, or while its hold waits."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler import clock
from reconciler.cli.main import run
from reconciler.model.sync import SyncEvent
from reconciler.operations.location import Location
from reconciler.operations.sync.applied_config import open_applied_workspace
from reconciler.operations.sync.run import SyncRequest, sync_customers
from reconciler.store.database.lock import lock_customer
from reconciler.store.sync.records import find_newest_erasure, read_sync_records, save_schedule, save_sync
from tests.support.customers.project import Project
from tests.support.operations.synced_customers import (
    DAILY,
    DAY,
    MONDAY,
    NIGHT,
    STUDENTS,
    codes,
    only,
    outcomes,
    people,
    synced,
)
from tests.support.sources.in_memory import API, GivenSource

pytestmark = pytest.mark.slow


def test_held_roster_forces_full_fetches_and_refuses_deltas(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer(auto=DAILY, rostering=API)
    synced(project, "--due")
    day = MONDAY + NIGHT
    assert outcomes(synced(project, "--due", at=day)) == {"springfield": "unchanged"}
    assert [each.require_full for each in source.asked] == [True, False]

    source.given = DAY.without_users(STUDENTS[:20])
    hold = only(synced(project, "springfield", at=day))["hold"]["id"]
    source.given = DAY.delta(DAY.with_user("u-0030", givenName="Zoe"))
    found = only(synced(project, "springfield", at=day + NIGHT))
    assert source.asked[-1].require_full, "changes alone name none of those who wait"
    assert (found["outcome"], codes(found)) == ("refused", {"delta-without-whole"})
    (waiting,) = project.run("holds", "--format", "json").json["holds"]
    assert (waiting["id"], people(project)) == (hold, 40)

    source.given = DAY
    assert outcomes(synced(project, "springfield", at=day + 2 * NIGHT)) == {"springfield": "unchanged"}
    assert project.run("holds", "--format", "json").json["holds"] == []
    synced(project, "springfield", at=day + 3 * NIGHT)
    assert not source.asked[-1].require_full


def test_older_roster_deletes_nobody_added_by_a_newer_one(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer(auto=DAILY)
    synced(project, "--due")
    newer = DAY
    for number in range(6):
        newer = newer.with_user(f"u-900{number}")
    file = newer.zip(project.folder / "newer.zip")
    hours = MONDAY + NIGHT
    moment = [hours]

    def meanwhile() -> None:
        moment[0] = hours + timedelta(minutes=4)
        with clock.freeze_time(moment[0]):
            assert run(["apply", "--store", project.store_url, "--yes", "springfield", "--zip", str(file)]) == 0

    source.on_fetch = meanwhile
    with clock_that_runs(lambda: moment[0]):
        done = project.run("sync", "--due", "--format", "json")
    (found,) = json.loads(done.out[done.out.index("{") :])["customers"]
    assert (done.code, found["outcome"], codes(found)) == (0, "postponed", {"overtaken-roster"})
    assert people(project) == 46
    assert project.ask("select outcome, since from syncs") == [("applied", "2026-11-23T12:00:00Z")]

    source.on_fetch, source.given = lambda: None, newer
    assert synced(project, "--due", at=hours + timedelta(minutes=6)).json["customers"] == []
    assert outcomes(synced(project, "--due", at=hours + timedelta(minutes=20))) == {"springfield": "unchanged"}
    assert people(project) == 46


def test_customer_being_applied_is_retried_soon_without_notice(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer(auto=DAILY)
    synced(project, "--due")
    source.given = DAY.with_user("u-9001")
    told: list[SyncEvent] = []
    workspace = open_applied_workspace(Location(project.folder / "customers", store=project.store_url))
    with clock.freeze_time(MONDAY + NIGHT), lock_customer(workspace.store.dialect, "springfield"):
        (found,) = sync_customers(
            workspace, SyncRequest(due_only=True), on_events=lambda _, events: told.extend(events)
        )
    assert found.result is not None
    assert (found.result.outcome, found.diagnostics[0].code) == ("postponed", "locked")
    assert (told, found.next_at) == ([], "2026-11-24T12:15:00Z")
    assert outcomes(synced(project, "--due", at=MONDAY + NIGHT + timedelta(minutes=15))) == {"springfield": "applied"}


@contextmanager
def clock_that_runs(tells: Callable[[], datetime]) -> Iterator[None]:
    token = clock._time_source.set(tells)
    try:
        yield
    finally:
        clock._time_source.reset(token)


def test_a_clock_that_was_ahead_stops_nobody(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer(auto=DAILY, rostering=API)
    synced(project, "--due", at=MONDAY.replace(year=2031))
    same = only(synced(project, "--due"))
    assert (same["outcome"], same["early"]) == ("unchanged", False)
    assert source.asked[-1].require_full
    source.given = DAY.with_user("u-9001")
    assert outcomes(synced(project, "--due", at=MONDAY + NIGHT)) == {"springfield": "applied"}
    assert synced(project, "--due", at=MONDAY + NIGHT).json["customers"] == []
    assert [each.require_full for each in source.asked] == [True, True, False]


def test_rescheduling_overwrites_no_sync_arriving_meanwhile(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    customer(auto=DAILY)
    synced(project, "--due")
    workspace = open_applied_workspace(Location(project.folder / "customers", store=project.store_url))
    with workspace.store.open_reader() as reader:
        (read,) = read_sync_records(reader.connection).values()
    anew = replace(read, schedule="other", next_at="2026-11-24T00:00:00Z", outcome=None)
    save_sync(workspace.store, replace(read, attempted_at="2026-11-24T02:31:00Z", next_at="2026-11-25T02:30:00Z"))
    save_schedule(workspace.store, read, anew)
    assert project.ask("select outcome, next_at from syncs") == [("applied", "2026-11-25T02:30:00Z")]
    save_sync(workspace.store, read)
    save_schedule(workspace.store, read, anew)
    assert project.ask("select outcome, schedule, next_at from syncs") == [("applied", "other", "2026-11-24T00:00:00Z")]


def test_lifting_one_erasure_and_adding_another_is_news(project: Project, customer: Callable[..., GivenSource]) -> None:
    customer()
    synced(project, "springfield")
    first, second = STUDENTS[:2]
    assert project.run("erase", "springfield", first, "--request", "R-1", "--yes").code == 0
    synced(project, "springfield", at=MONDAY + NIGHT)
    assert only(synced(project, "springfield", at=MONDAY + 2 * NIGHT))["early"]
    workspace = open_applied_workspace(Location(project.folder / "customers", store=project.store_url))
    with workspace.store.open_reader() as reader:
        number = next(iter(read_sync_records(reader.connection)))
        before = find_newest_erasure(reader.connection, number)
    assert project.run("erase", "springfield", first, "--lift", "--request", "R-2", "--yes").code == 0
    with workspace.store.open_reader() as reader:
        lifted = find_newest_erasure(reader.connection, number)
    assert project.run("erase", "springfield", second, "--request", "R-3", "--yes").code == 0
    with workspace.store.open_reader() as reader:
        assert before < lifted < find_newest_erasure(reader.connection, number)
    assert not only(synced(project, "springfield", at=MONDAY + 3 * NIGHT))["early"]


def test_different_held_set_is_reported_and_the_same_is_not(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer()
    told: list[SyncEvent] = []
    for day, gone in enumerate([0, 20, 20, 30]):
        source.given = DAY.without_users(STUDENTS[:gone])
        workspace = open_applied_workspace(Location(project.folder / "customers", store=project.store_url))
        with clock.freeze_time(MONDAY + day * NIGHT):
            sync_customers(workspace, SyncRequest(("springfield",)), on_events=lambda _, events: told.extend(events))
    assert [(each.kind, each.people) for each in told] == [("held", 20), ("held", 30)]


def test_changes_alone_let_no_hold_go_that_names_others(project: Project, customer: Callable[..., GivenSource]) -> None:
    """Held by limits alone; the plan that is kept says everything that waits now, and nobody is told again."""
    source = customer()
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:7])
    found = only(synced(project, "springfield", at=MONDAY + NIGHT))
    assert (found["outcome"], people(project)) == ("held", 40)

    changed = source.given.with_user("u-9001")
    source.given = source.given.delta(changed)
    told: list[SyncEvent] = []
    workspace = open_applied_workspace(Location(project.folder / "customers", store=project.store_url))
    with clock.freeze_time(MONDAY + 2 * NIGHT):
        (again,) = sync_customers(
            workspace, SyncRequest(("springfield",)), on_events=lambda _, events: told.extend(events)
        )
    assert again.result is not None
    assert again.result.hold is not None
    assert (again.result.outcome, again.result.hold.id, again.result.is_plan_saved) == (
        "held",
        found["hold"]["id"],
        True,
    )
    assert (told, people(project)) == ([], 41)
    done = project.run("apply", again.result.hold.id, "--approve", again.result.hold.id)
    assert (done.code, people(project)) == (0, 34), done.err
