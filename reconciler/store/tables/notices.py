"""What there is to tell of syncs, and the messages that tell it. Nothing in it names a person."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text

from reconciler.store.tables.metadata import durable, make_id_column

#: One event of a customer's sync. hold_id: empty where nothing is held. sentences: JSON list. stands: it is still so.
notices = Table(
    "notices",
    durable,
    make_id_column(),
    Column("customer_id", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    Column("since", Text, nullable=False),
    Column("hold_id", Text, nullable=False),
    Column("people", BigInteger, nullable=False),
    Column("sentences", Text, nullable=False),
    Column("at", Text, nullable=False),
    Column("stands", Boolean, nullable=False),
    Index("ix_notices_customer_id_at", "customer_id", "at"),
    sqlite_autoincrement=True,
)

#: Messages to be delivered. message_id: what receivers know one again by. customer_id: null for a digest, which may
#: tell of several. kind: the event, or `digest`. body: of a webhook's post; a digest is written when it is sent.
#: day: of a digest. not_before: when the next attempt is due, null once there will be none: then it was delivered
#: (sent_at), or given up. last_error: the code of the last attempt.
outbox = Table(
    "outbox",
    durable,
    make_id_column(),
    Column("message_id", Text, nullable=False, unique=True),
    Column("customer_id", BigInteger, index=True),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("day", Text),
    Column("body", Text),
    Column("created_at", Text, nullable=False),
    Column("not_before", Text, index=True),
    Column("attempts", BigInteger, nullable=False, server_default="0"),
    Column("last_error", Text),
    Column("sent_at", Text),
    Index("ix_outbox_channel_address", "channel", "address"),
    sqlite_autoincrement=True,
)

#: What a message tells. news: no digest for the same address told it before.
outbox_notices = Table(
    "outbox_notices",
    durable,
    Column("outbox_id", BigInteger, primary_key=True),
    Column("notice_id", BigInteger, primary_key=True, index=True),
    Column("news", Boolean, nullable=False),
)
