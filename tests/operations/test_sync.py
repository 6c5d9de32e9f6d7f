"""`sync` through the CLI: fetch, plan and apply within limits, using the configuration last applied."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from reconciler import clock
from reconciler.cli.main import run
from reconciler.log import FIELDS
from reconciler.operations.location import Location
from reconciler.operations.sync.applied_config import open_applied_workspace
from reconciler.operations.sync.run import SyncRequest, sync_customers
from reconciler.store.database.schema import DURABLE
from tests.support.customers.project import Project
from tests.support.operations.synced_customers import (
    DAILY,
    DAY,
    MONDAY,
    NIGHT,
    STUDENTS,
    only,
    outcomes,
    people,
    refused,
    synced,
)
from tests.support.sources.in_memory import GivenSource, packed

pytestmark = pytest.mark.slow


def test_one_that_is_named_is_fetched_planned_and_applied(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer()
    done = synced(project, "springfield")
    assert done.code == 0, done.err
    found = only(done)
    assert (found["outcome"], found["early"], found["people"]["added"]) == ("applied", False, 40)
    assert people(project) == 40
    assert all(stream.closed for stream in source.streams)

    source.given = DAY.without_users(STUDENTS[:2]).with_user("u-9001")
    with clock.freeze_time(MONDAY + NIGHT):
        text = project.run("sync", "springfield")
    assert text.code == 0
    assert "springfield: applied (run 3): 2 people removed, 1 person added" in text.out
    assert people(project) == 39


def test_each_step_of_a_sync_is_logged(
    project: Project, customer: Callable[..., GivenSource], caplog: pytest.LogCaptureFixture
) -> None:
    customer()
    with caplog.at_level(logging.INFO, "reconciler"):
        assert sync_customers(
            open_applied_workspace(Location(Path("customers"), store=project.store_url)), SyncRequest(("springfield",))
        )
    steps = [(each.message, getattr(each, FIELDS)) for each in caplog.records if hasattr(each, FIELDS)]
    assert [step for step, _ in steps] == ["fetch", "plan", "apply", "sync"]
    found = dict(steps)
    assert {each["customer"] for each in found.values()} == {"springfield"}
    assert found["fetch"]["bytes"] > 0
    assert found["plan"]["people"] == found["sync"]["people_added"] == 40
    assert str(found["apply"]["run"]) == found["sync"]["runs"]


def test_what_fails_with_one_stops_no_other(project: Project, customer: Callable[..., GivenSource]) -> None:
    customer("anna").given = refused()
    customer("berta").given = RuntimeError("a defect")
    customer("carl").given = packed(DAY)[:-200]
    customer("dora")
    customer("emil")
    with project.by_hand() as cursor:
        cursor.execute("update customers set document = '{}' where slug = 'emil'")
    done = synced(project, "anna", "berta", "carl", "dora", "emil")
    assert outcomes(done) == {
        "anna": "refused",
        "berta": "failed",
        "carl": "refused",
        "dora": "applied",
        "emil": "failed",
    }
    assert done.code == 5
    assert people(project, "dora") == 40
    assert synced(project, "anna", at=MONDAY + NIGHT).code == 3
    assert synced(project, "berta", at=MONDAY + NIGHT).code == 1


def test_the_store_rules_what_runs_and_not_yesterdays_checkout(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    path = project.folder / "customers" / "springfield" / "customer.yaml"
    source = customer()
    old = path.read_text()
    path.write_text(old.replace("match_with: identifier", 'match_with: identifier\n  suffix: "@new"'))
    assert project.apply("--roster", "none", "springfield").code == 0
    path.write_text(old.replace("Springfield District", "A Name of Yesterday"))
    assert outcomes(synced(project, "springfield")) == {"springfield": "applied"}
    assert project.ask("select username from accounts where username like 'u0003%'") == [("u0003@new",)]
    assert project.ask("select name from customers") == [("Springfield District",)], "no declared kind is touched"

    path.write_text("this: is: no: yaml")
    source.given = DAY.with_user("u-9001")
    assert outcomes(synced(project, "springfield", at=MONDAY + NIGHT)) == {"springfield": "applied"}
    assert all(row == (None,) for row in project.ask("select git_commit from runs where source_sha256 is not null"))


def test_externally_written_configuration_is_used_and_stays_drift(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    customer()
    document = json.loads(project.ask("select document from customers")[0][0])
    document["rostering"]["suffix"] = "@hand"
    with project.by_hand() as cursor:
        cursor.execute(f"update customers set document = '{json.dumps(document)}'")
    assert outcomes(synced(project, "springfield")) == {"springfield": "applied"}
    assert project.ask("select count(*) from accounts where username like '%@hand'") == [(40,)]
    assert project.ask("select settings_digest from customers") == [(None,)]
    plan = project.plan("springfield", "--roster", "none")
    assert [each["cause"] for each in plan.json["customers"][0]["changes"]] == ["drift"]
    assert not only(synced(project, "springfield", at=MONDAY + NIGHT))["early"], "nobody knows what is settled"


def test_configuration_applied_during_a_fetch_is_not_reverted(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer()
    path = project.folder / "customers" / "springfield" / "customer.yaml"

    def merged() -> None:
        text = path.read_text().replace("Springfield District", "A Name of Today")
        path.write_text(text.replace("match_with: identifier", 'match_with: identifier\n  suffix: "@new"'))
        assert run(["apply", "--store", project.store_url, "--yes", "--roster", "none", "springfield"]) == 0

    source.on_fetch = merged
    with clock.freeze_time(MONDAY):
        assert project.run("sync", "springfield").code == 0
    assert project.ask("select name from customers") == [("A Name of Today",)]
    assert project.ask("select count(*) from accounts where username like '%@new'") == [(40,)], "by what holds now"

    def elsewhere() -> None:
        path.write_text(path.read_text().replace("/out/roster.zip", "/out/other.zip"))
        assert run(["apply", "--store", project.store_url, "--yes", "--roster", "none", "springfield"]) == 0

    source.on_fetch, source.given = elsewhere, DAY.with_user("u-9001")
    with clock.freeze_time(MONDAY + NIGHT):
        done = project.run("sync", "springfield")
    assert (done.code, "configuration-changed" in done.err, people(project)) == (1, True, 40)


def test_two_syncs_of_one_customer_never_fetch_together(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer(auto=DAILY)
    beside: list[Any] = []

    def another() -> None:
        source.on_fetch = lambda: None
        workspace = open_applied_workspace(Location(project.folder / "customers", store=project.store_url))
        with clock.freeze_time(MONDAY):
            beside.extend(sync_customers(workspace, SyncRequest(("springfield",))))

    source.on_fetch = another
    assert outcomes(synced(project, "--due")) == {"springfield": "applied"}
    (other,) = beside
    assert (other.result.outcome, other.diagnostics[0].code) == ("failed", "sync-under-way")
    assert len(source.asked) == 1


def test_store_of_an_older_schema_is_not_synced(project: Project, customer: Callable[..., GivenSource]) -> None:
    customer()
    with project.by_hand() as cursor:
        cursor.execute("update schema_revision set version_num = '0004'")
    done = project.run("sync", "springfield")
    assert (done.code, "store upgrade" in done.err) == (1, True)
    with project.by_hand() as cursor:
        cursor.execute(f"update schema_revision set version_num = '{DURABLE.head}'")


@pytest.mark.postgres
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_lock_lost_during_a_fetch_stops_nobody(project: Project, customer: Callable[..., GivenSource]) -> None:
    """As a server does that ends sessions which are idle for long."""
    first, others = customer("anna"), [customer("berta"), customer("carl")]
    holding = "select pid from pg_locks where locktype = 'advisory' and granted"
    ended = threading.Event()

    def end() -> None:
        with psycopg.connect(project.store_url, autocommit=True) as other:
            for (pid,) in other.execute(holding).fetchall():
                other.execute("select pg_terminate_backend(%s, 5000)", [pid])
        ended.set()

    first.on_fetch = end
    for each in others:
        each.on_fetch = lambda: ended.wait(60)
    done = synced(project, "anna", "berta", "carl")
    assert outcomes(done) == dict.fromkeys(("anna", "berta", "carl"), "applied"), done.err
    assert (done.code, people(project, "anna"), people(project, "carl")) == (0, 40, 40)
