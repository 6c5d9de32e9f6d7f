"""What syncs leave behind beside their runs: when each customer is due next, and plans that wait for a person."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text

from reconciler.store.tables.metadata import durable

#: One row for each customer that was looked at. schedule: of which configuration next_at was told. next_at: null for
#: who is not fetched by itself. tries: that failed since the last start. outcome: `model.sync.Outcome`; since: when it
#: began. fresh_at: the last roster that was fetched and read; changed_at: the last whose content was new; whole_at: the
#: last that was not only of changes. stale_since: null while the roster is fresh. sha256: of the last roster that was
#: read. settled: what the last clean sync depended on (`operations.sync_settled`), until the day settled_until.
syncs = Table(
    "syncs",
    durable,
    Column("customer_id", BigInteger, ForeignKey("customers.id"), primary_key=True, autoincrement=False),
    Column("schedule", Text),
    Column("next_at", Text),
    Column("first_at", Text),
    Column("attempted_at", Text),
    Column("tries", BigInteger, nullable=False, server_default="0"),
    Column("outcome", Text),
    Column("since", Text),
    Column("fresh_at", Text),
    Column("changed_at", Text),
    Column("whole_at", Text),
    Column("stale_since", Text),
    Column("sha256", Text),
    Column("settled", Text),
    Column("settled_until", Text),
    Index("ix_syncs_next_at", "next_at"),
)

#: A plan of what a sync held back, so that a person approves what was compared then. data: a slice of the plan's file,
#: encrypted under the store's key.
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
