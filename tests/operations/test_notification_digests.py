"""Each address gets one digest a day, with new events and open problems."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from reconciler import clock
from reconciler.model.sync import EventKind, SyncEvent
from reconciler.operations.location import Location
from reconciler.operations.notify import notify as notifying
from reconciler.operations.workspace import Workspace, open_workspace
from tests.support.customers.project import ENVIRONMENT, Project
from tests.support.servers.mail import mail_server

OPS = "ops@read.example"
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def opened(project: Project) -> Workspace:
    return open_workspace(Location(Path("customers"), store=project.store_url))


def declared(project: Project, **customers: str) -> Workspace:
    for name, more in customers.items():
        project.customer(name, org=None, more=more)
    assert project.apply().code in (0, 3)
    return opened(project)


def event(kind: EventKind, customer: str = "springfield", *sentences: str) -> SyncEvent:
    """Since when it is so, is when it is noted."""
    said = sentences or ("Lincoln Elementary (s-7) would lose everyone: 12 of 12.",)
    return SyncEvent(customer, kind, "", said, f"{customer}:12:7f3a9c" if kind is EventKind.HELD else None, 12)


def noted(workspace: Workspace, at: datetime, *events: SyncEvent) -> None:
    with clock.freeze_time(at):
        notifying.record_events(workspace, [replace(each, since=clock.get_current_moment()) for each in events])


def delivered(workspace: Workspace, at: datetime) -> tuple[str, ...]:
    with clock.freeze_time(at):
        return tuple(str(each) for each in notifying.deliver_due_messages(workspace))


def mails() -> list[EmailMessage]:
    """Of the file outbox, as they were written."""
    found = []
    folder = Path(".reconciler/outbox")
    for path in sorted(folder.iterdir()) if folder.exists() else []:
        message = message_from_bytes(path.read_bytes(), policy=default)
        assert isinstance(message, EmailMessage)
        found.append(message)
    return found


def arrived(workspace: Workspace, at: datetime) -> list[EmailMessage]:
    """The mails that a run at this moment wrote."""
    before = {each["Message-ID"] for each in mails()}
    assert delivered(workspace, at) == ()
    return [each for each in mails() if each["Message-ID"] not in before]


def test_a_school_week_in_digests(project: Project) -> None:
    workspace = declared(project, springfield=f"notify: {{email: [{OPS}]}}\n", shelby=f"notify: {{email: [{OPS}]}}\n")
    assert arrived(workspace, MONDAY + 8 * HOUR) == []
    # Tuesday: a night's hold is told in the morning, and once.
    noted(workspace, MONDAY + DAY + 2.5 * HOUR, event(EventKind.HELD))
    assert arrived(workspace, MONDAY + DAY + 2.5 * HOUR) == []
    [tuesday] = arrived(workspace, MONDAY + DAY + 7 * HOUR)
    assert arrived(workspace, MONDAY + DAY + 9 * HOUR) == []
    assert tuesday["To"] == OPS
    assert tuesday["Subject"] == "Springfield District: roster held"
    # It still stands on Wednesday, and another customer's roster was refused after Tuesday's digest.
    noted(workspace, MONDAY + DAY + 15 * HOUR, event(EventKind.REFUSED, "shelby", "The file was cut off."))
    assert arrived(workspace, MONDAY + DAY + 16 * HOUR) == []
    [wednesday] = arrived(workspace, MONDAY + 2 * DAY + 7 * HOUR)
    assert wednesday["Subject"] == "Rosters: 1 refused, 1 held"
    text = wednesday.get_content()
    assert text.index("Shelby District") < text.index("Still open") < text.index("Springfield District")
    assert "since 2026-11-24 02:30 UTC" in text
    # Thursday: nothing happened, both stand.
    [thursday] = arrived(workspace, MONDAY + 3 * DAY + 7 * HOUR)
    assert thursday.get_content().startswith("Nothing new. Still open:")
    # Friday: both are well again.
    night = MONDAY + 4 * DAY + 2.5 * HOUR
    noted(
        workspace, night, *(event(EventKind.RECOVERED, each, "It is in order.") for each in ("shelby", "springfield"))
    )
    [friday] = arrived(workspace, MONDAY + 4 * DAY + 7 * HOUR)
    assert friday["Subject"] == "Rosters: 2 recovered"
    assert "Still open" not in friday.get_content()
    # And then there is silence.
    for day in range(5, 40):
        assert arrived(workspace, MONDAY + day * DAY + 7 * HOUR) == []
    assert project.ask("SELECT count(*) FROM outbox") == [(0,)]
    assert project.ask("SELECT count(*) FROM notices") == [(0,)]


def test_the_digest_in_its_own_words(project: Project) -> None:
    workspace = declared(project, springfield=f"notify: {{email: [{OPS}]}}\n")
    noted(workspace, MONDAY + 2.5 * HOUR, event(EventKind.HELD))
    [mail] = arrived(workspace, MONDAY + 7 * HOUR)
    assert mail.get_content().replace("\r\n", "\n") == (
        "Springfield District (springfield)\n"
        "\n"
        "  HELD since 2026-11-23 02:30 UTC: changes are waiting for approval.\n"
        "    Lincoln Elementary (s-7) would lose everyone: 12 of 12.\n"
        "    12 people would be removed (hold springfield:12:7f3a9c).\n"
        "    Details:  reconciler holds\n"
        "\n"
        "This email contains no names. To see who is affected, run the commands above or open\n"
        "http://127.0.0.1:8000\n"
    )


def test_changes_undone_within_a_day_are_still_reported(project: Project) -> None:
    workspace = declared(project, springfield=f"notify: {{email: [{OPS}]}}\n")
    noted(workspace, MONDAY + 1 * HOUR, event(EventKind.FAILED))
    noted(workspace, MONDAY + 2 * HOUR, event(EventKind.RECOVERED))
    [mail] = arrived(workspace, MONDAY + 7 * HOUR)
    assert mail["Subject"] == "Springfield District: roster failed, recovered"


def test_the_morning_is_where_the_customers_are(project: Project) -> None:
    chicago = f"timezone: America/Chicago\nnotify: {{email: [{OPS}]}}\n"
    berlin = f"timezone: Europe/Berlin\nnotify: {{email: [{OPS}, head@berlin.example]}}\n"
    workspace = declared(project, springfield=chicago, berlin=berlin)
    # 06:30 UTC is after the morning in Berlin and before it in Chicago.
    night = MONDAY + 6.5 * HOUR
    noted(workspace, night, event(EventKind.HELD), event(EventKind.HELD, "berlin"))
    assert [each["To"] for each in arrived(workspace, night)] == ["head@berlin.example"]
    # Who is told of both is told after the later morning.
    assert arrived(workspace, MONDAY + 12.9 * HOUR) == []
    assert [each["To"] for each in arrived(workspace, MONDAY + 13 * HOUR)] == [OPS]
    assert [each["To"] for each in arrived(workspace, MONDAY + DAY + 6 * HOUR)] == ["head@berlin.example"]


def test_clock_set_forward_skips_no_digest(project: Project) -> None:
    workspace = declared(project, springfield=f"timezone: America/Chicago\nnotify: {{email: [{OPS}]}}\n")
    saturday = datetime(2027, 3, 13, tzinfo=UTC)
    noted(workspace, saturday + 9 * HOUR, event(EventKind.HELD))
    found = [hour for hour in range(9, 72) for _ in arrived(workspace, saturday + hour * HOUR)]
    # 07:00 is 13:00 UTC on Saturday, and 12:00 UTC from Sunday on.
    assert found == [13, 24 + 12, 48 + 12]


def test_mail_is_sent_at_night_for_nightly_runs(project: Project) -> None:
    workspace = declared(project, springfield=f"notify: {{email: [{OPS}]}}\n")
    night = MONDAY + 2.5 * HOUR
    noted(workspace, night, event(EventKind.HELD))
    assert arrived(workspace, night) == []
    assert len(arrived(workspace, night + DAY)) == 1
    assert len(arrived(workspace, night + 2 * DAY)) == 1


def test_later_subscribers_hear_current_state_and_removed_ones_nothing(project: Project) -> None:
    workspace = declared(project, springfield=f"notify: {{email: [{OPS}]}}\n")
    noted(workspace, MONDAY, event(EventKind.STALE), event(EventKind.HELD))
    noted(workspace, MONDAY + HOUR, event(EventKind.REFUSED))
    assert len(arrived(workspace, MONDAY + 7 * HOUR)) == 1
    workspace = declared(project, springfield="notify: {email: [new@read.example]}\n")
    [mail] = arrived(workspace, MONDAY + 5 * DAY + 7 * HOUR)
    assert mail["To"] == "new@read.example"
    assert mail["Subject"] == "Springfield District: roster refused, stale"


def test_holds_are_reported_with_todays_approval_command(project: Project) -> None:
    workspace = declared(project, springfield=f"notify: {{email: [{OPS}]}}\n")
    noted(workspace, MONDAY + 2 * HOUR, event(EventKind.HELD))
    with project.by_hand() as cursor:
        cursor.execute(
            "INSERT INTO holds (customer_id, scope, hold_id, people, rows, causes, plan_id, created_at)"
            " SELECT id, 'roster', 'springfield:13:aaaaaa', 13, 20,"
            " '[\"13 of 20 people would be removed.\"]', 'p', '2026-09-01T07:00:00Z'"
            " FROM customers WHERE slug = 'springfield'"
        )
    [mail] = arrived(workspace, MONDAY + 7 * HOUR)
    assert "    13 of 20 people would be removed.\n" in mail.get_content().replace("\r\n", "\n")
    assert "springfield:13:aaaaaa" in mail.get_content()
    assert "7f3a9c" not in mail.get_content()


def test_mail_refused_by_a_server_is_resent_unchanged(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    with mail_server(tmp_path) as server:
        mail = f"{{backend: smtp, host: 127.0.0.1, port: {server.port}, sender: rosters@read.example}}"
        project.write(
            "reconciler.yaml",
            f'format: 1\nenvironments: {{{ENVIRONMENT}: {{store: "sqlite:///.reconciler/store.db", mail: {mail}}}}}\n',
        )
        workspace = declared(project, springfield=f"notify: {{email: [{OPS}, gone@read.example]}}\n")
        server.refusals["gone@read.example"] = "550 no such user"
        server.data = "451 later"
        noted(workspace, MONDAY + 2 * HOUR, event(EventKind.HELD))
        warned = delivered(workspace, MONDAY + 7 * HOUR)
        assert [each.partition("[")[2].partition("]")[0] for each in warned] == ["mail-address-refused", "mail-refused"]
        assert all("mail of springfield not delivered: 127.0.0.1" in each and "@" not in each for each in warned)
        server.data = "250 OK"
        assert delivered(workspace, MONDAY + 7 * HOUR + timedelta(minutes=1)) == ()
        assert delivered(workspace, MONDAY + 8 * HOUR) == ()
    assert server.recipients == [OPS]
    [(name,)] = project.ask("SELECT message_id FROM outbox WHERE sent_at IS NOT NULL")
    assert server.mails[0]["Message-ID"].startswith(f"<{name}@")


def test_two_runs_at_once_make_one_digest(project: Project) -> None:
    import threading

    workspace = declared(project, springfield=f"notify: {{email: [{OPS}]}}\n")
    noted(workspace, MONDAY + 2 * HOUR, event(EventKind.HELD))
    found: list[tuple[str, ...]] = []
    runs = [threading.Thread(target=lambda: found.append(delivered(workspace, MONDAY + 7 * HOUR))) for _ in range(3)]
    for each in runs:
        each.start()
    for each in runs:
        each.join(60)
    assert found == [(), (), ()]
    assert len(mails()) == 1
    assert project.ask("SELECT attempts FROM outbox") == [(1,)]


def test_a_removed_customer_is_in_no_digest(project: Project) -> None:
    workspace = declared(project, springfield=f"notify: {{email: [{OPS}]}}\n")
    noted(workspace, MONDAY, event(EventKind.HELD, "nobody"), event(EventKind.HELD))
    with project.by_hand() as cursor:
        cursor.execute("UPDATE customers SET tombstoned_at = '2026-11-23T01:00:00Z'")
    assert arrived(workspace, MONDAY + 7 * HOUR) == []
