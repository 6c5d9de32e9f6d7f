"""Read what recent runs did, from the rows they made and the journal."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
from sqlalchemy import select

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection
from reconciler.store.tables import record as records

#: customer_id: null for a run of the catalogue
RUN_COLUMNS: dict[str, type[pl.DataType]] = {
    "run": pl.Int64,
    "customer_id": pl.Int64,
    "customer": pl.String,
    "plan_id": pl.String,
}
#: before: JSON of the row as it was, of documents and people; null for other kinds and for what was made
RUN_CHANGE_COLUMNS: dict[str, type[pl.DataType]] = {
    "run": pl.Int64,
    "kind": pl.String,
    "id": pl.Int64,
    "action": pl.String,
    "before": pl.String,
}

_CREATION_TABLES = {
    Kind.COMMUNITY: "communities",
    Kind.LESSON: "lessons",
    Kind.ORG: "orgs",
    Kind.USER: "accounts",
    Kind.CLASS: "classes",
    Kind.ENROLLMENT: "enrollments",
}
_IMAGE_KINDS = ", ".join(f"'{kind}'" for kind in (Kind.CUSTOMER, Kind.COMMUNITY, Kind.LESSON, Kind.USER))


def read_recent_runs(connection: Connection, most: int) -> pl.DataFrame:
    """Newest first, with the columns of `RUNS`."""
    table = records.runs
    columns = (table.c.id, table.c.customer_id, table.c.customer_slug, table.c.plan_id)
    found = connection.fetch_rows(select(*columns).order_by(table.c.id.desc()).limit(most))
    return pl.DataFrame(found, schema=RUN_COLUMNS, orient="row")


def read_run_changes(connection: Connection, customer_number: int | None, runs: Iterable[int]) -> pl.DataFrame:
    """What these runs did to a customer's rows (None: to the catalogue), with the columns of `TRACES`."""
    wanted = sorted(set(runs))
    if not wanted:
        return pl.DataFrame(schema=RUN_CHANGE_COLUMNS)
    facts = {"first": wanted[0], "last": wanted[-1], "customer": customer_number}
    owner = "customer_id = :customer" if customer_number is not None else "customer_id IS NULL"
    made = [
        f"SELECT created_run, '{kind}', id, '{Action.CREATE}', CAST(NULL AS TEXT) FROM {table}"
        f" WHERE {owner} AND created_run BETWEEN :first AND :last"
        for kind, table in _CREATION_TABLES.items()
        if customer_number is not None or kind is Kind.LESSON
    ]
    if customer_number is not None:
        made.append(
            f"SELECT created_run, '{Kind.CUSTOMER}', id, '{Action.CREATE}', CAST(NULL AS TEXT) FROM customers"
            " WHERE id = :customer AND created_run BETWEEN :first AND :last"
        )
    changed = (
        "SELECT run_id AS run, kind, row_id AS id, action,"
        f" CASE WHEN kind IN ({_IMAGE_KINDS}) THEN before END AS before"
        f" FROM journal WHERE {owner} AND run_id BETWEEN :first AND :last"
    )
    found = connection.fetch_frame(" UNION ALL ".join([changed, *made]), RUN_CHANGE_COLUMNS, facts)
    return found.filter(pl.col("run").is_in(wanted))
