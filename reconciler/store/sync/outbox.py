"""Queue messages for delivery: each is added once, taken by one process at a time, and kept until it is settled.

A process takes a message for a limited time; then it is due again, so that another process delivers it if the first
one died. A message may therefore be delivered twice; receivers recognize it by its id.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.ids import CustomerId, CustomerNumber, Moment
from reconciler.store.database.connection import Connection
from reconciler.store.open import Store

DIGEST = "digest"


class DeliveryChannel(StrEnum):
    WEBHOOK = "webhook"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """A message that a process took to deliver."""

    id: int
    message_id: str
    #: the customer's ID; None for a digest
    customer: CustomerId | None
    channel: DeliveryChannel
    address: str
    #: the event, or `digest`
    kind: str
    #: None for a digest
    body: str | None
    created_at: Moment
    #: number of earlier attempts
    attempts: int


def compute_message_id(store: Store, channel: DeliveryChannel, address: str, *facts: str) -> str:
    """Return the id of a message, which depends only on its content.

    facts: the content. Row ids alone do not suffice: a store restored from a backup uses them again.
    """
    parts = "\0".join((store.uuid, channel, address, *facts))
    return f"msg_{hashlib.sha256(parts.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A message to add, due at once."""

    message_id: str
    channel: DeliveryChannel
    address: str
    kind: str
    now: Moment
    #: id of each notice -> whether it is news
    notice_news: Mapping[int, bool]
    #: number of the customer's row; None for a digest
    customer: CustomerNumber | None = None
    body: str | None = None
    #: date of a digest, YYYY-MM-DD
    day: str | None = None


def enqueue_message(connection: Connection, entry: OutboxEntry) -> None:
    """Add a message unless it exists. Call inside a write transaction."""
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
    message = connection.fetch_scalar("SELECT id FROM outbox WHERE message_id = :name", facts)
    for notice, news in entry.notice_news.items():
        connection.execute(
            "INSERT INTO outbox_notices (outbox_id, notice_id, news) VALUES (:message, :notice, :news)",
            {"message": message, "notice": notice, "news": news},
        )


def has_nothing_to_send(connection: Connection) -> bool:
    """Return True if there are no notices and no messages, as most of the time: then no lock is needed."""
    return not connection.fetch_rows("SELECT 1 FROM notices LIMIT 1") and not connection.fetch_rows(
        "SELECT 1 FROM outbox LIMIT 1"
    )


@contextmanager
def open_digest_transaction(connection: Connection) -> Iterator[None]:
    """Run the body in a write transaction in which no other process creates digests."""
    with connection.open_write_transaction():
        connection.fetch_rows(f"SELECT uuid FROM store{connection.dialect.for_update}")
        yield


def read_last_digests(connection: Connection) -> dict[str, tuple[str, Moment]]:
    """Return the date and the creation moment of the newest digest by address."""
    rows = connection.fetch_rows(
        "SELECT address, max(day), max(created_at) FROM outbox WHERE channel = :channel AND kind = :kind"
        " GROUP BY address",
        {"channel": DeliveryChannel.MAIL.value, "kind": DIGEST},
    )
    return {str(address): (str(day), Moment(at)) for address, day, at in rows}


def read_digest_notices(connection: Connection) -> set[tuple[str, int]]:
    """Return (address, id of notice) of the news in the stored digests."""
    rows = connection.fetch_rows(
        "SELECT o.address, t.notice_id FROM outbox o JOIN outbox_notices t ON t.outbox_id = o.id"
        " WHERE o.channel = :channel AND t.news",
        {"channel": DeliveryChannel.MAIL.value},
    )
    return {(str(address), int(notice)) for address, notice in rows}


#: Fewer attempts come first, so that receivers that are down do not delay others; each address gets its messages in
#: order.
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


def take_next_message(
    connection: Connection, channel: DeliveryChannel, now: Moment, until: Moment
) -> OutboxMessage | None:
    """Take and return the next due message, or None.

    until: the moment at which it is due again unless it is settled before.
    """
    with connection.open_write_transaction():
        lock = connection.dialect.for_update
        number = connection.fetch_scalar(
            f"{NEXT_SQL}{lock and f'{lock} SKIP LOCKED'}",
            {"channel": channel.value, "now": now},
        )
        if number is None:
            return None
        facts = {"id": number, "until": until}
        row = connection.fetch_row(TAKE_SQL, facts)
        assert row is not None
        connection.execute("UPDATE outbox SET not_before = :until, attempts = attempts + 1 WHERE id = :id", facts)
    name, slug, _, address, kind, body, created_at, attempts = row[1:]
    return OutboxMessage(int(number), name, slug, channel, address, kind, body, created_at, int(attempts))


def settle_message(
    connection: Connection, message: OutboxMessage, sent_at: Moment | None, code: str | None = None
) -> None:
    """End the attempts of a message. sent_at: None if it was given up."""
    _execute_write(
        connection,
        "UPDATE outbox SET sent_at = :sent, last_error = :code, not_before = NULL WHERE id = :id",
        {"id": message.id, "sent": sent_at, "code": code},
    )


def defer_message(connection: Connection, message: OutboxMessage, until: Moment, code: str) -> None:
    _execute_write(
        connection,
        "UPDATE outbox SET not_before = :until, last_error = :code WHERE id = :id",
        {"id": message.id, "until": until, "code": code},
    )


def defer_due_messages(
    connection: Connection, channel: DeliveryChannel, address: str | None, now: Moment, until: Moment, code: str
) -> None:
    """Defer all due messages to an address, or of the whole channel (None), without attempts that would fail too."""
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


def prune_outbox(connection: Connection, cut: Moment) -> None:
    """Delete settled messages created before a moment, and older notices that no longer apply and are in no remaining
    message.
    """
    done = "not_before IS NULL AND created_at < :cut"
    facts = {"cut": cut}
    connection.execute(f"DELETE FROM outbox_notices WHERE outbox_id IN (SELECT id FROM outbox WHERE {done})", facts)
    connection.execute(f"DELETE FROM outbox WHERE {done}", facts)
    connection.execute(
        "DELETE FROM notices WHERE at < :cut AND NOT stands"
        " AND NOT EXISTS (SELECT 1 FROM outbox_notices o WHERE o.notice_id = notices.id)",
        facts,
    )
