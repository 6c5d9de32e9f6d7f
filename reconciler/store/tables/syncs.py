"""Define the tables of the syncs' schedule and of plans that wait for approval."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from reconciler.store.tables.metadata import durable

#: The sync state of each customer that a sync has considered.
syncs = Table(
    "syncs",
    durable,
    Column("customer_id", BigInteger, ForeignKey("customers.id"), primary_key=True, autoincrement=False),
    # The schedule settings that next_at was computed from.
    Column("schedule", Text),
    # Null for a customer that does not sync automatically.
    Column("next_at", Text),
    Column("first_at", Text),
    Column("attempted_at", Text),
    # Failed attempts since the last scheduled start.
    Column("tries", BigInteger, nullable=False, server_default="0"),
    # `model.sync.Outcome`, and the moment since which it has held.
    Column("outcome", Text),
    Column("since", Text),
    # The last roster that was read, the last with new content, and the last that was full (bulk).
    Column("fresh_at", Text),
    Column("changed_at", Text),
    Column("whole_at", Text),
    # Null while the roster is fresh.
    Column("stale_since", Text),
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
    Column("created_at", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
