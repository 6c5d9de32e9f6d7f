"""The customers of a sync, their due moments, and retries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler import clock
from reconciler.operations.location import Location
from reconciler.operations.sync import customer as sync_one
from reconciler.operations.sync.applied_config import open_applied_workspace
from reconciler.operations.sync.run import SyncRequest, sync_customers
from reconciler.store.database.connection import NO_PARAMETERS, Connection
from tests.support.customers.project import Project
from tests.support.operations.synced_customers import (
    DAILY,
    DAY,
    MONDAY,
    NIGHT,
    only,
    outcomes,
    refused,
    synced,
)
from tests.support.sources.in_memory import SFTP, GivenSource

pytestmark = pytest.mark.slow


def test_without_names_only_automatic_customers_are_synced(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    auto = customer("ogden", auto=DAILY)
    manual = customer("shelby")
    assert outcomes(synced(project)) == {"ogden": "applied"}
    assert (len(auto.asked), len(manual.asked)) == (1, 0)
    assert outcomes(synced(project, "shelby", at=MONDAY)) == {"shelby": "applied"}


def test_only_due_customers_are_fetched_and_missed_slots_once(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer(auto=DAILY)
    assert outcomes(synced(project, "--due")) == {"springfield": "applied"}, "it was never fetched"
    assert synced(project, "--due").json["customers"] == []
    assert synced(project, "--due", at=datetime(2026, 11, 24, 2, 29, 59, tzinfo=UTC)).json["customers"] == []
    late = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
    found = only(synced(project, "--due", at=late))
    assert "2026-11-25T02:30:00Z" <= found["next_at"] <= "2026-11-25T02:40:00Z"
    assert len(source.asked) == 2

    after_a_week = late + 7 * NIGHT
    assert outcomes(synced(project, "--due", at=after_a_week)) == {"springfield": "unchanged"}
    assert synced(project, "--due", at=after_a_week + timedelta(hours=1)).json["customers"] == []
    assert len(source.asked) == 3, "seven that were missed are one"


def test_a_run_with_nothing_due_asks_the_store_once(
    project: Project, customer: Callable[..., GivenSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anna", "berta", "carl"):
        customer(name, auto=DAILY)
    customer("dora")
    synced(project, "--due")
    workspace = open_applied_workspace(Location(project.folder / "customers", store=project.store_url))
    asked: list[str] = []
    rows = Connection.fetch_rows

    def counted(self: Connection, statement: Any, parameters: Any = NO_PARAMETERS) -> Any:
        asked.append(str(statement))
        return rows(self, statement, parameters)

    monkeypatch.setattr(Connection, "fetch_rows", counted)
    with clock.freeze_time(MONDAY + timedelta(minutes=1)):
        assert sync_customers(workspace, SyncRequest(due_only=True)) == ()
    assert len([each for each in asked if "FROM customers" in each or "FROM syncs" in each]) == len(asked) == 1


def test_a_named_customer_that_is_not_due_says_until_when(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    customer(auto=DAILY)
    next_at = only(synced(project, "--due"))["next_at"]
    assert f"springfield was not synced: it is not due before {next_at}" in synced(project, "--due", "springfield").err
    with project.by_hand() as cursor:
        cursor.execute("UPDATE syncs SET next_at = NULL")
    unscheduled = synced(project, "--due", "springfield").err
    assert "springfield was not synced: its next automatic sync is not scheduled" in unscheduled


def test_changed_time_of_day_takes_effect_when_applied(project: Project, customer: Callable[..., GivenSource]) -> None:
    customer(auto=DAILY)
    synced(project, "--due")
    noon = DAILY.replace("02:30", "13:00")
    project.customer(org=None, more=SFTP.format(host="springfield.example.org", auto=noon))
    early = MONDAY + timedelta(hours=1, minutes=15)
    assert synced(project, "--due", at=early).json["customers"] == [], "what is only in the files rules nothing"
    assert project.apply("--roster", "none", "springfield").code == 0
    assert outcomes(synced(project, "--due", at=early)) == {"springfield": "unchanged"}


def test_unchanged_roster_ends_early_and_drift_is_seen(
    project: Project, customer: Callable[..., GivenSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    customer()
    synced(project, "springfield")
    plans: list[Any] = []
    made = sync_one.make_plan
    monkeypatch.setattr(sync_one, "make_plan", lambda *given: plans.append(given) or made(*given))

    found = only(synced(project, "springfield", at=MONDAY + NIGHT))
    assert (found["outcome"], found["early"], plans) == ("unchanged", True, [])

    with project.by_hand() as cursor:
        cursor.execute("update accounts set given_name = 'Other' where username = 'u0003'")
    found = only(synced(project, "springfield", at=MONDAY + 2 * NIGHT))
    assert (found["outcome"], found["people"]["changed"], len(plans)) == ("applied", 1, 1)
    assert project.ask("select count(*) from accounts where given_name = 'Other'") == [(0,)]
    assert only(synced(project, "springfield", at=MONDAY + 3 * NIGHT))["early"]

    undone = project.run("undo", "3", "--yes")
    assert undone.code == 0, undone.err
    assert only(synced(project, "springfield", at=MONDAY + 4 * NIGHT))["people"]["changed"] == 1, "and so is an undo"
    assert only(synced(project, "springfield", at=MONDAY + 60 * NIGHT))["early"] is False, "once in a while in any case"


def test_session_ending_is_a_reason_to_look_again(project: Project, customer: Callable[..., GivenSource]) -> None:
    sessions = [
        {"sourcedId": "t-1", "title": "T", "type": "term", "startDate": "2026-08-20", "endDate": "2026-11-26"},
        {"sourcedId": "t-2", "title": "T", "type": "term", "startDate": "2026-08-20", "endDate": "2027-06-15"},
    ]
    customer(given=DAY.with_rows("academicSessions", sessions))
    synced(project, "springfield")
    assert only(synced(project, "springfield", at=MONDAY + 2 * NIGHT))["early"]
    assert not only(synced(project, "springfield", at=MONDAY + 3 * NIGHT))["early"]


def test_refusing_source_is_retried_but_rejected_sign_in_is_not(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer(auto=DAILY)
    barred = customer("ogden", auto=DAILY)
    synced(project, "--due")
    source.given, barred.given = refused(), refused("sign-in-refused")
    night = datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
    for minutes in range(0, 23 * 60, 10):
        synced(project, "--due", at=night + timedelta(minutes=minutes))
    assert [len(source.asked), len(barred.asked)] == [1 + 3, 1 + 1]
    source.given, barred.given = DAY, DAY.with_district("d-ogden")
    done = synced(project, "--due", at=night + NIGHT)
    assert outcomes(done) == {"ogden": "unchanged", "springfield": "unchanged"}


def test_process_dying_while_fetching_is_a_failed_attempt(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer(auto=DAILY)

    def killed() -> None:
        raise KeyboardInterrupt

    source.on_fetch = killed
    with clock.freeze_time(MONDAY):
        assert project.run("sync", "--due").code == 130
    source.on_fetch = lambda: None
    assert synced(project, "--due", at=MONDAY + timedelta(minutes=1)).json["customers"] == [], "no storm"
    assert outcomes(synced(project, "--due", at=MONDAY + timedelta(minutes=16))) == {"springfield": "applied"}
