"""Holds of a sync: the saved plan, its approval, its end, and freezes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler import clock
from reconciler.model.sync import SyncEvent
from reconciler.operations.location import Location
from reconciler.operations.sync.applied_config import open_applied_workspace
from reconciler.operations.sync.run import SyncRequest, sync_customers
from tests.support.customers.project import Project
from tests.support.operations.synced_customers import (
    DAILY,
    DAY,
    MONDAY,
    NIGHT,
    STUDENTS,
    codes,
    only,
    people,
    refused,
    synced,
)
from tests.support.sources.in_memory import SFTP, GivenSource

pytestmark = pytest.mark.slow


def test_hold_waits_as_a_plan_shown_and_approved_by_id(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer()
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:20]).with_user("u-9001")
    done = synced(project, "springfield", at=MONDAY + NIGHT)
    found = only(done)
    assert (done.code, found["outcome"]) == (3, "held")
    assert found["people"] == {"removed": 0, "added": 1, "changed": 0, "held": 20}
    hold = found["hold"]["id"]
    assert hold.startswith("springfield:20:")
    assert people(project) == 41

    (waiting,) = project.run("holds", "--format", "json").json["holds"]
    assert (waiting["id"], waiting["show"]) == (hold, f"reconciler show {hold}")
    assert waiting["command"] == f"reconciler apply {hold} --approve {hold}"
    assert f"reconciler show {hold}" in project.run("holds").out

    shown = project.run("show", hold, "--format", "json").json
    assert (shown["summary"]["held"], shown["summary"]["create"]) == (found["rows"]["held"], 0), "only what waits"

    source.given = refused()
    assert project.run("apply", hold).code == 3, "it is shown; nobody approved it"
    assert people(project) == 41
    project.customer(org=None, more=SFTP.format(host="elsewhere.example.org", auto=""))
    approved = project.run("apply", hold, "--approve", hold)
    assert approved.code == 0, "nothing is fetched, and a checkout of another day does not matter"
    assert people(project) == 21
    assert project.run("holds", "--format", "json").json["holds"] == []
    assert project.ask("select count(*) from held_plans") == [(0,)]
    gone = project.run("show", hold)
    assert (gone.code, "no plan is saved" in gone.err) == (3, True)


def test_hold_keeps_its_day_until_a_newer_roster(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer()
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:20])
    first = only(synced(project, "springfield", at=MONDAY + NIGHT))["hold"]["id"]
    again = only(synced(project, "springfield", at=MONDAY + 2 * NIGHT))
    assert (again["outcome"], again["early"], again["hold"]["id"]) == ("held", False, first)
    assert again["since"] == "2026-11-24T12:00:00Z"
    assert project.ask("select created_at from holds") == [("2026-11-24T12:00:00Z",)]

    source.given = DAY.without_users(STUDENTS[:22])
    other = only(synced(project, "springfield", at=MONDAY + 3 * NIGHT))["hold"]["id"]
    assert other != first
    assert project.ask("select distinct hold_id from held_plans") == [(other,)]
    assert project.run("apply", first, "--approve", first).code == 3

    source.given = DAY
    clean = only(synced(project, "springfield", at=MONDAY + 4 * NIGHT))
    assert (clean["outcome"], clean["hold"]) == ("unchanged", None)
    assert project.run("holds", "--format", "json").json["holds"] == []
    assert project.ask("select count(*) from held_plans") == [(0,)]


def test_kept_plan_is_stale_when_its_people_change(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer()
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:20])
    hold = only(synced(project, "springfield", at=MONDAY + NIGHT))["hold"]["id"]
    with project.by_hand() as cursor:
        cursor.execute(f"update accounts set given_name = 'Other' where username = '{STUDENTS[0].replace('-', '')}'")
    assert project.run("apply", hold, "--approve", hold).code == 4
    assert people(project) == 40


def test_whoever_is_erased_takes_the_kept_plan_along(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer()
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:20])
    synced(project, "springfield", at=MONDAY + NIGHT)
    assert project.ask("select count(*) from held_plans") == [(1,)]
    done = project.run("erase", "springfield", STUDENTS[0], "--request", "R-1", "--yes")
    assert done.code == 0, done.err
    assert "1 plan waiting for approval" in done.out
    assert project.ask("select count(*) from held_plans") == [(0,)]


def test_a_kept_plan_goes_with_the_end_of_retention(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer()
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:20])
    synced(project, "springfield", at=MONDAY + NIGHT)
    with clock.freeze_time(MONDAY + 32 * NIGHT):
        done = project.run("purge", "--yes", "--today", "2026-12-25")
    assert (done.code, "1 plan waiting for approval" in done.out) == (0, True)
    assert project.ask("select count(*) from held_plans") == [(0,)]
    assert project.run("holds", "--format", "json").json["holds"][0]["show"] is None, "it waits, and is fetched again"


def test_freeze_changes_nothing_and_says_so(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer(auto=DAILY, more="  calendar: [{from: 2026-11-24, to: 2026-11-26, mode: freeze}]\n")
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:2]).with_user("u-9001")
    done = synced(project, "springfield", at=MONDAY + NIGHT)
    found = only(done)
    assert (done.code, found["outcome"], codes(found)) == (0, "frozen", {"frozen"})
    assert people(project) == 40
    assert project.run("holds", "--format", "json").json["holds"] == [], "it waits for a day, not for a person"
    fresh = project.ask("select fresh_at, changed_at from syncs")
    assert fresh == [("2026-11-24T12:00:00Z", "2026-11-24T12:00:00Z")], "it was fetched all the same"
    assert only(synced(project, "springfield", at=MONDAY + 4 * NIGHT))["outcome"] == "applied"
    assert people(project) == 39


FREEZE = "  calendar: [{from: 2026-11-25, to: 2026-11-26, mode: freeze}]\n"


def test_earlier_hold_survives_a_freeze_and_is_named(project: Project, customer: Callable[..., GivenSource]) -> None:
    """Nothing is applied, nothing is let go, and nobody is told twice; then it is looked at again."""
    source = customer()
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:7])
    hold = only(synced(project, "springfield", at=MONDAY + NIGHT))["hold"]["id"]
    project.customer(org=None, more=SFTP.format(host="springfield.example.org", auto="") + FREEZE)
    assert project.apply("springfield", "--roster", "none").code == 0

    told: list[SyncEvent] = []
    for day, given in ((2, source.given), (3, source.given.with_user("u-9001"))):
        source.given = given
        with clock.freeze_time(MONDAY + day * NIGHT):
            workspace = open_applied_workspace(Location(project.folder / "customers", store=project.store_url))
            (found,) = sync_customers(
                workspace, SyncRequest(("springfield",)), on_events=lambda _, events: told.extend(events)
            )
            done = project.run("sync", "springfield")
            held = project.run("holds", "--format", "json").json["holds"]
        assert found.result is not None
        assert (found.result.outcome, found.waiting_hold, found.result.runs) == ("frozen", hold, ())
        assert (done.code, f"hold {hold} is still waiting" in done.err) == (3, True)
        assert [each["id"] for each in held] == [hold]
        assert people(project) == 40
    assert told == []
    assert project.ask("select outcome, since from syncs") == [("held", "2026-11-24T12:00:00Z")]

    after = only(synced(project, "springfield", at=MONDAY + 4 * NIGHT))
    assert (after["outcome"], after["hold"]["id"], people(project)) == ("held", hold, 41)


def test_quarantined_rows_are_counted_in_each_line_and_notice(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer()
    synced(project, "springfield")
    source.given = DAY.with_user(STUDENTS[0], role="wizard").with_user(STUDENTS[1], role="wizard")
    with clock.freeze_time(MONDAY + NIGHT):
        told = project.run("sync", "springfield").out
    assert "springfield: nothing to change; 2 rows quarantined" in told
    again = only(synced(project, "springfield", at=MONDAY + 2 * NIGHT))
    assert (again["outcome"], again["quarantined"]) == ("unchanged", 2)

    source.given = source.given.without_users(STUDENTS[5:25])
    held = only(synced(project, "springfield", at=MONDAY + 3 * NIGHT))
    assert (held["outcome"], held["quarantined"]) == ("held", 2)
    assert "2 rows of the roster are quarantined." in held["sentences"]


def test_a_roster_of_quarantined_people_is_refused_by_a_sync(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer()
    synced(project, "springfield")
    source.given = DAY.with_rows("users", [{**row, "enabledUser": "null"} for row in DAY.tables["users"]])
    done = synced(project, "springfield", at=MONDAY + NIGHT)
    assert (done.code, only(done)["outcome"]) == (3, "refused")
    assert only(done)["sentences"] == ["Most rows of a file cannot be used. Correct the export and send it again."]
    assert people(project) == 40
