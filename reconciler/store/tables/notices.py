"""Define the tables of notices about syncs and of the messages that carry them. None of them names a person."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Table, Text

from reconciler.store.tables.metadata import durable, make_id_column, make_moment_column

#: An event of a customer's sync.
notices = Table(
    "notices",
    durable,
    make_id_column(),
    Column("customer_id", BigInteger, nullable=False),
    Column("event", Text, nullable=False),
    make_moment_column("since", nullable=False),
    # Empty if nothing is held.
    Column("hold_id", Text, nullable=False),
    Column("people", BigInteger, nullable=False),
    # A JSON list.
    Column("sentences", Text, nullable=False),
    make_moment_column("at", nullable=False),
    # True while the notice still applies.
    Column("stands", Boolean, nullable=False),
    Index("ix_notices_customer_id_at", "customer_id", "at"),
    sqlite_autoincrement=True,
)

#: A message to deliver.
outbox = Table(
    "outbox",
    durable,
    make_id_column(),
    # Lets a receiver recognize a message that it already has.
    Column("message_id", Text, nullable=False, unique=True),
    # Null for a digest, which may cover several customers.
    Column("customer_id", BigInteger, index=True),
    Column("channel", Text, nullable=False),
    Column("address", Text, nullable=False),
    # The event, or `digest`.
    Column("kind", Text, nullable=False),
    # The date of a digest; null for a webhook.
    Column("day", Text),
    # The body of a webhook; null for a digest, which is composed when it is sent.
    Column("body", Text),
    make_moment_column("created_at", nullable=False),
    # The moment of the next attempt; null once the message was delivered (sent_at is set) or given up.
    make_moment_column("not_before", index=True),
    Column("attempts", BigInteger, nullable=False, server_default="0"),
    # The diagnostic code of the last failed attempt.
    Column("last_error", Text),
    make_moment_column("sent_at"),
    Index("ix_outbox_channel_address", "channel", "address"),
    sqlite_autoincrement=True,
)

#: The notices of a message. news is true if no earlier digest to the same address contained the notice.
outbox_notices = Table(
    "outbox_notices",
    durable,
    Column("outbox_id", BigInteger, primary_key=True),
    Column("notice_id", BigInteger, primary_key=True, index=True),
    Column("news", Boolean, nullable=False),
)
