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
from reconciler.notices.notice import HeldSet, Notice
from reconciler.notices.webhook import body_of
from reconciler.operations.failure import UNFORESEEN, unexpected
from reconciler.operations.notify.deliver import Budget, deliver_mail, deliver_posts
from reconciler.operations.notify.digests import make_digests
from reconciler.operations.notify.subscribers import listener_of
from reconciler.operations.workspace import Workspace
from reconciler.store.database.connection import Connection
from reconciler.store.sync.notices import record_notice, told_of
from reconciler.store.sync.outbox import Channel, Entry, forget, message_id, nothing_to_tell, put

#: How long what was delivered or given up is kept.
KEPT = timedelta(days=30)


def note(workspace: Workspace, events: Iterable[SyncEvent]) -> None:
    """As `enter`, in a transaction of its own. Raises Refusal where the store cannot be written; nothing is noted
    then."""
    with workspace.store.connected() as connection, connection.writing():
        enter(workspace, connection, events)


def enter(workspace: Workspace, connection: Connection, events: Iterable[SyncEvent]) -> None:
    """Puts what happened now into the outbox, inside the writing transaction that records the sync. What is known
    already is not told twice."""
    for event in events:
        found = told_of(connection, event.customer)
        if found is not None:
            _enter(workspace, connection, event, *found)


def _enter(
    workspace: Workspace,
    connection: Connection,
    event: SyncEvent,
    customer: int,
    name: str,
    document: Mapping[str, object] | None,
) -> None:
    now = clock.now()
    hold = HeldSet(event.hold, event.people) if event.hold is not None else None
    notice = Notice(event.kind, event.customer, now, event.since, event.sentences, hold, name)
    number = record_notice(connection, customer, notice)
    try:
        url = listener_of(event.customer, document).notify.webhook
    except Refusal:
        return  # its roster is synced all the same, and `deliver` says what is wrong
    if number is None or url is None:
        return
    known_by = message_id(workspace.store, Channel.WEBHOOK, url, str(number), notice.event, now)
    body = body_of(notice, known_by, workspace.public_url).decode()
    put(connection, Entry(known_by, Channel.WEBHOOK, url, notice.event, now, {number: True}, customer, body))


def deliver(workspace: Workspace, budget: Budget | None = None) -> tuple[Diagnostic, ...]:
    """Sends what is due, and forgets what was settled long ago. Returns warnings; raises nothing that a sync would have
    to answer for. Where one of these fails, the others are done all the same. budget: of posts; mail has one of its
    own, so that receivers that do not answer take nothing of it."""
    found: list[Diagnostic] = []
    with _noted(found), workspace.store.connected() as connection:
        if nothing_to_tell(connection):
            return ()
        with _noted(found):
            found += make_digests(workspace.store, connection)
        for send in (deliver_posts, deliver_mail):
            with _noted(found):
                left = budget if budget is not None and send is deliver_posts else Budget()
                for each in send(workspace, connection, left):
                    found.append(each.warning())
        with _noted(found), connection.writing():
            forget(connection, clock.before(clock.now(), KEPT))
    return tuple(dict.fromkeys(found))


@contextmanager
def _noted(found: list[Diagnostic]) -> Iterator[None]:
    """What goes wrong is a warning."""
    try:
        yield
    except Refusal as refusal:
        found += [replace(each, severity=Severity.WARNING) for each in refusal.diagnostics]
    except UNFORESEEN as problem:  # a door: what was applied is applied, whether anybody hears of it or not
        found.append(replace(unexpected("notifications", "delivering", problem), severity=Severity.WARNING))
