"""Define the tables of the syncs' schedule and of plans that wait for approval."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from reconciler.store.tables.metadata import durable, make_moment_column

#: The sync state of each customer that a sync has considered.
syncs = Table(
    "syncs",
    durable,
    Column("customer_id", BigInteger, ForeignKey("customers.id"), primary_key=True, autoincrement=False),
    # The schedule settings that next_at was computed from.
    Column("schedule", Text),
    # Null for a customer that does not sync automatically.
    make_moment_column("next_at"),
    make_moment_column("first_at"),
    make_moment_column("attempted_at"),
    # Failed attempts since the last scheduled start.
    Column("tries", BigInteger, nullable=False, server_default="0"),
    # `model.sync.Outcome`, and the moment since which it has held.
    Column("outcome", Text),
    make_moment_column("since"),
    # The last roster that was read, the last with new content, and the last that was full (bulk).
    make_moment_column("fresh_at"),
    make_moment_column("changed_at"),
    make_moment_column("whole_at"),
    # Null while the roster is fresh.
    make_moment_column("stale_since"),
    # Of the last roster that was read.
    Column("sha256", Text),
    # A digest of the last clean sync's inputs, valid until the date settled_until.
    Column("settled", Text),
    Column("settled_until", Text),
    Index("ix_syncs_next_at", "next_at"),
)

#: The plan of changes that a sync held, so that a person approves exactly these. data is a slice of the plan file,
#: encrypted with the store key.
held_plans = Table(
    "held_plans",
    durable,
    Column("hold_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("customer_id", BigInteger, ForeignKey("customers.id"), nullable=False, index=True),
    Column("plan_id", Text, nullable=False),
    make_moment_column("created_at", nullable=False),
    Column("data", LargeBinary, nullable=False),
)
