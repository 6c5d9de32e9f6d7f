"""What there is to tell of syncs: recorded once, and read for the messages that tell it."""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from reconciler.notices.notice import CLOSES, Event, HeldSet, Notice
from reconciler.store.connection import Connection
from reconciler.store.documents import text_of


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """stands: it is still so. news: of a message, that none for the same address told it before."""

    id: int
    notice: Notice
    stands: bool
    news: bool = True


def record_notice(connection: Connection, customer: int, notice: Notice) -> int:
    """Its id. The same event of the same moment is recorded once, whoever tells it how often. Inside a writing
    transaction."""
    facts = {
        "customer": customer,
        "event": notice.event.value,
        "since": notice.since,
        "hold": notice.hold.id if notice.hold else "",
        "people": notice.hold.people if notice.hold else 0,
        "sentences": text_of(list(notice.sentences)),
        "at": notice.at,
    }
    which = "customer_id = :customer AND event = :event AND at = :at AND hold_id = :hold"
    find = f"SELECT id FROM notices WHERE {which}"
    known = connection.scalar(find, facts)
    if known is not None:
        return int(known)
    closed = ", ".join(f"'{each.value}'" for each in CLOSES[notice.event])
    connection.execute(
        f"UPDATE notices SET stands = FALSE WHERE customer_id = :customer AND stands AND event IN ({closed})", facts
    )
    stands = "FALSE" if notice.event is Event.RECOVERED else "TRUE"
    connection.execute(
        "INSERT INTO notices (customer_id, event, since, hold_id, people, sentences, at, stands)"
        f" VALUES (:customer, :event, :since, :hold, :people, :sentences, :at, {stands})"
        " ON CONFLICT (customer_id, event, at, hold_id) DO NOTHING",
        facts,
    )
    return int(connection.scalar(find, facts))


COLUMNS = "n.id, n.event, c.slug, c.name, n.at, n.since, n.sentences, n.hold_id, n.people, n.stands"
NOTICES = "notices n JOIN customers c ON c.id = n.customer_id AND c.tombstoned_at IS NULL"
IN_ORDER = "ORDER BY c.slug, n.at, n.id"


def open_notices(connection: Connection, since: str) -> tuple[NoticeRecord, ...]:
    """Of customers that are there: what stands, and whatever happened since a moment. In the order of their customers,
    then as it happened."""
    rows = connection.rows(
        f"SELECT {COLUMNS} FROM {NOTICES} WHERE n.stands OR n.at >= :since {IN_ORDER}", {"since": since}
    )
    return tuple(_record(*row) for row in rows)


def notices_of(connection: Connection, message: int) -> tuple[NoticeRecord, ...]:
    """What a message tells, in the same order."""
    rows = connection.rows(
        f"SELECT {COLUMNS}, o.news FROM {NOTICES} JOIN outbox_notices o ON o.notice_id = n.id"
        f" WHERE o.outbox_id = :message {IN_ORDER}",
        {"message": message},
    )
    return tuple(_record(*row) for row in rows)


def _record(
    number: int,
    event: str,
    slug: str,
    name: str,
    at: str,
    since: str,
    sentences: str,
    hold: str,
    people: int,
    stands: bool,
    news: bool = True,
) -> NoticeRecord:
    held = HeldSet(hold, int(people)) if hold else None
    notice = Notice(Event(event), slug, at, since, tuple(orjson.loads(sentences)), held, name)
    return NoticeRecord(int(number), notice, bool(stands), bool(news))


def told_of(connection: Connection, slug: str) -> tuple[int, str, dict[str, object]] | None:
    """A customer's id, name and document as last applied; None where it is not there."""
    row = connection.row(
        "SELECT id, name, document FROM customers WHERE slug = :slug AND tombstoned_at IS NULL", {"slug": slug}
    )
    return (int(row[0]), str(row[1]), orjson.loads(row[2])) if row else None


def documents_with_notices(connection: Connection) -> dict[str, dict[str, object]]:
    """By slug, as last applied: of every customer of whom there is anything to tell."""
    rows = connection.rows(
        "SELECT slug, document FROM customers WHERE tombstoned_at IS NULL AND id IN (SELECT customer_id FROM notices)"
    )
    return {str(slug): orjson.loads(document) for slug, document in rows}
