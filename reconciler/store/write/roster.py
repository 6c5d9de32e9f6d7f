"""Carrying out the roster changes of one customer, in an order in which every reference is there before it is used."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.store.errors import StalePlan, StoreProblem
from reconciler.store.write.people import merge_the_rest, write_people
from reconciler.store.write.rows import (
    CLASSES,
    ENROLLMENTS,
    ORGS,
    TABLES,
    Writing,
    compared_again,
    entomb,
    with_ids,
    write,
)

Rows = Mapping[Kind, pl.DataFrame]
Leaving = Mapping[Kind, pl.Series]

#: What is not live any more afterwards.
ENDING = (Action.DELETE.value, Action.CONCLUDE.value)

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
    ending = pl.col("action").is_in(ENDING)
    stays = {kind: frame.filter(~ending) for kind, frame in rows.items()}
    goes = {kind: frame.filter(ending) for kind, frame in rows.items()}
    leaving = {kind: frame["live_id"] for kind, frame in goes.items()}
    if Kind.ORG in rows:
        _write_orgs(writing, stays[Kind.ORG], leaving)
    if Kind.USER in rows:
        write_people(writing, stays[Kind.USER], goes[Kind.USER], live_keys(writing, Kind.ORG, leaving))
        goes[Kind.USER] = goes[Kind.USER].filter(pl.col("into").is_null())
    if Kind.CLASS in rows:
        _write_classes(writing, stays[Kind.CLASS], leaving)
    if Kind.ENROLLMENT in rows:
        _write_enrollments(writing, stays[Kind.ENROLLMENT], leaving)
    for kind in (Kind.ENROLLMENT, Kind.CLASS, Kind.USER, Kind.ORG):
        if kind in rows:
            entomb(writing, TABLES[kind], goes[kind])
    if Kind.USER in rows:
        merge_the_rest(writing, rows[Kind.USER])
    if Kind.ORG in rows:
        writing.connection.execute("DELETE FROM org_closure WHERE customer_id = :customer", writing.facts)
        writing.connection.execute(CLOSURE_SQL, writing.facts)


def _write_orgs(writing: Writing, rows: pl.DataFrame, leaving: Leaving) -> None:
    if rows.is_empty():
        return
    orgs = with_ids(writing, ORGS, rows)
    known = pl.concat([orgs.select("sourced_id", "id"), live_keys(writing, Kind.ORG, leaving)])
    write(writing, ORGS, _with_org(orgs, "parent", known.unique("sourced_id", keep="first"), "parent_id"))


def _write_classes(writing: Writing, rows: pl.DataFrame, leaving: Leaving) -> None:
    if rows.is_empty():
        return
    classes = with_ids(writing, CLASSES, rows)
    write(writing, CLASSES, _with_org(classes, "school", live_keys(writing, Kind.ORG, leaving), "org_id"))


def _with_org(rows: pl.DataFrame, reference: str, orgs: pl.DataFrame, column: str) -> pl.DataFrame:
    missing = pl.col(reference).is_not_null() & pl.col(column).is_null()
    return compared_again(resolved(rows, reference, orgs, column), missing)


def _write_enrollments(writing: Writing, rows: pl.DataFrame, leaving: Leaving) -> None:
    if rows.is_empty():
        return
    enrollments = with_ids(writing, ENROLLMENTS, rows)
    enrollments = resolved(enrollments, "class", live_keys(writing, Kind.CLASS, leaving), "class_id")
    enrollments = resolved(enrollments, "user", live_keys(writing, Kind.USER, leaving), "account_id")
    lost = enrollments.filter(pl.any_horizontal(pl.col("class_id", "account_id").is_null()))
    if not lost.is_empty():
        _refuse_lost(writing, lost)
    write(writing, ENROLLMENTS, enrollments.rename({"primary": "is_primary"}))


def _refuse_lost(writing: Writing, lost: pl.DataFrame) -> None:
    """Raises: a person or class that was deleted since makes the plan stale."""
    deleted = [
        resolved(lost, reference, known_keys(writing, kind, alive=False), "deleted").filter(
            pl.col("deleted").is_not_null()
        )
        for reference, kind in (("class", Kind.CLASS), ("user", Kind.USER))
    ]
    keys = pl.concat(deleted)["key"].unique().sort()
    if keys.len():
        raise StalePlan.of(writing.slug, ((Kind.ENROLLMENT.value, key) for key in keys))
    raise StoreProblem(
        "unresolved-reference",
        f"{writing.slug}: {lost.height:,} enrollments name a person or class that is not there; nothing was written",
        "Plan again. If it stays, what they need is held: look at the plan.",
    )


def live_keys(writing: Writing, kind: Kind, leaving: Leaving) -> pl.DataFrame:
    """sourced_id and id of what is live once this apply is done. leaving: ids of what it is still to delete."""
    alive = known_keys(writing, kind, alive=True)
    return alive.filter(~pl.col("id").is_in(leaving[kind].implode())) if kind in leaving else alive


def known_keys(writing: Writing, kind: Kind, *, alive: bool) -> pl.DataFrame:
    """sourced_id and id of every org, class or rostered person of the customer that lives, or that is deleted."""
    life = f"tombstoned_at IS {'' if alive else 'NOT '}NULL"
    found = f"SELECT sourced_id, id FROM {TABLES[kind].name} WHERE customer_id = :customer AND {life}"
    if kind is Kind.USER:
        found = (
            "SELECT i.subject AS sourced_id, a.id FROM identities i JOIN issuers x ON x.id = i.issuer_id"
            " JOIN accounts a ON a.id = i.account_id WHERE x.customer_id = :customer AND x.kind = 'roster'"
            f" AND a.{life}"
        )
    return writing.connection.frame(found, {"sourced_id": pl.String, "id": pl.Int64}, writing.facts)


def resolved(rows: pl.DataFrame, reference: str, known: pl.DataFrame, column: str) -> pl.DataFrame:
    """`rows` with `column`: the id of what `reference` names; null where that is not there."""
    names = known.select(pl.col("sourced_id").alias(reference), pl.col("id").alias(column))
    return rows.join(names, on=reference, how="left", maintain_order="left")
