"""Into which account a deleted one went, so that who is erased is erased whole, and an undo finds both."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("merged_into", sa.BigInteger(), nullable=True))
