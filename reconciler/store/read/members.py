"""Counts the people whom a change of a community or a lesson affects."""

from collections.abc import Collection, Mapping
from typing import Any

import orjson
import polars as pl

from reconciler.model.ids import CustomerNumber
from reconciler.store.database.connection import Connection

_MEMBERS_SQL = """
SELECT DISTINCT m.account_id, m.role, m.source, o.sourced_id AS school
FROM communities c JOIN memberships m ON m.community_id = c.id
LEFT JOIN account_roles r ON r.account_id = m.account_id
LEFT JOIN org_closure x ON x.descendant_id = r.org_id
LEFT JOIN orgs o ON o.id = x.ancestor_id
WHERE c.customer_id = :customer AND c.slug = :community AND c.tombstoned_at IS NULL
"""
_MEMBER_COLUMNS = {"account_id": pl.Int64, "role": pl.String, "source": pl.String, "school": pl.String}
_COMMUNITIES_SQL = """
SELECT id, customer_id, document FROM communities
WHERE tombstoned_at IS NULL AND (CAST(:customer AS BIGINT) IS NULL OR customer_id = :customer) ORDER BY id
"""
_MEMBERS_OF_SQL = "SELECT community_id, account_id FROM memberships"
_ASSIGNED_SQL = """
SELECT a.account_id FROM assignments a JOIN lessons l ON l.id = a.lesson_id
WHERE l.slug = :lesson AND a.account_id IS NOT NULL
  AND (l.customer_id = :customer OR (l.customer_id IS NULL AND CAST(:customer AS BIGINT) IS NULL))
"""


def count_locked_out_members(
    connection: Connection,
    customer: CustomerNumber,
    community: str,
    members: Mapping[str, Collection[str] | None] | None,
) -> int:
    """Return how many members a community loses. members: its new selection of the roster's people; None if nobody
    may use it any more."""
    rows = connection.fetch_frame(_MEMBERS_SQL, _MEMBER_COLUMNS, {"customer": customer, "community": community})
    if members is not None:
        rows = rows.filter(pl.col("source") == "roster")
    kept = rows.clear() if members is None else rows
    for name, column in (("schools", "school"), ("roles", "role")):
        wanted = members.get(name) if members is not None else None
        if wanted is not None:
            kept = kept.filter(pl.col(column).is_in(list(wanted)))
    return rows["account_id"].n_unique() - kept["account_id"].n_unique()


def count_readers(connection: Connection, customer: CustomerNumber | None, lesson: str) -> int:
    """Return how many people have a lesson, by a community or an assignment. customer: None for the catalog's."""
    communities = [
        number
        for number, _, document in connection.fetch_rows(_COMMUNITIES_SQL, {"customer": customer})
        if _has_lesson(orjson.loads(document), lesson, is_own=customer is not None)
    ]
    members = connection.fetch_frame(_MEMBERS_OF_SQL, {"community_id": pl.Int64, "account_id": pl.Int64}).filter(
        pl.col("community_id").is_in(communities)
    )
    assigned = connection.fetch_frame(_ASSIGNED_SQL, {"account_id": pl.Int64}, {"customer": customer, "lesson": lesson})
    return pl.concat([members["account_id"], assigned["account_id"]]).n_unique()


def _has_lesson(document: Mapping[str, Any], lesson: str, *, is_own: bool) -> bool:
    """Return True if a community has the lesson; `all` means the customer's own lessons."""
    lessons = document.get("lessons", "all")
    return is_own if lessons == "all" else lesson in lessons
