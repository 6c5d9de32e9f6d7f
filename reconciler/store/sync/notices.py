"""Record notices about syncs, and read them for the messages that carry them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.log import FIELDS
from reconciler.model.ids import CustomerId, CustomerNumber, HoldId, Moment
from reconciler.model.sync import EventKind
from reconciler.notices.notice import CLOSES, Notice, NoticeHold
from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.json_text import dump_sorted_json, parse_stored_document, parse_stored_texts
from reconciler.store.read.records import UNREADABLE_CAUSES, HoldScope

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NoticeRecord:
    """A notice as the store has it."""

    id: int
    notice: Notice
    #: True while the notice still applies
    is_open: bool
    #: True if no earlier digest to the same address contained it
    is_news: bool = True


def record_notice(connection: Connection, customer_number: CustomerNumber, notice: Notice) -> int | None:
    """Save a notice and return its id, or None if the store has it already, because the process that recorded it ended
    before it finished. Call inside a write transaction.
    """
    hold = notice.hold.id if notice.hold else HoldId("")
    facts = {
        "customer": customer_number,
        "event": notice.event.value,
        "since": notice.since,
        "hold": hold,
        "people": notice.hold.people if notice.hold else 0,
        "sentences": dump_sorted_json(list(notice.sentences)),
        "at": notice.at,
    }
    if _is_notice_known(connection, customer_number, notice, hold):
        return None
    closed = ", ".join(f"'{each.value}'" for each in CLOSES[notice.event])
    connection.execute(
        f"UPDATE notices SET stands = FALSE WHERE customer_id = :customer AND stands AND event IN ({closed})", facts
    )
    is_open = "FALSE" if notice.event is EventKind.RECOVERED else "TRUE"
    connection.execute(
        "INSERT INTO notices (customer_id, event, since, hold_id, people, sentences, at, stands)"
        f" VALUES (:customer, :event, :since, :hold, :people, :sentences, :at, {is_open})",
        facts,
    )
    return int(connection.fetch_scalar("SELECT max(id) FROM notices WHERE customer_id = :customer", facts))


def _is_notice_known(connection: Connection, customer_number: CustomerNumber, notice: Notice, hold: HoldId) -> bool:
    rows = connection.fetch_rows(
        "SELECT event, hold_id, since FROM notices WHERE customer_id = :customer AND stands",
        {"customer": customer_number},
    )
    if notice.event is EventKind.RECOVERED:
        return not rows
    # `since` identifies a stale roster only: for other events it is the moment at which they were noticed.
    return any(
        event == notice.event and known == hold and (event != EventKind.STALE or since == notice.since)
        for event, known, since in rows
    )


COLUMNS = "n.id, n.event, c.slug, c.name, n.at, n.since, n.sentences, n.hold_id, n.people, n.stands"
NOTICES_JOIN = "notices n JOIN customers c ON c.id = n.customer_id AND c.tombstoned_at IS NULL"
IN_ORDER = "ORDER BY c.slug, n.at, n.id"


def list_open_notices(connection: Connection, since: Moment) -> tuple[NoticeRecord, ...]:
    """Return the notices of active customers that still apply or happened since a moment, by customer, then by time."""
    rows = connection.fetch_rows(
        f"SELECT {COLUMNS} FROM {NOTICES_JOIN} WHERE n.stands OR n.at >= :since {IN_ORDER}", {"since": since}
    )
    return tuple(record for row in rows if (record := _build_notice_record(row)) is not None)


def list_message_notices(connection: Connection, message: int) -> tuple[NoticeRecord, ...]:
    """Return the notices of a message, in the same order."""
    rows = connection.fetch_rows(
        f"SELECT {COLUMNS}, o.news FROM {NOTICES_JOIN} JOIN outbox_notices o ON o.notice_id = n.id"
        f" WHERE o.outbox_id = :message {IN_ORDER}",
        {"message": message},
    )
    records = (_build_notice_record(row, is_news=bool(news)) for *row, news in rows)
    return tuple(record for record in records if record is not None)


def _build_notice_record(row: Sequence[Any], *, is_news: bool = True) -> NoticeRecord | None:
    """Build a notice from the values of COLUMNS. Return None if a write outside reconciler made it unreadable: one
    customer's notice must not keep a digest from the others.
    """
    number, event, slug, name, at, since, sentences, hold, people, is_open = row
    texts = parse_stored_texts(sentences)
    if event not in set(EventKind) or texts is None:
        _log.warning("notice-unreadable", extra={FIELDS: {"customer": slug, "notice": number}})
        return None
    held = NoticeHold(hold, int(people)) if hold else None
    notice = Notice(EventKind(event), slug, at, since, texts, held, name)
    return NoticeRecord(int(number), notice, bool(is_open), is_news)


#: Active customers with a notice, and those of a message.
HAS_NOTICES = "c.tombstoned_at IS NULL AND c.id IN (SELECT n.customer_id FROM notices n)"
OF_MESSAGE = (
    "c.tombstoned_at IS NULL AND c.id IN (SELECT n.customer_id FROM notices n"
    " JOIN outbox_notices o ON o.notice_id = n.id WHERE o.outbox_id = :message)"
)


#: Documents by slug; None if a customer's document is no longer valid.
NoticeDocuments = dict[CustomerId, dict[str, object] | None]


def read_documents_with_notices(connection: Connection) -> NoticeDocuments:
    """Return the documents, as last applied, of the active customers with a notice."""
    return _read_documents(connection, HAS_NOTICES, {})


def read_message_documents(connection: Connection, message: int) -> NoticeDocuments:
    """Return the documents, as last applied, of the active customers in a message."""
    return _read_documents(connection, OF_MESSAGE, {"message": message})


def _read_documents(connection: Connection, which: str, facts: Parameters) -> NoticeDocuments:
    rows = connection.fetch_rows(f"SELECT c.slug, c.document FROM customers c WHERE {which}", facts)
    return {CustomerId(slug): parse_stored_document(document) for slug, document in rows}


def read_current_holds(connection: Connection, message: int) -> dict[CustomerId, tuple[NoticeHold, tuple[str, ...]]]:
    """Return the present roster hold and its causes, by slug, of the customers in a message. The hold may differ from
    the one in the message.
    """
    rows = connection.fetch_rows(
        "SELECT c.slug, h.hold_id, h.people, h.causes FROM holds h JOIN customers c ON c.id = h.customer_id"
        f" WHERE h.scope = :scope AND {OF_MESSAGE}",
        {"scope": HoldScope.ROSTER.value, "message": message},
    )
    return {
        CustomerId(slug): (NoticeHold(hold, int(people)), parse_stored_texts(causes) or UNREADABLE_CAUSES)
        for slug, hold, people, causes in rows
    }


def find_live_customer(
    connection: Connection, slug: CustomerId
) -> tuple[CustomerNumber, str, dict[str, object] | None] | None:
    """Return an active customer's id, name and document, or None if there is no such customer.

    The document is as last applied, None if it is no longer valid.
    """
    row = connection.fetch_row(
        "SELECT id, name, document FROM customers WHERE slug = :slug AND tombstoned_at IS NULL", {"slug": slug}
    )
    return (CustomerNumber(int(row[0])), str(row[1]), parse_stored_document(row[2])) if row else None
