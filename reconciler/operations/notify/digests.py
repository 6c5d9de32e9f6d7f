"""Digests: one mail a day for each address, of all customers that it hears of.

A day begins at 07:00 where the customers are; where a digest tells of customers in several time zones, in that whose
morning comes last. It is made by the first run of the day that has anything to tell: what happened since the last one,
and what is still so. Before 07:00 nothing is made but for what has waited since the morning before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from reconciler import clock
from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.operations.notify.subscribers import Listener, listener_of
from reconciler.store.database.connection import Connection
from reconciler.store.open import Store
from reconciler.store.sync.notices import NoticeRecord, documents_with_notices, open_notices
from reconciler.store.sync.outbox import (
    DIGEST,
    Channel,
    Entry,
    composing,
    last_digests,
    message_id,
    put,
    told_by_digests,
)

MORNING = time(7)
#: What happened longer before an address's last digest than this is no news to it; nor, before its first, to a new one.
LOOKED_BACK = timedelta(days=1)
#: The longest time that anything is looked back for.
KEPT = timedelta(days=30)


def make_digests(store: Store, connection: Connection) -> tuple[Diagnostic, ...]:
    """Puts every digest that is due into the outbox, each once. Returns warnings of customers whom they leave out,
    since nobody knows who is to hear of them."""
    now = clock.now()
    with composing(connection):
        known = open_notices(connection, clock.before(now, KEPT))
        if not known:
            return ()
        listeners, unreadable = _listeners(documents_with_notices(connection))
        last, told = last_digests(connection), told_by_digests(connection)
        for address, notices in sorted(_by_address(known, listeners).items()):
            day, at = last.get(address, ("", now))
            cut = clock.before(at, LOOKED_BACK)
            news = {each.id: (address, each.id) not in told and each.notice.at >= cut for each in notices}
            wanted = [each for each in notices if each.stands or news[each.id]]
            due = _due(now, wanted, {listeners[each.notice.customer].timezone for each in notices})
            if due is not None and due > day:
                name = message_id(store, Channel.MAIL, address, DIGEST, due)
                put(
                    connection,
                    Entry(
                        name, Channel.MAIL, address, DIGEST, now, {each.id: news[each.id] for each in wanted}, day=due
                    ),
                )
    return unreadable


def _listeners(documents: Mapping[str, Mapping[str, Any] | None]) -> tuple[dict[str, Listener], tuple[Diagnostic, ...]]:
    """By customer; with what is wrong with the others."""
    found: dict[str, Listener] = {}
    unreadable: list[Diagnostic] = []
    for slug, document in sorted(documents.items()):
        try:
            found[slug] = listener_of(slug, document)
        except Refusal as refusal:
            unreadable += refusal.diagnostics
    return found, tuple(unreadable)


def _by_address(known: Iterable[NoticeRecord], listeners: Mapping[str, Listener]) -> Mapping[str, list[NoticeRecord]]:
    found = defaultdict(list)
    for each in known:
        listener = listeners.get(each.notice.customer)
        for address in dict.fromkeys(listener.notify.email) if listener else ():
            found[address].append(each)
    return found


def _due(now: str, wanted: Iterable[NoticeRecord], zones: Iterable[str]) -> str | None:
    """The day whose digest can be made now, None where there is none."""
    moments = [each.notice.at for each in wanted]
    if not moments:
        return None
    moment = datetime.fromisoformat(now)
    local = min(
        (moment.astimezone(ZoneInfo(zone)) for zone in sorted(zones)), key=lambda each: each.replace(tzinfo=None)
    )
    begun = local.time() >= MORNING
    day = local.date() if begun else local.date() - timedelta(days=1)
    morning = datetime.combine(day, MORNING, tzinfo=local.tzinfo).astimezone(UTC)
    waited = any(datetime.fromisoformat(at) < morning for at in moments)
    return day.isoformat() if begun or waited else None
