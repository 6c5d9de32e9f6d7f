"""Adds when each customer is synced next, the result of its last sync, and plans that wait for approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "syncs",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("schedule", sa.Text(), nullable=True),
        sa.Column("next_at", sa.Text(), nullable=True),
        sa.Column("first_at", sa.Text(), nullable=True),
        sa.Column("attempted_at", sa.Text(), nullable=True),
        sa.Column("tries", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("since", sa.Text(), nullable=True),
        sa.Column("fresh_at", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.Text(), nullable=True),
        sa.Column("whole_at", sa.Text(), nullable=True),
        sa.Column("stale_since", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("settled", sa.Text(), nullable=True),
        sa.Column("settled_until", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_syncs_customer_id")),
        sa.PrimaryKeyConstraint("customer_id", name=op.f("pk_syncs")),
    )
    op.create_index("ix_syncs_next_at", "syncs", ["next_at"], unique=False)
    op.create_table(
        "held_plans",
        sa.Column("hold_id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("plan_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customers.id"], name=op.f("fk_held_plans_customer_id")),
        sa.PrimaryKeyConstraint("hold_id", "number", name=op.f("pk_held_plans")),
    )
    op.create_index(op.f("ix_held_plans_customer_id"), "held_plans", ["customer_id"], unique=False)
