"""Carrying out the roster changes of one customer, in an order in which every reference is there before it is used."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.store.people import write_people
from reconciler.store.problem import StoreProblem
from reconciler.store.writing import CLASSES, ENROLLMENTS, ORGS, TABLES, Writing, entomb, with_ids, write

Rows = Mapping[Kind, pl.DataFrame]

#: An org that is its own ancestor by mistake is no reason to go on for ever.
DEEPEST = 64

CLOSURE_SQL = f"""
INSERT INTO org_closure (ancestor_id, descendant_id, depth, customer_id)
WITH RECURSIVE above (ancestor_id, descendant_id, depth) AS (
    SELECT id, id, CAST(0 AS BIGINT) FROM orgs WHERE customer_id = :customer AND tombstoned_at IS NULL
    UNION ALL
    SELECT p.id, above.descendant_id, above.depth + 1
    FROM above JOIN orgs o ON o.id = above.ancestor_id JOIN orgs p ON p.id = o.parent_id
    WHERE p.tombstoned_at IS NULL AND above.depth < {DEEPEST}
)
SELECT ancestor_id, descendant_id, min(depth), CAST(:customer AS BIGINT) FROM above
GROUP BY ancestor_id, descendant_id ORDER BY ancestor_id, descendant_id
"""


def write_roster(writing: Writing, rows: Rows) -> None:
    """rows: the change frames of what is to be done, nothing held in them."""
    stays = {kind: frame.filter(pl.col("action") != Action.DELETE.value) for kind, frame in rows.items()}
    goes = {kind: frame.filter(pl.col("action") == Action.DELETE.value) for kind, frame in rows.items()}
    if Kind.ORG in rows:
        _write_orgs(writing, stays[Kind.ORG])
    if Kind.USER in rows:
        write_people(writing, stays[Kind.USER], goes[Kind.USER])
    if Kind.CLASS in rows:
        _write_classes(writing, stays[Kind.CLASS])
    if Kind.ENROLLMENT in rows:
        _write_enrollments(writing, stays[Kind.ENROLLMENT])
    for kind in (Kind.ENROLLMENT, Kind.CLASS, Kind.USER, Kind.ORG):
        if kind in rows:
            entomb(writing, TABLES[kind], goes[kind])
    if Kind.ORG in rows:
        writing.connection.execute("DELETE FROM org_closure WHERE customer_id = :customer", writing.facts)
        writing.connection.execute(CLOSURE_SQL, writing.facts)


def _write_orgs(writing: Writing, rows: pl.DataFrame) -> None:
    if rows.is_empty():
        return
    orgs = with_ids(writing, ORGS, rows)
    known = pl.concat([orgs.select("sourced_id", "id"), live_keys(writing, "orgs")]).unique("sourced_id", keep="first")
    write(writing, ORGS, resolved(orgs, "parent", known, "parent_id"))


def _write_classes(writing: Writing, rows: pl.DataFrame) -> None:
    if rows.is_empty():
        return
    classes = with_ids(writing, CLASSES, rows)
    write(writing, CLASSES, resolved(classes, "school", live_keys(writing, "orgs"), "org_id"))


def _write_enrollments(writing: Writing, rows: pl.DataFrame) -> None:
    if rows.is_empty():
        return
    bound = writing.connection.frame(
        "SELECT i.subject AS sourced_id, i.account_id AS id FROM identities i JOIN issuers x ON x.id = i.issuer_id"
        " WHERE x.customer_id = :customer AND x.kind = 'roster'",
        {"sourced_id": pl.String, "id": pl.Int64},
        writing.facts,
    )
    enrollments = resolved(with_ids(writing, ENROLLMENTS, rows), "class", live_keys(writing, "classes"), "class_id")
    enrollments = resolved(enrollments, "user", bound, "account_id").rename({"primary": "is_primary"})
    lost = enrollments.select(pl.any_horizontal(pl.col("class_id", "account_id").is_null()).sum()).item()
    if lost:
        raise StoreProblem(
            "unresolved-reference",
            f"{writing.slug}: {lost:,} enrollments name a person or class that is not there; nothing was written",
            "Plan again. If it stays, what they need is held: look at the plan.",
        )
    write(writing, ENROLLMENTS, enrollments)


def live_keys(writing: Writing, table: str) -> pl.DataFrame:
    """sourced_id and id of every row of the customer, tombstones included."""
    return writing.connection.frame(
        f"SELECT sourced_id, id FROM {table} WHERE customer_id = :customer",
        {"sourced_id": pl.String, "id": pl.Int64},
        writing.facts,
    )


def resolved(rows: pl.DataFrame, reference: str, known: pl.DataFrame, column: str) -> pl.DataFrame:
    """`rows` with `column`: the id of what `reference` names; null where that is not there."""
    names = known.select(pl.col("sourced_id").alias(reference), pl.col("id").alias(column))
    return rows.join(names, on=reference, how="left", maintain_order="left")
