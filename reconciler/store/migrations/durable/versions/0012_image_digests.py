"""Digests of before-images, which runs and certificates cover. `store upgrade` adds those of what is there already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_digests",
        sa.Column("certificate_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("certificate_id", "run_id", "entry_id", name=op.f("pk_image_digests")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_image_digests_entry_id_run_id", "image_digests", ["entry_id", "run_id"], unique=False)
    op.add_column("runs", sa.Column("journal_digest", sa.Text(), nullable=True))
    op.add_column("certificates", sa.Column("images", sa.Text(), nullable=True))
