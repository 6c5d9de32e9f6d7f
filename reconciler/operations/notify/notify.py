"""Notify people and programs about syncs: queue events by the configuration last applied, and deliver them.

Each event is posted to the webhook; email is one digest a day (`notify.digests`). A failed delivery is a warning and
never fails a sync.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from reconciler import clock
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity
from reconciler.model.ids import CustomerNumber
from reconciler.model.sync import SyncEvent
from reconciler.notices.notice import Notice, NoticeHold
from reconciler.notices.webhook import build_webhook_body
from reconciler.operations.failure import UNEXPECTED_EXCEPTIONS, report_unexpected_error
from reconciler.operations.notify.deliver import DeliveryBudget, deliver_mail, deliver_posts
from reconciler.operations.notify.digests import enqueue_due_digests
from reconciler.operations.notify.subscribers import parse_listener
from reconciler.operations.workspace import Workspace
from reconciler.store.database import Connection
from reconciler.store.sync import (
    DeliveryChannel,
    OutboxEntry,
    compute_message_id,
    enqueue_message,
    find_live_customer,
    has_nothing_to_send,
    prune_outbox,
    record_notice,
)

#: Time for which settled messages are kept.
OUTBOX_RETENTION = timedelta(days=30)


def record_events(workspace: Workspace, events: Iterable[SyncEvent]) -> None:
    """Queue events in a transaction of its own. Raises Refusal if the store cannot be written."""
    with workspace.store.open_connection() as connection, connection.open_write_transaction():
        enqueue_events(workspace, connection, events)


def enqueue_events(workspace: Workspace, connection: Connection, events: Iterable[SyncEvent]) -> None:
    """Put events into the outbox, in the write transaction that records the sync; a known event is not queued again."""
    for event in events:
        customer = find_live_customer(connection, event.customer)
        if customer is not None:
            _enqueue_event(workspace, connection, event, *customer)


def _enqueue_event(
    workspace: Workspace,
    connection: Connection,
    event: SyncEvent,
    customer_number: CustomerNumber,
    name: str,
    document: Mapping[str, object] | None,
) -> None:
    now = clock.get_current_moment()
    hold = NoticeHold(event.hold, event.people) if event.hold is not None else None
    notice = Notice(event.kind, event.customer, now, event.since, event.sentences, hold, name)
    number = record_notice(connection, customer_number, notice)
    try:
        webhook = parse_listener(event.customer, document).notify.webhook
    except Refusal:
        return  # `deliver_posts` warns about it
    if number is None or webhook is None:
        return
    # The store never has a URL that is a secret.
    address = webhook if isinstance(webhook, str) else f"secret:{event.customer}/{webhook.secret}"
    message_id = compute_message_id(workspace.store, DeliveryChannel.WEBHOOK, address, str(number), notice.event, now)
    body = build_webhook_body(notice, message_id, workspace.public_url).decode()
    enqueue_message(
        connection,
        OutboxEntry(
            message_id, DeliveryChannel.WEBHOOK, address, notice.event, now, {number: True}, customer_number, body
        ),
    )


def deliver_due_messages(workspace: Workspace, budget: DeliveryBudget | None = None) -> tuple[Diagnostic, ...]:
    """Send all due messages, delete old settled ones, and return warnings; a failing step does not stop the others.

    budget: for webhooks. Email has its own, so that webhook receivers that do not answer use none of it."""
    warnings: list[Diagnostic] = []
    with _collect_warnings(warnings), workspace.store.open_connection() as connection:
        if has_nothing_to_send(connection):
            return ()
        with _collect_warnings(warnings):
            warnings += enqueue_due_digests(workspace.store, connection)
        for send in (deliver_posts, deliver_mail):
            with _collect_warnings(warnings):
                remaining = budget if budget is not None and send is deliver_posts else DeliveryBudget()
                warnings += [each.build_warning() for each in send(workspace, connection, remaining)]
        with _collect_warnings(warnings), connection.open_write_transaction():
            prune_outbox(connection, clock.subtract_span(clock.get_current_moment(), OUTBOX_RETENTION))
    return tuple(dict.fromkeys(warnings))


@contextmanager
def _collect_warnings(diagnostics: list[Diagnostic]) -> Iterator[None]:
    """Turn errors into warnings."""
    try:
        yield
    except Refusal as refusal:
        diagnostics += [replace(each, severity=Severity.WARNING) for each in refusal.diagnostics]
    except UNEXPECTED_EXCEPTIONS as problem:  # a failed delivery must not fail the sync
        diagnostics.append(
            replace(report_unexpected_error("notifications", "delivering", problem), severity=Severity.WARNING)
        )
