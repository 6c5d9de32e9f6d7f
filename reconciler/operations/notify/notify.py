"""Telling people and programs what became of syncs: put into the outbox by the configuration last applied, and
delivered from there.

A webhook is posted to at each event, mail is one digest a day (`operations.digests`). What cannot be delivered is a
warning, and never fails a sync.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from reconciler import clock
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity
from reconciler.model.sync import SyncEvent
from reconciler.notices.notice import Notice, NoticeHold
from reconciler.notices.webhook import build_webhook_body
from reconciler.operations.failure import UNEXPECTED_EXCEPTIONS, report_unexpected_error
from reconciler.operations.notify.deliver import DeliveryBudget, deliver_mail, deliver_posts
from reconciler.operations.notify.digests import enqueue_due_digests
from reconciler.operations.notify.subscribers import parse_listener
from reconciler.operations.workspace import Workspace
from reconciler.store.database.connection import Connection
from reconciler.store.sync.notices import find_live_customer, record_notice
from reconciler.store.sync.outbox import (
    DeliveryChannel,
    OutboxEntry,
    compute_message_id,
    enqueue_message,
    has_nothing_to_send,
    prune_outbox,
)

#: How long what was delivered or given up is kept.
OUTBOX_RETENTION = timedelta(days=30)


def record_events(workspace: Workspace, events: Iterable[SyncEvent]) -> None:
    """As `enter`, in a transaction of its own. Raises Refusal where the store cannot be written; nothing is noted
    then."""
    with workspace.store.open_connection() as connection, connection.open_write_transaction():
        enqueue_events(workspace, connection, events)


def enqueue_events(workspace: Workspace, connection: Connection, events: Iterable[SyncEvent]) -> None:
    """Puts what happened now into the outbox, inside the writing transaction that records the sync. What is known
    already is not told twice."""
    for event in events:
        found = find_live_customer(connection, event.customer)
        if found is not None:
            _enqueue_event(workspace, connection, event, *found)


def _enqueue_event(
    workspace: Workspace,
    connection: Connection,
    event: SyncEvent,
    customer_number: int,
    name: str,
    document: Mapping[str, object] | None,
) -> None:
    now = clock.get_current_moment()
    hold = NoticeHold(event.hold, event.people) if event.hold is not None else None
    notice = Notice(event.kind, event.customer, now, event.since, event.sentences, hold, name)
    number = record_notice(connection, customer_number, notice)
    try:
        url = parse_listener(event.customer, document).notify.webhook
    except Refusal:
        return  # its roster is synced all the same, and `deliver` says what is wrong
    if number is None or url is None:
        return
    known_by = compute_message_id(workspace.store, DeliveryChannel.WEBHOOK, url, str(number), notice.event, now)
    body = build_webhook_body(notice, known_by, workspace.public_url).decode()
    enqueue_message(
        connection,
        OutboxEntry(known_by, DeliveryChannel.WEBHOOK, url, notice.event, now, {number: True}, customer_number, body),
    )


def deliver_due_messages(workspace: Workspace, budget: DeliveryBudget | None = None) -> tuple[Diagnostic, ...]:
    """Sends what is due, and forgets what was settled long ago. Returns warnings; raises nothing that a sync would have
    to answer for. Where one of these fails, the others are done all the same. budget: of posts; mail has one of its
    own, so that receivers that do not answer take nothing of it."""
    found: list[Diagnostic] = []
    with _collect_warnings(found), workspace.store.open_connection() as connection:
        if has_nothing_to_send(connection):
            return ()
        with _collect_warnings(found):
            found += enqueue_due_digests(workspace.store, connection)
        for send in (deliver_posts, deliver_mail):
            with _collect_warnings(found):
                left = budget if budget is not None and send is deliver_posts else DeliveryBudget()
                for each in send(workspace, connection, left):
                    found.append(each.build_warning())
        with _collect_warnings(found), connection.open_write_transaction():
            prune_outbox(connection, clock.subtract_span(clock.get_current_moment(), OUTBOX_RETENTION))
    return tuple(dict.fromkeys(found))


@contextmanager
def _collect_warnings(diagnostics: list[Diagnostic]) -> Iterator[None]:
    """What goes wrong is a warning."""
    try:
        yield
    except Refusal as refusal:
        diagnostics += [replace(each, severity=Severity.WARNING) for each in refusal.diagnostics]
    except UNEXPECTED_EXCEPTIONS as problem:  # a door: what was applied is applied, whether anybody hears of it or not
        diagnostics.append(
            replace(report_unexpected_error("notifications", "delivering", problem), severity=Severity.WARNING)
        )
