"""Queue digests: one email a day for each address, about all customers that it is subscribed to.

A day begins at 07:00 in the customers' time zone; with several time zones, in the one whose morning comes last. The
first run of the day that has something to report makes the digest of new events and open problems. Before 07:00 a
digest is made only of what has waited since the morning before.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from reconciler import clock
from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.model.ids import CustomerId, Moment
from reconciler.operations.notify.subscribers import Listener, parse_listener
from reconciler.store import sync as store_sync
from reconciler.store.database import Connection
from reconciler.store.open import Store

MORNING = time(7)
#: An event is news if it happened at most this long before the address's last digest, or before its first one.
LOOKBACK = timedelta(days=1)
#: Older events are ignored.
MAX_LOOKBACK = timedelta(days=30)


def enqueue_due_digests(store: Store, connection: Connection) -> tuple[Diagnostic, ...]:
    """Put every due digest into the outbox once, and return warnings for customers with unreadable subscriptions."""
    now = clock.get_current_moment()
    with store_sync.open_digest_transaction(connection):
        known = store_sync.list_open_notices(connection, clock.subtract_span(now, MAX_LOOKBACK))
        if not known:
            return ()
        listeners, unreadable = _parse_listeners(store_sync.read_documents_with_notices(connection))
        last, sent = store_sync.read_last_digests(connection), store_sync.read_digest_notices(connection)
        for address, notices in sorted(_group_by_address(known, listeners).items()):
            day, at = last.get(address, ("", now))
            cut = clock.subtract_span(at, LOOKBACK)
            news = {each.id: (address, each.id) not in sent and each.notice.at >= cut for each in notices}
            wanted = [each for each in notices if each.is_open or news[each.id]]
            due = _find_due_day(now, wanted, {listeners[each.notice.customer].timezone for each in notices})
            if due is not None and due > day:
                name = store_sync.compute_message_id(
                    store, store_sync.DeliveryChannel.MAIL, address, store_sync.DIGEST, due
                )
                store_sync.enqueue_message(
                    connection,
                    store_sync.OutboxEntry(
                        name,
                        store_sync.DeliveryChannel.MAIL,
                        address,
                        store_sync.DIGEST,
                        now,
                        {each.id: news[each.id] for each in wanted},
                        day=due,
                    ),
                )
    return unreadable


def _parse_listeners(
    documents: Mapping[CustomerId, Mapping[str, Any] | None],
) -> tuple[dict[CustomerId, Listener], tuple[Diagnostic, ...]]:
    """Return the readable listeners by customer, and warnings for the others."""
    listeners: dict[CustomerId, Listener] = {}
    unreadable: list[Diagnostic] = []
    for slug, document in sorted(documents.items()):
        try:
            listeners[slug] = parse_listener(slug, document)
        except Refusal as refusal:
            unreadable += refusal.diagnostics
    return listeners, tuple(unreadable)


def _group_by_address(
    notices: Iterable[store_sync.NoticeRecord], listeners: Mapping[CustomerId, Listener]
) -> Mapping[str, list[store_sync.NoticeRecord]]:
    groups = defaultdict(list)
    for each in notices:
        listener = listeners.get(each.notice.customer)
        for address in dict.fromkeys(listener.notify.email) if listener else ():
            groups[address].append(each)
    return groups


def _find_due_day(now: Moment, wanted: Iterable[store_sync.NoticeRecord], zones: Iterable[str]) -> str | None:
    """Return the date whose digest is due now, or None."""
    moments = [each.notice.at for each in wanted]
    if not moments:
        return None
    moment = datetime.fromisoformat(now)
    local = min(
        (moment.astimezone(ZoneInfo(zone)) for zone in sorted(zones)), key=lambda each: each.replace(tzinfo=None)
    )
    has_begun = local.time() >= MORNING
    day = local.date() if has_begun else local.date() - timedelta(days=1)
    morning = datetime.combine(day, MORNING, tzinfo=local.tzinfo).astimezone(UTC)
    has_waited = any(datetime.fromisoformat(at) < morning for at in moments)
    return day.isoformat() if has_begun or has_waited else None
