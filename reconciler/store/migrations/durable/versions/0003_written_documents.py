"""Adds what a run wrote of each document, to tell external writes value by value, and the files it was made from."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: A document whose customer's digest is there is as its run wrote it.
KNOWN = "customer_id IN (SELECT id FROM customers WHERE settings_digest IS NOT NULL)"
OF_CATALOGUE = "customer_id IS NULL AND (SELECT catalogue_digest FROM store) IS NOT NULL"


def upgrade() -> None:
    op.add_column("customers", sa.Column("inputs", sa.Text(), nullable=True))
    for table in ("customers", "communities", "lessons"):
        op.add_column(table, sa.Column("written", sa.Text(), nullable=True))
    op.execute("UPDATE customers SET written = document WHERE settings_digest IS NOT NULL")
    op.execute(f"UPDATE communities SET written = document WHERE {KNOWN}")
    op.execute(f"UPDATE lessons SET written = document WHERE {KNOWN} OR {OF_CATALOGUE}")
