"""Write the roster changes of one customer, in an order in which every referenced row exists before it is used."""

from collections.abc import Mapping

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.store.errors import StalePlan, StoreProblem
from reconciler.store.write.people import merge_remaining_rows, write_people
from reconciler.store.write.rows import (
    CLASSES,
    ENROLLMENTS,
    ORGS,
    TABLES,
    WriteContext,
    assign_row_ids,
    entomb_rows,
    reset_unresolved_fingerprints,
    write_rows,
)

RosterRows = Mapping[Kind, pl.DataFrame]
LeavingIds = Mapping[Kind, pl.Series]

#: Actions after which a row is no longer active.
ENDING_ACTIONS = (Action.DELETE.value, Action.CONCLUDE.value)

#: Ends the recursion if an org is its own ancestor by mistake.
MAX_DEPTH = 64

CLOSURE_SQL = f"""
INSERT INTO org_closure (ancestor_id, descendant_id, depth, customer_id)
WITH RECURSIVE above (ancestor_id, descendant_id, depth) AS (
    SELECT id, id, CAST(0 AS BIGINT) FROM orgs WHERE customer_id = :customer AND tombstoned_at IS NULL
    UNION ALL
    SELECT p.id, above.descendant_id, above.depth + 1
    FROM above JOIN orgs o ON o.id = above.ancestor_id JOIN orgs p ON p.id = o.parent_id
    WHERE p.tombstoned_at IS NULL AND above.depth < {MAX_DEPTH}
)
SELECT ancestor_id, descendant_id, min(depth), CAST(:customer AS BIGINT) FROM above
GROUP BY ancestor_id, descendant_id ORDER BY ancestor_id, descendant_id
"""

EARLIER_ENROLLMENT_SQL = "SELECT 1 FROM enrollments WHERE customer_id = :customer AND created_run <> :run LIMIT 1"

#: The + keeps SQLite from the index of classes, which have more enrollments than people have.
REPEATED_SQL = """
SELECT s.key FROM {written} s JOIN enrollments e ON e.customer_id = :customer AND e.sourced_id = s.key
WHERE e.tombstoned_at IS NULL AND EXISTS (
    SELECT 1 FROM enrollments o
    WHERE o.account_id = e.account_id AND +o.class_id = e.class_id AND o.role = e.role AND o.id <> e.id
      AND o.tombstoned_at IS NULL)
ORDER BY s.key
"""


def write_roster(context: WriteContext, rows: RosterRows) -> None:
    """Write the rows of change frames. rows: the changes to apply, without held ones."""
    ending = pl.col("action").is_in(ENDING_ACTIONS)
    upserts = {kind: frame.filter(~ending) for kind, frame in rows.items()}
    deletions = {kind: frame.filter(ending) for kind, frame in rows.items()}
    leaving = {kind: frame["live_id"] for kind, frame in deletions.items()}
    if Kind.ORG in rows:
        _write_orgs(context, upserts[Kind.ORG], leaving)
    if Kind.USER in rows:
        write_people(context, upserts[Kind.USER], deletions[Kind.USER], read_live_keys(context, Kind.ORG, leaving))
        deletions[Kind.USER] = deletions[Kind.USER].filter(pl.col("into").is_null())
    if Kind.CLASS in rows:
        _write_classes(context, upserts[Kind.CLASS], leaving)
    if Kind.ENROLLMENT in rows:
        _write_enrollments(context, upserts[Kind.ENROLLMENT], leaving)
    for kind in (Kind.ENROLLMENT, Kind.CLASS, Kind.USER, Kind.ORG):
        if kind in rows:
            entomb_rows(context, TABLES[kind], deletions[kind])
    if Kind.ENROLLMENT in rows:
        _refuse_repeated_enrollments(context, upserts[Kind.ENROLLMENT])
    if Kind.USER in rows:
        merge_remaining_rows(context, rows[Kind.USER])
    if Kind.ORG in rows:
        context.connection.execute("DELETE FROM org_closure WHERE customer_id = :customer", context.facts)
        context.connection.execute(CLOSURE_SQL, context.facts)


def _write_orgs(context: WriteContext, rows: pl.DataFrame, leaving: LeavingIds) -> None:
    if rows.is_empty():
        return
    orgs = assign_row_ids(context, ORGS, rows)
    known = pl.concat([orgs.select("sourced_id", "id"), read_live_keys(context, Kind.ORG, leaving)])
    write_rows(context, ORGS, _resolve_org(orgs, "parent", known.unique("sourced_id", keep="first"), "parent_id"))


def _write_classes(context: WriteContext, rows: pl.DataFrame, leaving: LeavingIds) -> None:
    if rows.is_empty():
        return
    classes = assign_row_ids(context, CLASSES, rows)
    write_rows(context, CLASSES, _resolve_org(classes, "school", read_live_keys(context, Kind.ORG, leaving), "org_id"))


def _resolve_org(rows: pl.DataFrame, reference: str, orgs: pl.DataFrame, column: str) -> pl.DataFrame:
    missing = pl.col(reference).is_not_null() & pl.col(column).is_null()
    return reset_unresolved_fingerprints(resolve_reference(rows, reference, orgs, column), missing)


def _write_enrollments(context: WriteContext, rows: pl.DataFrame, leaving: LeavingIds) -> None:
    if rows.is_empty():
        return
    enrollments = assign_row_ids(context, ENROLLMENTS, rows)
    enrollments = resolve_reference(enrollments, "class", read_live_keys(context, Kind.CLASS, leaving), "class_id")
    enrollments = resolve_reference(enrollments, "user", read_live_keys(context, Kind.USER, leaving), "account_id")
    unresolved = enrollments.filter(pl.any_horizontal(pl.col("class_id", "account_id").is_null()))
    if not unresolved.is_empty():
        _refuse_unresolved(context, unresolved)
    write_rows(context, ENROLLMENTS, enrollments.rename({"primary": "is_primary"}))


def _refuse_unresolved(context: WriteContext, unresolved: pl.DataFrame) -> None:
    """Raise StalePlan if a referenced person or class was deleted since the plan, else StoreProblem."""
    deleted = [
        resolve_reference(unresolved, reference, read_known_keys(context, kind, alive=False), "deleted").filter(
            pl.col("deleted").is_not_null()
        )
        for reference, kind in (("class", Kind.CLASS), ("user", Kind.USER))
    ]
    keys = pl.concat(deleted)["key"].unique().sort()
    if keys.len():
        raise StalePlan.from_changes(context.slug, ((Kind.ENROLLMENT.value, key) for key in keys))
    raise StoreProblem(
        "unresolved-reference",
        f"{context.slug}: {unresolved.height:,} enrollments name a person or class that does not exist; "
        "nothing was written",
        "Make a new plan. If this error stays, check in the plan whether that person or class is held.",
    )


def _refuse_repeated_enrollments(context: WriteContext, rows: pl.DataFrame) -> None:
    """Raise StalePlan if one of the written enrollments has the class, person and role of another active one.

    No unique index says so: the rows of one statement may trade places.
    """
    if rows.is_empty() or not context.connection.fetch_rows(EARLIER_ENROLLMENT_SQL, context.facts):
        # A first roster meets no other rows, and planning repeats none.
        return
    with context.connection.stage_frame("written_enrollments", rows.select("key")) as written:
        repeated = context.connection.fetch_rows(REPEATED_SQL.format(written=written), context.facts)
    if repeated:
        raise StalePlan.from_changes(context.slug, ((Kind.ENROLLMENT.value, str(key)) for (key,) in repeated))


def read_live_keys(context: WriteContext, kind: Kind, leaving: LeavingIds) -> pl.DataFrame:
    """Return sourced_id and id of the rows that will be active after this apply. leaving: ids that it will delete."""
    active = read_known_keys(context, kind, alive=True)
    return active.filter(~pl.col("id").is_in(leaving[kind].implode())) if kind in leaving else active


def read_known_keys(context: WriteContext, kind: Kind, *, alive: bool) -> pl.DataFrame:
    """Return sourced_id and id of the customer's orgs, classes or rostered people: the active or the deleted ones."""
    state = f"tombstoned_at IS {'' if alive else 'NOT '}NULL"
    sql = f"SELECT sourced_id, id FROM {TABLES[kind].name} WHERE customer_id = :customer AND {state}"
    if kind is Kind.USER:
        sql = (
            "SELECT i.subject AS sourced_id, a.id FROM identities i JOIN issuers x ON x.id = i.issuer_id"
            " JOIN accounts a ON a.id = i.account_id WHERE x.customer_id = :customer AND x.kind = 'roster'"
            f" AND a.{state}"
        )
    return context.connection.fetch_frame(sql, {"sourced_id": pl.String, "id": pl.Int64}, context.facts)


def resolve_reference(rows: pl.DataFrame, reference: str, known: pl.DataFrame, column: str) -> pl.DataFrame:
    """Add `column` with the id of the row that `reference` names, null if `known` does not have it."""
    names = known.select(pl.col("sourced_id").alias(reference), pl.col("id").alias(column))
    return rows.join(names, on=reference, how="left", maintain_order="left")
