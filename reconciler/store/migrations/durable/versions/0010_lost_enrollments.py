"""Uses of the limit on enrollments by what was lost, and a comparison of repeated enrollments in the next plan."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

USES_SQL = """
SELECT u.id, j.before FROM limit_uses u JOIN journal j ON j.run_id = u.run_id AND j.row_id = u.row_id
WHERE u.name = 'enrollments' AND j.kind = 'enrollment' ORDER BY u.id
"""
#: 0 is no row's fingerprint, so that the next plan looks at these rows although their values are those of the roster.
REPEATED_SQL = """
UPDATE enrollments SET fingerprint = 0 WHERE tombstoned_at IS NULL AND fingerprint <> 0 AND EXISTS (
    SELECT 1 FROM enrollments o
    WHERE o.account_id = enrollments.account_id AND o.class_id = enrollments.class_id AND o.role = enrollments.role
      AND o.id <> enrollments.id AND o.tombstoned_at IS NULL)
"""


def upgrade() -> None:
    op.add_column("limit_uses", sa.Column("account_id", sa.BigInteger(), nullable=True))
    op.add_column("limit_uses", sa.Column("class_id", sa.BigInteger(), nullable=True))
    connection = op.get_bind()
    # A use of which the history was purged keeps no person and class, and counts until the window ends.
    lost = [
        {"use": use, "account": image.get("account_id"), "class": image.get("class_id")}
        for use, before in connection.execute(sa.text(USES_SQL)).all()
        if isinstance(image := json.loads(before), dict)
    ]
    if lost:
        connection.execute(
            sa.text("UPDATE limit_uses SET account_id = :account, class_id = :class WHERE id = :use"), lost
        )
    connection.execute(sa.text(REPEATED_SQL))
