"""Telling people and programs what became of syncs: put into the outbox by the configuration last applied, and
delivered from there.

A webhook is posted to at each event, mail is one digest a day (`operations.digests`). What cannot be delivered is a
warning, and never fails a sync.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from reconciler import clock
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity
from reconciler.notices.notice import Notice
from reconciler.notices.webhook import body_of
from reconciler.operations.delivering import Budget, deliver_mail, deliver_posts
from reconciler.operations.digests import listener_of, make_digests
from reconciler.operations.failure import UNFORESEEN, unexpected
from reconciler.operations.workspace import Workspace
from reconciler.store.connection import Connection
from reconciler.store.notices import record_notice, told_of
from reconciler.store.outbox import Channel, Entry, forget, message_id, put

#: How long what was delivered or given up is kept.
KEPT = timedelta(days=30)


def note(workspace: Workspace, notices: Iterable[Notice]) -> None:
    """Puts what happened into the outbox, each once however often it is noted. Raises Refusal where the store cannot be
    written; nothing is noted then."""
    known = list(notices)
    if known:
        with workspace.store.connected() as connection, connection.writing():
            enter(workspace, connection, known)


def enter(workspace: Workspace, connection: Connection, notices: Iterable[Notice]) -> None:
    """As `note`, inside a writing transaction that records the sync as well."""
    for notice in notices:
        found = told_of(connection, notice.customer)
        if found is None:
            continue
        customer, name, document = found
        notice = replace(notice, name=name)
        number = record_notice(connection, customer, notice)
        url = listener_of(document).notify.webhook
        if url is None:
            continue
        hold = notice.hold.id if notice.hold else ""
        known_by = message_id(workspace.store, Channel.WEBHOOK, url, str(customer), notice.event, notice.at, hold)
        body = body_of(notice, known_by, workspace.public_url).decode()
        put(
            connection,
            Entry(known_by, Channel.WEBHOOK, url, notice.event, notice.at, {number: True}, customer, body),
        )


def deliver(workspace: Workspace, budget: Budget | None = None) -> tuple[Diagnostic, ...]:
    """Sends what is due, as far as the budget goes, and forgets what was settled long ago. Returns warnings; raises
    nothing that a sync would have to answer for."""
    budget = budget or Budget()
    try:
        make_digests(workspace.store)
        undelivered = [*deliver_posts(workspace, budget), *deliver_mail(workspace, budget)]
        with workspace.store.connected() as connection, connection.writing():
            forget(connection, clock.before(clock.now(), KEPT))
    except Refusal as refusal:
        return tuple(replace(each, severity=Severity.WARNING) for each in refusal.diagnostics)
    except UNFORESEEN as problem:  # a door: what was applied is applied, whether anybody hears of it or not
        return (replace(unexpected("notifications", "delivering", problem), severity=Severity.WARNING),)
    return tuple(dict.fromkeys(each.warning() for each in undelivered))
