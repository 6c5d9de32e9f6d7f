"""`sync` by the program's door: fetch, plan, apply within limits, by what was last applied."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from reconciler import clock
from reconciler.cli.main import run
from reconciler.log import FIELDS
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.model.sync import EventKind, SyncEvent
from reconciler.operations.apply.apply_plan import ApplyOutcome, CustomerApplyResult
from reconciler.operations.location import Location
from reconciler.operations.sync import customer as sync_one
from reconciler.operations.sync import run as syncing
from reconciler.operations.sync.applied_config import open_applied_workspace
from reconciler.operations.sync.run import SyncRequest, sync_customers
from reconciler.store.database.connection import NO_PARAMETERS, Connection
from reconciler.store.database.schema import DURABLE
from tests.support.customers.project import Project, Result
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.sources.in_memory import API, SFTP, GivenSource, Sources, given_sources, packed

pytestmark = pytest.mark.slow

DAY = bundle(users=40)
STUDENTS = DAY.students()
DAILY = ', frequency: auto, period: daily, at: "02:30"'
MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
NIGHT = timedelta(days=1)


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> Sources:
    return given_sources(monkeypatch)


@pytest.fixture
def customer(project: Project, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> Callable[..., GivenSource]:
    """Makes a customer with a source of its own, applied without a roster."""

    def make(
        name: str = "springfield", *, rostering: str = SFTP, auto: str = "", more: str = "", given: Bundle = DAY
    ) -> GivenSource:
        for secret in ("SFTP", "ONEROSTER"):
            monkeypatch.setenv(f"RECONCILER_SECRET__{name.upper()}__{secret}", "hunter2")
        project.customer(name, org=None, more=rostering.format(host=f"{name}.example.org", auto=auto) + more)
        done = project.apply("--roster", "none", name)
        assert done.code == 0, done.err
        sources[name] = GivenSource(given, type="api" if rostering is API else "sftp")
        return sources[name]

    return make


def people(project: Project, name: str = "springfield") -> int:
    return int(
        project.ask(
            "select count(*) from accounts a join customers c on c.id = a.customer_id where a.managed_by = 'roster'"
            f" and a.tombstoned_at is null and c.slug = '{name}'"
        )[0][0]
    )


def synced(project: Project, *arguments: str, at: datetime = MONDAY) -> Result:
    with clock.freeze_time(at):
        return project.run("sync", "--format", "json", *arguments)


def only(result: Result) -> Any:
    (found,) = result.json["customers"]
    return found


def outcomes(result: Result) -> dict[str, str]:
    return {each["id"]: each["outcome"] for each in result.json["customers"]}


def codes(customer: Any) -> set[str]:
    return {each["code"] for each in customer["diagnostics"]}


def refused(code: str = "host-unreachable") -> Refusal:
    return Refusal([build_error(code, "no connection to the server")])


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
            open_applied_workspace(Path("customers"), None, project.store_url), SyncRequest(("springfield",))
        )
    steps = [(each.message, getattr(each, FIELDS)) for each in caplog.records if hasattr(each, FIELDS)]
    assert [step for step, _ in steps] == ["fetch", "plan", "apply", "sync"]
    found = dict(steps)
    assert {each["customer"] for each in found.values()} == {"springfield"}
    assert found["fetch"]["bytes"] > 0
    assert found["plan"]["people"] == found["sync"]["people_added"] == 40
    assert str(found["apply"]["run"]) == found["sync"]["runs"]


def test_without_names_those_are_synced_that_are_fetched_by_themselves(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    auto = customer("ogden", auto=DAILY)
    manual = customer("shelby")
    assert outcomes(synced(project)) == {"ogden": "applied"}
    assert (len(auto.asked), len(manual.asked)) == (1, 0)
    assert outcomes(synced(project, "shelby", at=MONDAY)) == {"shelby": "applied"}


def test_only_what_is_due_is_fetched_and_what_was_missed_once(
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


def test_who_is_changed_by_others_all_the_time_fails_and_is_told(
    project: Project, customer: Callable[..., GivenSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    customer()
    stale = CustomerApplyResult("springfield", ApplyOutcome.STALE)
    monkeypatch.setattr(sync_one, "apply_plan", lambda *given, **more: (stale,))
    done = synced(project, "springfield")
    assert (done.code, outcomes(done), codes(only(done))) == (1, {"springfield": "failed"}, {"store-moving"})
    assert people(project) == 0


def test_another_time_of_day_holds_as_soon_as_it_is_applied(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    customer(auto=DAILY)
    synced(project, "--due")
    noon = DAILY.replace("02:30", "13:00")
    project.customer(org=None, more=SFTP.format(host="springfield.example.org", auto=noon))
    early = MONDAY + timedelta(hours=1, minutes=15)
    assert synced(project, "--due", at=early).json["customers"] == [], "what is only in the files rules nothing"
    assert project.apply("--roster", "none", "springfield").code == 0
    assert outcomes(synced(project, "--due", at=early)) == {"springfield": "unchanged"}


def test_an_unchanged_roster_ends_early_and_drift_is_still_seen(
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


def test_a_session_that_ends_is_a_reason_to_look_again(project: Project, customer: Callable[..., GivenSource]) -> None:
    sessions = [
        {"sourcedId": "t-1", "title": "T", "type": "term", "startDate": "2026-08-20", "endDate": "2026-11-26"},
        {"sourcedId": "t-2", "title": "T", "type": "term", "startDate": "2026-08-20", "endDate": "2027-06-15"},
    ]
    customer(given=DAY.with_rows("academicSessions", sessions))
    synced(project, "springfield")
    assert only(synced(project, "springfield", at=MONDAY + 2 * NIGHT))["early"]
    assert not only(synced(project, "springfield", at=MONDAY + 3 * NIGHT))["early"]


def test_what_is_held_waits_as_a_plan_that_is_shown_and_approved_by_its_id(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
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
    assert (gone.code, "no plan is kept" in gone.err) == (3, True)


def test_what_is_held_keeps_its_day_until_a_newer_roster_supersedes_it(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
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


def test_a_kept_plan_is_stale_when_the_people_in_it_are_others(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
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
    assert "1 plan that waits for approval" in done.out
    assert project.ask("select count(*) from held_plans") == [(0,)]


def test_a_kept_plan_goes_with_the_end_of_retention(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer()
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:20])
    synced(project, "springfield", at=MONDAY + NIGHT)
    with clock.freeze_time(MONDAY + 32 * NIGHT):
        done = project.run("purge", "--yes", "--today", "2026-12-25")
    assert (done.code, "1 plan that waits for approval" in done.out) == (0, True)
    assert project.ask("select count(*) from held_plans") == [(0,)]
    assert project.run("holds", "--format", "json").json["holds"][0]["show"] is None, "it waits, and is fetched again"


def test_in_a_freeze_nothing_is_changed_and_it_is_said(project: Project, customer: Callable[..., GivenSource]) -> None:
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


def test_what_was_held_before_a_freeze_stays_held_through_it_and_is_named(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
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
        assert (done.code, f"{hold} was held before and waits on" in done.err) == (3, True)
        assert [each["id"] for each in held] == [hold]
        assert people(project) == 40
    assert told == []
    assert project.ask("select outcome, since from syncs") == [("held", "2026-11-24T12:00:00Z")]

    after = only(synced(project, "springfield", at=MONDAY + 4 * NIGHT))
    assert (after["outcome"], after["hold"]["id"], people(project)) == ("held", hold, 41)


def test_whose_roster_is_not_to_be_had_is_named_with_the_reason(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer("ogden", auto=DAILY)
    path = project.folder / "customers" / "ogden" / "customer.yaml"
    path.write_text(path.read_text() + "status: deactivated\n")
    assert project.apply("--roster", "none", "ogden").code == 0
    project.customer("shelby")
    project.customer("north", org=None)
    assert project.apply("--roster", "none", "shelby", "north").code == 0
    done = synced(project, "ogden", "shelby", "north")
    assert (done.code, set(outcomes(done).values())) == (0, {"skipped"})
    for word in ("deactivated", "a zip", "by hand"):
        assert word in done.err
    assert synced(project, "--due").json["customers"] == []
    assert source.asked == []
    assert synced(project, "nobody").code == 64


def test_a_roster_that_stays_the_same_file_is_stale_after_three_days_and_since_when_is_said(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer(auto=DAILY)
    live = customer("ogden", auto=DAILY, rostering=API)
    for days in range(3):
        done = synced(project, "--due", at=MONDAY + days * NIGHT)
        assert not any(each["stale_since"] for each in done.json["customers"])
    third = MONDAY + 3 * NIGHT
    by_id = {each["id"]: each for each in synced(project, "--due", at=third).json["customers"]}
    assert by_id["springfield"]["stale_since"] == "2026-11-23T12:00:00Z"
    assert by_id["springfield"]["outcome"] == "unchanged"
    assert codes(by_id["springfield"]) == {"stale-roster"}
    assert by_id["ogden"]["stale_since"] is None, "who answers for now is not a file that was left lying"

    live.given = source.given = refused()
    for days in range(4, 7):
        by_id = {each["id"]: each for each in synced(project, "--due", at=MONDAY + days * NIGHT).json["customers"]}
    assert by_id["ogden"]["stale_since"] == "2026-11-26T12:00:00Z", "nothing came since"
    source.given = DAY.with_user("u-9001")
    found = only(synced(project, "springfield", at=MONDAY + 7 * NIGHT))
    assert (found["outcome"], found["stale_since"]) == ("applied", None)


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


def test_a_source_that_refuses_is_tried_again_a_few_times_and_a_sign_in_is_not(
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
    source.given = barred.given = DAY
    done = synced(project, "--due", at=night + NIGHT)
    assert outcomes(done) == {"ogden": "unchanged", "springfield": "unchanged"}


def test_a_process_that_dies_while_it_fetches_is_a_try_that_failed(
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


def test_what_another_hand_wrote_into_the_configuration_is_used_and_stays_drift(
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


def test_a_configuration_that_is_applied_while_a_roster_is_fetched_is_not_taken_back(
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


def test_what_is_to_be_told_is_told_when_it_changes_and_once(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer(auto=DAILY)
    told: list[SyncEvent] = []
    held, cut = DAY.without_users(STUDENTS[:20]), packed(DAY)[:-200]
    for day, given in enumerate([DAY, held, held, cut, cut, DAY, refused(), DAY]):
        source.given = given
        workspace = open_applied_workspace(Location(project.folder / "customers", store=project.store_url))
        with clock.freeze_time(MONDAY + day * NIGHT):
            sync_customers(
                workspace, SyncRequest(("springfield",)), on_events=lambda connection, events: told.extend(events)
            )
    kinds = [each.kind for each in told]
    assert kinds == [
        EventKind.HELD,
        EventKind.REFUSED,
        EventKind.STALE,
        EventKind.RECOVERED,
        EventKind.REFUSED,
        EventKind.RECOVERED,
    ]
    assert told[2].since == "2026-11-24T12:00:00Z", "the last fresh one is of the first day that was held"
    assert (told[0].since, told[0].hold and told[0].hold[:15]) == ("2026-11-24T12:00:00Z", "springfield:20:")
    assert (told[0].people, bool(told[0].sentences)) == (20, True)
    assert told[1].sentences == ("The upload is incomplete. Send the file again.",)
    assert not any("u-0" in sentence for each in told for sentence in each.sentences)


def test_a_webhook_whose_secret_cannot_sign_is_a_warning_of_every_sync(
    project: Project, customer: Callable[..., GivenSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "RECONCILER_SECRET__SPRINGFIELD__HOOK"
    monkeypatch.setenv(variable, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
    customer(more="notify: {webhook: 'https://hooks.example.org/', webhook_secret: {secret: hook}}\n")
    found = []
    for value in ("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "hunter2", ""):
        monkeypatch.setenv(variable, value)
        done = synced(project, "springfield")
        found.append((done.code, codes(only(done)), "hunter2" in done.out + done.err))
    assert found == [(0, set(), False), (0, {"webhook-secret-form"}, False), (0, {"secret-not-set"}, False)]


def test_whoever_is_to_hear_of_it_hears_by_the_next_digest(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
    source = customer(more="notify: {email: [ops@springfield.example]}\n")
    synced(project, "springfield")
    source.given = DAY.without_users(STUDENTS[:20])
    hold = only(synced(project, "springfield", at=MONDAY + NIGHT))["hold"]["id"]
    source.given = refused()
    synced(project, "springfield", at=MONDAY + 2 * NIGHT)
    assert project.ask("select event, hold_id, people from notices order by id") == [
        ("held", hold, 20),
        ("refused", "", 0),
    ]
    letters = "".join(path.read_text() for path in (project.folder / ".reconciler" / "outbox").iterdir())
    assert (hold in letters, "u-0" in letters) == (True, False)


def test_two_syncs_of_one_customer_do_not_fetch_beside_each_other(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
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
    assert (other.came.outcome, other.diagnostics[0].code) == ("failed", "sync-under-way")
    assert len(source.asked) == 1


def test_a_store_of_an_older_schema_is_not_synced_from(project: Project, customer: Callable[..., GivenSource]) -> None:
    customer()
    with project.by_hand() as cursor:
        cursor.execute("update schema_revision set version_num = '0004'")
    done = project.run("sync", "springfield")
    assert (done.code, "store upgrade" in done.err) == (1, True)
    with project.by_hand() as cursor:
        cursor.execute(f"update schema_revision set version_num = '{DURABLE.head}'")


@pytest.mark.postgres
@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_lock_whose_connection_ends_during_a_fetch_stops_nobody(
    project: Project, customer: Callable[..., GivenSource]
) -> None:
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


@pytest.mark.parametrize(
    ("stopping", "code", "said"),
    [(KeyboardInterrupt(), 130, "interrupted"), (refused("store-gone"), 1, "no connection to the server")],
)
def test_what_was_synced_before_a_run_is_stopped_is_said(
    project: Project,
    customer: Callable[..., GivenSource],
    monkeypatch: pytest.MonkeyPatch,
    stopping: BaseException,
    code: int,
    said: str,
) -> None:
    source, _ = customer("anna"), customer("berta")
    finish = syncing._SyncJob._finish_sync

    def stopped(run: Any, one: Any, future: Any) -> None:
        if one.candidate.id == "berta":
            raise stopping
        finish(run, one, future)

    monkeypatch.setattr(syncing._SyncJob, "_finish_sync", stopped)
    monkeypatch.setattr(syncing, "WINDOW", 1)
    with clock.freeze_time(MONDAY):
        text = project.run("sync", "anna", "berta")
    assert (text.code, text.out.startswith("anna: applied"), "berta" in text.out) == (code, True, False)
    assert said in text.err

    source.given = DAY.without_users(STUDENTS[:2])
    as_json = synced(project, "anna", "berta", at=MONDAY + NIGHT)
    assert (as_json.code, outcomes(as_json)) == (code, {"anna": "applied"})
    assert said in as_json.err


def test_a_run_that_cannot_begin_says_nothing_of_customers(project: Project, sources: Sources) -> None:
    done = synced(project, "nobody")
    assert (done.code, done.out) == (64, "")
    assert "frequency: auto" in project.run("sync").err
