"""Ids of the keys that secrets, anonymous records and certificates were made with. Null: the store's only key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("secrets", "erased", "certificates"):
        op.add_column(table, sa.Column("key_id", sa.Text(), nullable=True))
