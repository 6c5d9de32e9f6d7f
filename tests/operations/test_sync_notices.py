"""Messages and notifications about rosters that fail in a sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler import clock
from reconciler.model.sync import EventKind, SyncEvent
from reconciler.operations.apply.apply import ApplyOutcome, CustomerApplyResult
from reconciler.operations.location import Location
from reconciler.operations.sync import customer as sync_one
from reconciler.operations.sync import run as syncing
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
    outcomes,
    people,
    refused,
    synced,
)
from tests.support.sources.in_memory import API, GivenSource, Sources, packed

pytestmark = pytest.mark.slow


def test_customer_changed_constantly_by_others_fails_and_is_reported(
    project: Project, customer: Callable[..., GivenSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    customer()
    stale = CustomerApplyResult("springfield", ApplyOutcome.STALE)
    monkeypatch.setattr(sync_one, "apply_plan", lambda *given, **more: (stale,))
    done = synced(project, "springfield")
    assert (done.code, outcomes(done), codes(only(done))) == (1, {"springfield": "failed"}, {"store-moving"})
    assert people(project) == 0


def test_unavailable_roster_is_named_with_the_reason(project: Project, customer: Callable[..., GivenSource]) -> None:
    source = customer("ogden", auto=DAILY)
    path = project.folder / "customers" / "ogden" / "customer.yaml"
    path.write_text(path.read_text() + "status: deactivated\n")
    (hold,) = [each["hold"]["id"] for each in project.plan("--roster", "none", "ogden").json["customers"]]
    assert project.apply("--roster", "none", "ogden", "--approve", hold).code == 0
    project.customer("shelby")
    project.customer("north", org=None)
    assert project.apply("--roster", "none", "shelby", "north").code == 0
    done = synced(project, "ogden", "shelby", "north")
    assert (done.code, set(outcomes(done).values())) == (0, {"skipped"})
    for word in ("deactivated", "a ZIP file", "managed manually"):
        assert word in done.err
    assert synced(project, "--due").json["customers"] == []
    assert source.asked == []
    assert synced(project, "nobody").code == 64


def test_unchanged_roster_is_stale_after_three_days_with_date(
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


def test_change_of_outcome_is_reported_once(project: Project, customer: Callable[..., GivenSource]) -> None:
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


def test_webhook_secret_that_cannot_sign_warns_every_sync(
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


def test_new_recipients_hear_by_the_next_digest(project: Project, customer: Callable[..., GivenSource]) -> None:
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


@pytest.mark.parametrize(
    ("stopping", "code", "said"),
    [(KeyboardInterrupt(), 130, "interrupted"), (refused("store-gone"), 1, "no connection to the server")],
)
def test_stopped_run_reports_what_it_synced(
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

    source.given = DAY.with_district("d-anna").without_users(STUDENTS[:2])
    as_json = synced(project, "anna", "berta", at=MONDAY + NIGHT)
    assert (as_json.code, outcomes(as_json)) == (code, {"anna": "applied"})
    assert said in as_json.err


def test_a_run_that_cannot_begin_says_nothing_of_customers(project: Project, sources: Sources) -> None:
    done = synced(project, "nobody")
    assert (done.code, done.out) == (64, "")
    assert "frequency: auto" in project.run("sync").err
