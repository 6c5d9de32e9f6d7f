"""Values that lead one browser once to one page."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reconciler.store.migrations.moments import add_moment_checks

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "one_use_tokens",
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_one_use_tokens")),
    )
    op.create_index(op.f("ix_one_use_tokens_expires_at"), "one_use_tokens", ["expires_at"], unique=False)
    add_moment_checks({"one_use_tokens": ("expires_at",)})
