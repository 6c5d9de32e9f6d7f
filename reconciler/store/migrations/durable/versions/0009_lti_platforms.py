"""LTI platforms as rows, so that no two active customers have one consumer key, filled from the stored documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from alembic import op

from reconciler.store.migrations.moments import add_moment_checks

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

IN_USE = sa.text("reserved_until IS NULL")
UNITS = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}
#: The retention of a customer without a readable one.
RETENTION = timedelta(days=30)


def upgrade() -> None:
    platforms = op.create_table(
        "lti_platforms",
        sa.Column("customer_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("consumer_key", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("community", sa.Text(), nullable=True),
        sa.Column("reserved_until", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("customer_id", "consumer_key", name=op.f("pk_lti_platforms")),
    )
    op.create_index(
        "uq_lti_platforms_consumer_key",
        "lti_platforms",
        ["consumer_key"],
        unique=True,
        sqlite_where=IN_USE,
        postgresql_where=IN_USE,
    )
    add_moment_checks({"lti_platforms": ("reserved_until",)})
    connection = op.get_bind()
    customers = connection.execute(sa.text("SELECT id, document, tombstoned_at FROM customers ORDER BY id")).all()
    in_use: set[str] = set()
    for customer, text, removed_at in customers:
        document = _parse_document(text)
        rows = {
            key: {
                "customer_id": customer,
                "consumer_key": key,
                "platform": name,
                "community": community,
                "reserved_until": removed_at and _find_end(document, removed_at),
            }
            for name, key, community in _iter_platforms(document)
        }
        shared = rows.keys() & in_use if removed_at is None else set()
        if shared:
            # The next plan compares the whole customer and says who has the key.
            connection.execute(
                sa.text("UPDATE customers SET settings_digest = NULL WHERE id = :customer"), {"customer": customer}
            )
        if kept := [row for key, row in rows.items() if key not in shared]:
            connection.execute(platforms.insert(), kept)
        if removed_at is None:
            in_use |= rows.keys()


def _parse_document(text: str) -> Mapping[str, object]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _iter_platforms(document: Mapping[str, object]) -> Iterator[tuple[str, str, str | None]]:
    lti = document.get("lti")
    platforms = lti.get("platforms") if isinstance(lti, dict) else None
    for name, platform in platforms.items() if isinstance(platforms, dict) else ():
        key = platform.get("consumer_key") if isinstance(platform, dict) else None
        if isinstance(key, str):
            yield name, key, platform.get("community")


def _find_end(document: Mapping[str, object], removed_at: str) -> str:
    rostering = document.get("rostering")
    text = rostering.get("retention") if isinstance(rostering, dict) else None
    try:
        retention = int(str(text)[:-1]) * UNITS[str(text)[-1:]]
        end = datetime.fromisoformat(removed_at) + retention
    except (ValueError, KeyError, OverflowError):
        end = datetime.fromisoformat(removed_at) + RETENTION
    return f"{end.replace(tzinfo=None).isoformat()}Z"
