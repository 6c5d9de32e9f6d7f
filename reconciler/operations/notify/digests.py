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
from reconciler.operations.notify.subscribers import Listener, parse_listener
from reconciler.store.database.connection import Connection
from reconciler.store.open import Store
from reconciler.store.sync.notices import NoticeRecord, list_open_notices, read_documents_with_notices
from reconciler.store.sync.outbox import (
    DIGEST,
    DeliveryChannel,
    OutboxEntry,
    compute_message_id,
    enqueue_message,
    open_digest_transaction,
    read_digest_notices,
    read_last_digests,
)

MORNING = time(7)
#: What happened longer before an address's last digest than this is no news to it; nor, before its first, to a new one.
LOOKBACK = timedelta(days=1)
#: The longest time that anything is looked back for.
MAX_LOOKBACK = timedelta(days=30)


def enqueue_due_digests(store: Store, connection: Connection) -> tuple[Diagnostic, ...]:
    """Puts every digest that is due into the outbox, each once. Returns warnings of customers whom they leave out,
    since nobody knows who is to hear of them."""
    now = clock.get_current_moment()
    with open_digest_transaction(connection):
        known = list_open_notices(connection, clock.subtract_span(now, MAX_LOOKBACK))
        if not known:
            return ()
        listeners, unreadable = _parse_listeners(read_documents_with_notices(connection))
        last, told = read_last_digests(connection), read_digest_notices(connection)
        for address, notices in sorted(_group_by_address(known, listeners).items()):
            day, at = last.get(address, ("", now))
            cut = clock.subtract_span(at, LOOKBACK)
            news = {each.id: (address, each.id) not in told and each.notice.at >= cut for each in notices}
            wanted = [each for each in notices if each.is_open or news[each.id]]
            due = _find_due_day(now, wanted, {listeners[each.notice.customer].timezone for each in notices})
            if due is not None and due > day:
                name = compute_message_id(store, DeliveryChannel.MAIL, address, DIGEST, due)
                enqueue_message(
                    connection,
                    OutboxEntry(
                        name,
                        DeliveryChannel.MAIL,
                        address,
                        DIGEST,
                        now,
                        {each.id: news[each.id] for each in wanted},
                        day=due,
                    ),
                )
    return unreadable


def _parse_listeners(
    documents: Mapping[str, Mapping[str, Any] | None],
) -> tuple[dict[str, Listener], tuple[Diagnostic, ...]]:
    """By customer; with what is wrong with the others."""
    found: dict[str, Listener] = {}
    unreadable: list[Diagnostic] = []
    for slug, document in sorted(documents.items()):
        try:
            found[slug] = parse_listener(slug, document)
        except Refusal as refusal:
            unreadable += refusal.diagnostics
    return found, tuple(unreadable)


def _group_by_address(
    notices: Iterable[NoticeRecord], listeners: Mapping[str, Listener]
) -> Mapping[str, list[NoticeRecord]]:
    found = defaultdict(list)
    for each in notices:
        listener = listeners.get(each.notice.customer)
        for address in dict.fromkeys(listener.notify.email) if listener else ():
            found[address].append(each)
    return found


def _find_due_day(now: str, wanted: Iterable[NoticeRecord], zones: Iterable[str]) -> str | None:
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
