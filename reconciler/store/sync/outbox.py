"""Messages to be delivered: each is put in once, taken by one process at a time, and kept until it is settled.

Whoever takes a message has it for a while: it is due again when that is over, so that what a process took which then
died is delivered by another one. That may be a second time: receivers know a message again by its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from reconciler.store.database.connection import Connection
from reconciler.store.open import Store

DIGEST = "digest"


class DeliveryChannel(StrEnum):
    WEBHOOK = "webhook"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """customer: its id as people know it, None for a digest. attempts: those before this one."""

    id: int
    message_id: str
    customer: str | None
    channel: DeliveryChannel
    address: str
    kind: str
    body: str | None
    created_at: str
    attempts: int


def compute_message_id(store: Store, channel: DeliveryChannel, address: str, *facts: str) -> str:
    """The same for the same message, however often it is made. facts: what it tells; by the store's ids alone, one
    that was brought back from a copy would call two messages the same."""
    parts = "\0".join((store.uuid, channel, address, *facts))
    return f"msg_{hashlib.sha256(parts.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A message to be put in, due at once. notices: what it tells, and whether that is news. customer: the store's id,
    None for a digest. day: on which a digest is read, YYYY-MM-DD."""

    message_id: str
    channel: DeliveryChannel
    address: str
    kind: str
    now: str
    notice_news: Mapping[int, bool]
    customer: int | None = None
    body: str | None = None
    day: str | None = None


def enqueue_message(connection: Connection, entry: OutboxEntry) -> None:
    """One that is there already stays as it is. Inside a writing transaction."""
    facts = {"name": entry.message_id}
    if connection.fetch_scalar("SELECT 1 FROM outbox WHERE message_id = :name", facts):
        return
    connection.execute(
        "INSERT INTO outbox (message_id, customer_id, channel, address, kind, day, body, created_at, not_before)"
        " VALUES (:name, :customer, :channel, :address, :kind, :day, :body, :now, :now)",
        {
            **facts,
            "customer": entry.customer,
            "channel": entry.channel.value,
            "address": entry.address,
            "kind": entry.kind,
            "day": entry.day,
            "body": entry.body,
            "now": entry.now,
        },
    )
    made = connection.fetch_scalar("SELECT id FROM outbox WHERE message_id = :name", facts)
    for notice, news in entry.notice_news.items():
        connection.execute(
            "INSERT INTO outbox_notices (outbox_id, notice_id, news) VALUES (:message, :notice, :news)",
            {"message": made, "notice": notice, "news": news},
        )


def has_nothing_to_send(connection: Connection) -> bool:
    """Most of the time: then nobody has to wait for a lock."""
    return not connection.fetch_rows("SELECT 1 FROM notices LIMIT 1") and not connection.fetch_rows(
        "SELECT 1 FROM outbox LIMIT 1"
    )


@contextmanager
def open_digest_transaction(connection: Connection) -> Iterator[None]:
    """A writing transaction in which no other process makes digests."""
    with connection.open_write_transaction():
        connection.fetch_rows(f"SELECT uuid FROM store{connection.dialect.for_update}")
        yield


def read_last_digests(connection: Connection) -> dict[str, tuple[str, str]]:
    """By address: the day of the newest digest, and the moment that the newest was made."""
    rows = connection.fetch_rows(
        "SELECT address, max(day), max(created_at) FROM outbox WHERE channel = :channel AND kind = :kind"
        " GROUP BY address",
        {"channel": DeliveryChannel.MAIL.value, "kind": DIGEST},
    )
    return {str(address): (str(day), str(at)) for address, day, at in rows}


def read_digest_notices(connection: Connection) -> set[tuple[str, int]]:
    """(address, notice) of what the digests that are kept told as news."""
    rows = connection.fetch_rows(
        "SELECT o.address, t.notice_id FROM outbox o JOIN outbox_notices t ON t.outbox_id = o.id"
        " WHERE o.channel = :channel AND t.news",
        {"channel": DeliveryChannel.MAIL.value},
    )
    return {(str(address), int(notice)) for address, notice in rows}


#: What was tried less often comes first, so that many receivers that are down keep nobody else waiting; to one address
#: everything goes in its order.
NEXT_SQL = """
SELECT o.id FROM outbox o WHERE o.channel = :channel AND o.not_before <= :now AND NOT EXISTS (
    SELECT 1 FROM outbox e WHERE e.channel = :channel AND e.address = o.address AND e.not_before <= :now AND e.id < o.id
) ORDER BY o.attempts, o.id LIMIT 1
"""
TAKE_SQL = """
SELECT o.id, o.message_id, c.slug, o.channel, o.address, o.kind, o.body, o.created_at, o.attempts
FROM outbox o LEFT JOIN customers c ON c.id = o.customer_id
WHERE o.id = :id
"""


def take_next_message(connection: Connection, channel: DeliveryChannel, now: str, until: str) -> OutboxMessage | None:
    """The next message that is due, this process's until then; None where none is. until: when it is due again unless
    it is settled before."""
    with connection.open_write_transaction():
        lock = connection.dialect.for_update
        number = connection.fetch_scalar(
            f"{NEXT_SQL}{lock and f'{lock} SKIP LOCKED'}",
            {"channel": channel.value, "now": now},
        )
        if number is None:
            return None
        taken = {"id": number, "until": until}
        row = connection.fetch_row(TAKE_SQL, taken)
        assert row is not None
        connection.execute("UPDATE outbox SET not_before = :until, attempts = attempts + 1 WHERE id = :id", taken)
    name, slug, _, address, kind, body, created_at, attempts = row[1:]
    return OutboxMessage(int(number), name, slug, channel, address, kind, body, created_at, int(attempts))


def settle_message(
    connection: Connection, message: OutboxMessage, sent_at: str | None, code: str | None = None
) -> None:
    """No further attempt. sent_at: None where it was given up."""
    _execute_write(
        connection,
        "UPDATE outbox SET sent_at = :sent, last_error = :code, not_before = NULL WHERE id = :id",
        {"id": message.id, "sent": sent_at, "code": code},
    )


def defer_message(connection: Connection, message: OutboxMessage, until: str, code: str) -> None:
    _execute_write(
        connection,
        "UPDATE outbox SET not_before = :until, last_error = :code WHERE id = :id",
        {"id": message.id, "until": until, "code": code},
    )


def defer_due_messages(
    connection: Connection, channel: DeliveryChannel, address: str | None, now: str, until: str, code: str
) -> None:
    """Whatever is due for an address (None: by the channel), without an attempt: it would come to the same."""
    which = "" if address is None else " AND address = :address"
    _execute_write(
        connection,
        "UPDATE outbox SET not_before = :until, last_error = :code"
        f" WHERE channel = :channel AND not_before <= :now{which}",
        {"channel": channel.value, "address": address, "now": now, "until": until, "code": code},
    )


def _execute_write(connection: Connection, statement: str, facts: dict[str, object]) -> None:
    with connection.open_write_transaction():
        connection.execute(statement, facts)


def prune_outbox(connection: Connection, cut: str) -> None:
    """Removes messages made before a moment that need no further attempt, and what happened before it, is so no longer
    and is told by no message that is left."""
    done = "not_before IS NULL AND created_at < :cut"
    facts = {"cut": cut}
    connection.execute(f"DELETE FROM outbox_notices WHERE outbox_id IN (SELECT id FROM outbox WHERE {done})", facts)
    connection.execute(f"DELETE FROM outbox WHERE {done}", facts)
    connection.execute(
        "DELETE FROM notices WHERE at < :cut AND NOT stands"
        " AND NOT EXISTS (SELECT 1 FROM outbox_notices o WHERE o.notice_id = notices.id)",
        facts,
    )
