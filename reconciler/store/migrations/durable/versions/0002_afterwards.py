"""Adds tables to limit losses over days, to know one person by several sourcedIds, and to undo, purge and erase."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "limit_uses",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("row_id", sa.BigInteger(), nullable=False),
        sa.Column("schools", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_limit_uses")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_limit_uses_customer_id_at", "limit_uses", ["customer_id", "at"], unique=False)
    op.create_index(op.f("ix_limit_uses_run_id"), "limit_uses", ["run_id"], unique=False)
    op.create_table(
        "certificates",
        sa.Column("id", WHOLE, sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("customer_slug", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("seal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_certificates")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "erased",
        sa.Column("customer_id", sa.BigInteger(), nullable=False),
        sa.Column("trace", sa.Text(), nullable=False),
        sa.Column("certificate_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "trace", name=op.f("pk_erased")),
    )
    op.add_column("classes", sa.Column("concluded_at", sa.Text(), nullable=True))
    op.add_column("enrollments", sa.Column("concluded_at", sa.Text(), nullable=True))
    op.add_column("identities", sa.Column("alias", sa.BigInteger(), nullable=True))
    op.add_column("snapshots", sa.Column("facts", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("runs", sa.Column("undoes", sa.BigInteger(), nullable=True))
    op.add_column("store", sa.Column("head_seal", sa.Text(), nullable=True))
