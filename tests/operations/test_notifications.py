"""Sync events are queued by the configuration last applied, and delivered from the outbox."""

from __future__ import annotations

import base64
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import standardwebhooks

from reconciler import clock
from reconciler.log import FIELDS
from reconciler.model.diagnostic import Severity
from reconciler.model.sync import EventKind, SyncEvent
from reconciler.notices.attempt import DeliveryAttempt
from reconciler.notices.signing import derive_public_key
from reconciler.notices.webhook import WebhookSender
from reconciler.operations.location import Location
from reconciler.operations.notify import deliver as delivering
from reconciler.operations.notify import notify as notifying
from reconciler.operations.notify.deliver import DeliveryBudget
from reconciler.operations.workspace import Workspace, open_workspace
from reconciler.store.database.connection import Connection
from reconciler.store.key import StoreKey
from reconciler.store.sync.outbox import OutboxMessage
from tests.support.customers.project import ENVIRONMENT, KEY, Project
from tests.support.rosters.bundles import bundle
from tests.support.servers.webhook_receiver import Receiver, receiving
from tests.support.sources.in_memory import SFTP, GivenSource, given_sources

NIGHT = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
SECRET = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
SETTINGS = """\
format: 1
environments: {{{name}: {{store: "sqlite:///.reconciler/store.db", public_url: "https://read.example"}}}}
network: {{allow: ["127.0.0.1"]}}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def hooked(project: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Project:
    """springfield, whose webhook is the receiver's, with a token that is nobody's business."""
    project.write("reconciler.yaml", SETTINGS.format(name=ENVIRONMENT))
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__RECEIVER", f"{receiver.url}?token=s3cret\n")
    project.customer(org=None, more="notify: {webhook: {secret: receiver}}\n")
    assert project.apply().code == 0
    return project


def opened(project: Project) -> Workspace:
    return open_workspace(Location(Path("customers"), store=project.store_url))


def event(kind: EventKind = EventKind.HELD, since: datetime = NIGHT, *, digest: str = "7f3a9c") -> SyncEvent:
    sentence = "Lincoln Elementary (s-7) would lose everyone: 12 of 12."
    hold = f"springfield:12:{digest}" if kind is EventKind.HELD else None
    return SyncEvent("springfield", kind, f"{since:%Y-%m-%dT%H:%M:%SZ}", (sentence,), hold, 12)


def noted(workspace: Workspace, *events: SyncEvent, at: datetime = NIGHT) -> None:
    with clock.freeze_time(at):
        notifying.record_events(workspace, events)


def delivered(project: Project, at: datetime) -> list[str]:
    """The warnings, as people see them."""
    with clock.freeze_time(at):
        found = notifying.deliver_due_messages(opened(project))
    assert all(each.severity is Severity.WARNING for each in found)
    return [str(each) for each in found]


def test_an_event_is_posted_at_once_and_once(hooked: Project, receiver: Receiver) -> None:
    workspace = opened(hooked)
    noted(workspace, event())
    noted(workspace, event(since=NIGHT + timedelta(minutes=1)), at=NIGHT + timedelta(minutes=1))
    assert delivered(hooked, NIGHT) == []
    assert delivered(hooked, NIGHT + timedelta(hours=1)) == []
    [got] = receiver.received
    assert got.path == "/hook?token=s3cret"
    assert (got.json["type"], got.json["customer"], got.json["name"]) == (
        "sync.held",
        "springfield",
        "Springfield District",
    )
    assert got.json["id"] == got.id
    assert got.json["see"] == {"command": "reconciler holds", "url": "https://read.example"}
    got.verify_v1a(derive_public_key(StoreKey(KEY).derive_key("webhook")))


def test_each_delivery_is_logged(hooked: Project, receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    noted(opened(hooked), event())
    with caplog.at_level(logging.INFO, "reconciler"):
        delivered(hooked, NIGHT)
    (found,) = [getattr(each, FIELDS) for each in caplog.records if each.message == "deliver"]
    assert found == {
        "channel": "webhook",
        "customers": "springfield",
        "result": "delivered",
        "attempt": 1,
    }
    assert len(receiver.received) == 1


def test_149_url_of_a_webhook_is_a_secret_that_no_store_or_report_has(
    hooked: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "RECONCILER_SECRET__SPRINGFIELD__RECEIVER"
    noted(opened(hooked), event())
    monkeypatch.delenv(variable)
    assert any("RECEIVER is not set, so webhooks cannot be sent" in each for each in delivered(hooked, NIGHT))
    monkeypatch.setenv(variable, "hooks.example/s3cret")
    [warned] = delivered(hooked, NIGHT + timedelta(hours=1))
    assert "secret receiver of springfield is not a complete URL" in warned
    assert "s3cret" not in warned
    hooked.customer(org=None, title="Springfield", more="notify: {webhook: {secret: receiver}}\n")
    refused = hooked.apply()
    assert (refused.code, "[webhook-url-form]" in refused.err) == (1, True)
    assert "s3cret" not in refused.out + refused.err
    monkeypatch.setenv(variable, f"{receiver.url}?token=s3cret")
    assert delivered(hooked, NIGHT + timedelta(days=1)) == []
    assert [got.path for got in receiver.received] == ["/hook?token=s3cret"]
    assert hooked.ask("SELECT address FROM outbox") == [("secret:springfield/receiver",)]


def test_shared_secret_is_read_when_needed(
    hooked: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    variable = "RECONCILER_SECRET__SPRINGFIELD__HOOK"
    monkeypatch.setenv(variable, SECRET)
    hooked.customer(org=None, more=f"notify: {{webhook: '{receiver.url}', webhook_secret: {{secret: hook}}}}\n")
    assert hooked.apply().code == 0
    monkeypatch.setenv(variable, "any")
    with clock.freeze_time(datetime.now(UTC)):
        now = clock.get_current_moment()
    moment = datetime.fromisoformat(now)
    noted(opened(hooked), event(), at=moment)
    [warned] = delivered(hooked, moment)
    assert "[webhook-secret-form]" in warned
    monkeypatch.delenv(variable)
    [warned] = delivered(hooked, moment + timedelta(minutes=2))
    assert "[secret-not-set]" in warned
    assert variable in warned
    monkeypatch.setenv(variable, f"whsec_{SECRET}")
    with clock.freeze_time(moment):
        assert notifying.deliver_due_messages(opened(hooked)) == ()
    assert receiver.received == []
    assert delivered(hooked, moment + timedelta(minutes=10)) == []
    [got] = receiver.received
    late = standardwebhooks.Webhook(SECRET)
    stamp = datetime.fromtimestamp(int(got.headers["webhook-timestamp"]), UTC)
    assert late.sign(got.id, stamp, got.body.decode()) == f"v1,{got.signatures()['v1']}"
    assert hooked.ask("SELECT attempts FROM outbox") == [(3,)]


def test_unusable_signing_secret_is_reported_in_advance(
    hooked: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan warns, an apply refuses the customer, and neither repeats it."""
    variable = "RECONCILER_SECRET__SPRINGFIELD__HOOK"
    monkeypatch.setenv(variable, "hunter2")
    path = hooked.customer(org=None, more=f"notify:\n  webhook: '{receiver.url}'\n  webhook_secret: {{secret: hook}}\n")
    found = hooked.run("plan", "springfield", "--format", "json")
    [said] = [each for each in found.json["customers"][0]["diagnostics"] if each["code"] == "webhook-secret-form"]
    assert (found.code, said["severity"]) == (0, "warning")
    done = hooked.apply("springfield")
    line = path.read_text(encoding="utf-8").splitlines().index("  webhook_secret: {secret: hook}") + 1
    assert (done.code, f"customer.yaml:{line}:" in done.err, variable in done.err) == (1, True, True)
    assert "hunter2" not in found.out + found.err + done.out + done.err
    monkeypatch.setenv(variable, SECRET)
    assert hooked.apply("springfield").code == 0
    monkeypatch.setenv(variable, "hunter2")
    again = hooked.run("plan", "springfield", "--format", "json").json["customers"][0]
    assert "webhook-secret-form" in {each["code"] for each in again["diagnostics"]}, "also where nothing else is new"


def test_dead_receiver_is_tried_ever_less_for_three_days(hooked: Project, receiver: Receiver) -> None:
    receiver.answers_with(500)
    workspace = opened(hooked)
    noted(workspace, event())
    asked = [NIGHT]
    while True:
        with clock.freeze_time(asked[-1]):
            [warned] = [str(each) for each in notifying.deliver_due_messages(workspace)]
        assert len(receiver.received) == len(asked)
        assert "webhook of springfield not delivered: 127.0.0.1 answered 500" in warned
        assert "s3cret" not in warned
        [(due,)] = hooked.ask("SELECT not_before FROM outbox")
        if due is None:
            break
        asked.append(datetime.fromisoformat(due))
        with clock.freeze_time(asked[-1] - timedelta(seconds=1)):
            assert notifying.deliver_due_messages(workspace) == ()
    distances = [(later - earlier) / timedelta(minutes=1) for earlier, later in pairwise(asked)]
    assert distances == [1, 5, 30, 120, 300, *[720] * 6]
    assert timedelta(days=3) <= asked[-1] - NIGHT < timedelta(days=3.5)
    assert "no further attempt" in warned
    assert len({each.id for each in receiver.received}) == 1
    assert len({each.body for each in receiver.received}) == 1
    assert hooked.ask("SELECT sent_at, not_before, last_error FROM outbox") == [(None, None, "webhook-refused")]


def test_a_receiver_that_comes_back_gets_everything_in_order(hooked: Project, receiver: Receiver) -> None:
    receiver.answers_with(503)
    workspace = opened(hooked)
    noted(workspace, event(), event(EventKind.RECOVERED))
    assert len(delivered(hooked, NIGHT)) == 1
    # Whoever is down is asked once, whatever waits for it.
    assert len(receiver.received) == 1
    receiver.answers_with(204)
    assert delivered(hooked, NIGHT + timedelta(minutes=1)) == []
    assert [each.json["type"] for each in receiver.received[1:]] == ["sync.held", "sync.recovered"]


def test_410_or_a_removed_address_ends_delivery(hooked: Project, receiver: Receiver) -> None:
    receiver.answers_with(410)
    noted(opened(hooked), event())
    [warned] = delivered(hooked, NIGHT)
    assert "[webhook-gone]" in warned
    assert "no further attempt" in warned
    noted(opened(hooked), event(EventKind.FAILED), at=NIGHT + timedelta(days=1))
    hooked.customer(org=None, more="notify: {email: [desk@springfield.example]}\n")
    assert hooked.apply().code == 0
    assert delivered(hooked, NIGHT + timedelta(hours=25)) == []
    assert len(receiver.received) == 1
    asked = "SELECT last_error FROM outbox WHERE channel = 'webhook' ORDER BY id"
    assert hooked.ask(asked) == [("webhook-gone",), ("notification-unasked",)]


def test_waiting_messages_go_to_the_replacement_address(hooked: Project, receiver: Receiver) -> None:
    receiver.answers_with(500)
    noted(opened(hooked), event())
    assert len(delivered(hooked, NIGHT)) == 1
    receiver.answers_with(204)
    hooked.customer(org=None, more=f"notify: {{webhook: '{receiver.url}/new'}}\n")
    assert hooked.apply().code == 0
    assert delivered(hooked, NIGHT + timedelta(minutes=1)) == []
    assert [got.path for got in receiver.received] == ["/hook?token=s3cret", "/hook/new"]
    assert len({got.id for got in receiver.received}) == 1


def test_the_configuration_last_applied_rules_and_not_the_files(hooked: Project, receiver: Receiver) -> None:
    hooked.customer(org=None, more="notify: {webhook: 'https://elsewhere.example/hook'}\n")
    noted(opened(hooked), event())
    assert delivered(hooked, NIGHT) == []
    assert len(receiver.received) == 1


def test_dead_receivers_delay_neither_others_nor_mail(hooked: Project, receiver: Receiver) -> None:
    receiver.answers_with(500)
    noted(opened(hooked), event())
    assert len(delivered(hooked, NIGHT)) == 1
    hooked.customer("shelbyville", org=None, more=f"notify: {{webhook: '{receiver.url}/s', email: [desk@b.example]}}\n")
    assert hooked.apply().code == 0
    later = replace(event(EventKind.REFUSED), customer="shelbyville")
    noted(opened(hooked), later, at=NIGHT + timedelta(hours=9))
    with clock.freeze_time(NIGHT + timedelta(hours=9)):
        notifying.deliver_due_messages(opened(hooked), DeliveryBudget(messages=1))
    assert [got.json["customer"] for got in receiver.received[1:]] == ["shelbyville"]
    assert len(list(Path(".reconciler/outbox").glob("*.eml"))) == 1


def test_one_run_delivers_no_more_than_it_may(hooked: Project, receiver: Receiver) -> None:
    workspace = opened(hooked)
    noted(workspace, *(event(digest=f"00000{each}") for each in range(5)))
    ticks = iter(range(0, 1000, 25))
    with clock.freeze_time(NIGHT + timedelta(hours=1)):
        assert notifying.deliver_due_messages(workspace, DeliveryBudget(messages=2)) == ()
        assert len(receiver.received) == 2
        assert notifying.deliver_due_messages(workspace, DeliveryBudget(clock_seconds=lambda: float(next(ticks)))) == ()
        assert len(receiver.received) == 4
        assert notifying.deliver_due_messages(workspace) == ()
    assert len({each.id for each in receiver.received}) == 5


def test_a_defect_in_delivering_is_a_warning(hooked: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("ops@springfield.example")

    monkeypatch.setattr(notifying, "enqueue_due_digests", broken)
    noted(opened(hooked), event())
    [warned] = delivered(hooked, NIGHT)
    assert "unexpected ValueError while delivering notifications" in warned
    assert "ops@" not in warned


def test_sync_reports_its_outcome_despite_a_dead_receiver(
    hooked: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = bundle(users=40)
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__SFTP", "hunter2")
    notify = "notify: {webhook: {secret: receiver}}\n"
    hooked.customer(org=None, more=SFTP.format(host="sftp.example.org", auto="") + notify)
    assert hooked.apply("--roster", "none", "springfield").code == 0
    source = given_sources(monkeypatch)["springfield"] = GivenSource(day)
    receiver.answers_with(500)
    codes, warned = [], []
    for hours, given in enumerate((day, day.without_users(day.students()), day)):
        source.given = given
        with clock.freeze_time(NIGHT + timedelta(hours=hours)):
            done = hooked.run("sync", "springfield")
        codes.append(done.code)
        warned.append("warning: webhook of springfield not delivered: 127.0.0.1 answered 500" in done.err)
        assert "s3cret" not in done.out + done.err
    assert (codes, warned) == ([0, 3, 0], [False, True, True])
    receiver.answers_with(204)
    assert delivered(hooked, NIGHT + timedelta(days=1)) == []
    [held, recovered] = [got.json for got in receiver.received[-2:]]
    assert (held["type"], recovered["type"]) == ("sync.held", "sync.recovered")
    assert held["hold"]["people"] == len(day.students())
    assert held["hold"]["id"].startswith(f"springfield:{len(day.students())}:")
    assert held["since"] == "2026-11-23T03:30:00Z"
    assert "would lose everyone" in " ".join(held["sentences"]) or "would be removed" in " ".join(held["sentences"])


KILLED = """\
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler import clock
from reconciler.model.sync import EventKind, SyncEvent
from reconciler.notices.webhook import WebhookSender
from reconciler.operations.location import Location
from reconciler.operations.notify import notify as notifying
from reconciler.operations.workspace import open_workspace

url, place = sys.argv[1:]
workspace = open_workspace(Location(Path("customers"), store=url))
at = "2026-11-23T02:30:00Z"
if place == "sending":
    WebhookSender.send = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
with clock.freeze_time(datetime(2026, 11, 23, 2, 30, tzinfo=UTC)):
    event = SyncEvent("springfield", EventKind.HELD, at, ("Many.",), "springfield:12:7f3a9c", 12)
    notifying.record_events(workspace, [event])
if place == "noted":
    os.kill(os.getpid(), signal.SIGKILL)
with clock.freeze_time(datetime(2026, 11, 23, 2, 30, tzinfo=UTC)):
    notifying.deliver_due_messages(workspace)
"""


@pytest.mark.parametrize("place", ["noted", pytest.param("sending", marks=pytest.mark.slow)])
def test_next_process_delivers_what_a_killed_one_recorded(hooked: Project, receiver: Receiver, place: str) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, hooked.store_url, place],
        cwd=hooked.folder,
        env={**os.environ, "PYTHONPATH": str(Path(notifying.__file__).parents[3])},
        timeout=60,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert receiver.received == []
    if place == "sending":
        assert delivered(hooked, NIGHT + timedelta(minutes=1)) == []
        assert receiver.received == []
    assert delivered(hooked, NIGHT + delivering.CLAIM_DURATION) == []
    assert len(receiver.received) == 1


@pytest.mark.parametrize("broken", ['"webhook":"nonsense"', '"email":["nobody"]'])
def test_externally_changed_customer_delays_no_other_notifications(
    hooked: Project, receiver: Receiver, broken: str
) -> None:
    """Its own wait, and a warning names it."""
    both = f"notify: {{email: [ops@read.example], webhook: '{receiver.url}'}}\n"
    for name in ("springfield", "shelbyville"):
        hooked.customer(name, org=None, more=both)
    assert hooked.apply().code == 0
    workspace = opened(hooked)
    noted(workspace, event())
    [(good,)] = hooked.ask("SELECT document FROM customers WHERE slug = 'springfield'")
    key = broken.split(":", 1)[0]
    assert f"{key}:" in good
    bad = json.dumps(json.loads(good) | {"notify": json.loads(f"{{{broken}}}")})
    with hooked.by_hand() as cursor:
        cursor.execute(f"UPDATE customers SET document = '{bad}' WHERE slug = 'springfield'")
    noted(workspace, event(EventKind.FAILED), replace(event(), customer="shelbyville", hold="shelbyville:12:7f3a9c"))
    morning = NIGHT + timedelta(hours=8)
    warned = delivered(hooked, morning)
    assert len(warned) == 2, "once for the post that waits, once for the digest"
    assert all("springfield" in each and "[notify-unreadable]" in each for each in warned)
    assert not any("nonsense" in each or "nobody@" in each for each in warned)
    assert [each.json["customer"] for each in receiver.received] == ["shelbyville"]
    [mail] = [each.read_text() for each in (hooked.folder / ".reconciler" / "outbox").iterdir()]
    assert ("Shelbyville District" in mail, "Springfield District" in mail) == (True, False)


def test_posts_are_delivered_where_digests_fail(
    hooked: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted(opened(hooked), event())

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(notifying, "enqueue_due_digests", fail)
    [warned] = delivered(hooked, NIGHT)
    assert "unexpected RuntimeError while delivering notifications" in warned
    assert [each.json["customer"] for each in receiver.received] == ["springfield"]


def test_one_undeliverable_message_delays_no_other(
    hooked: Project, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooked.customer("shelbyville", org=None, more=f"notify: {{webhook: '{receiver.url}'}}\n")
    assert hooked.apply().code == 0
    noted(opened(hooked), event(), replace(event(), customer="shelbyville", hold="shelbyville:12:7f3a9c"))
    posted = delivering._post_message

    def post(
        workspace: Workspace, connection: Connection, webhooks: WebhookSender, message: OutboxMessage
    ) -> DeliveryAttempt:
        if message.customer == "springfield":
            raise RuntimeError
        return posted(workspace, connection, webhooks, message)

    monkeypatch.setattr(delivering, "_post_message", post)
    [warned] = delivered(hooked, NIGHT)
    assert "webhook of springfield not delivered: unexpected RuntimeError; next attempt" in warned
    assert [each.json["customer"] for each in receiver.received] == ["shelbyville"]
