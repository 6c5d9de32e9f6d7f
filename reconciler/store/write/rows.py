"""Write roster rows of one customer in one run: new ones in bulk, changed and deleted ones by set statements.

Every write here changes the row's fingerprint, by which the triggers tell it from a write outside reconciler.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.ids import CustomerId, CustomerNumber, Moment, RunId
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.key import StoreKey
from reconciler.store.write.journal import record_before_images


@dataclass(frozen=True, slots=True)
class WriteContext:
    """The write transaction of a run."""

    connection: Connection
    key: StoreKey
    run: RunId
    customer_number: CustomerNumber
    slug: CustomerId
    #: start of the run
    now: Moment
    #: the run that this one undoes, or None
    undoes: RunId | None = None

    @property
    def facts(self) -> Parameters:
        return {"run": self.run, "customer": self.customer_number, "now": self.now}


@dataclass(frozen=True, slots=True)
class RosterTable:
    """The table of a roster kind."""

    kind: Kind
    name: str
    #: columns that a change writes, besides fingerprint and origin
    columns: tuple[str, ...]
    #: True if rows can end with their term; purge keeps these
    concludes: bool = False


ORGS = RosterTable(Kind.ORG, "orgs", ("sourced_id", "name", "type", "identifier", "parent_id"))
ACCOUNTS = RosterTable(
    Kind.USER,
    "accounts",
    (
        "status",
        "given_name",
        "family_name",
        "middle_name",
        "email",
        "username",
        "username_key",
        "roster_username",
        "identifier",
        "grades",
        "role",
        "managed_by",
    ),
)
CLASSES = RosterTable(
    Kind.CLASS,
    "classes",
    ("sourced_id", "org_id", "title", "class_code", "class_type", "course", "terms", "grades"),
    concludes=True,
)
ENROLLMENTS = RosterTable(
    Kind.ENROLLMENT,
    "enrollments",
    ("sourced_id", "class_id", "account_id", "role", "is_primary", "begin_date", "end_date"),
    concludes=True,
)
TABLES = {table.kind: table for table in (ORGS, ACCOUNTS, CLASSES, ENROLLMENTS)}

#: Column of a change frame -> column of a table.
ORIGIN_COLUMNS = {"file": "origin_file", "line": "origin_line"}


def assign_row_ids(context: WriteContext, table: RosterTable, rows: pl.DataFrame) -> pl.DataFrame:
    """Sort rows by key and add `id`: that of the existing row, or a new one. Sorted new rows extend an index instead of
    scattering over it.
    """
    ordered = rows if rows["key"].is_sorted() else rows.sort("key")
    ordered = ordered.with_columns(pl.col("key").alias("sourced_id")).rename(ORIGIN_COLUMNS)
    new = ordered["live_id"].is_null()
    ids = context.connection.generate_ids(table.name, int(new.sum()))
    return ordered.with_columns(
        pl.when(new)
        .then(ids.gather(new.cum_sum().cast(pl.Int64) - 1, null_on_oob=True))
        .otherwise("live_id")
        .alias("id")
        if ids.len()
        else pl.col("live_id").alias("id")
    )


def write_rows(context: WriteContext, table: RosterTable, rows: pl.DataFrame) -> None:
    """Insert new rows and update existing ones. rows: from `assign_row_ids`, with resolved references."""
    _insert_rows(context, table, rows.filter(pl.col("live_id").is_null()))
    _update_rows(context, table, rows.filter(pl.col("live_id").is_not_null()))


def _insert_rows(context: WriteContext, table: RosterTable, rows: pl.DataFrame) -> None:
    if rows.is_empty():
        return
    run = pl.lit(context.run, dtype=pl.Int64)
    context.connection.insert_frame(
        table.name,
        rows.select(
            "id",
            pl.lit(context.customer_number, dtype=pl.Int64).alias("customer_id"),
            *table.columns,
            "fingerprint",
            "origin_file",
            "origin_line",
            run.alias("origin_run"),
            run.alias("created_run"),
        ),
    )


def _update_rows(context: WriteContext, table: RosterTable, rows: pl.DataFrame) -> None:
    """Update rows, restoring deleted and concluded ones."""
    if rows.is_empty():
        return
    columns = (*table.columns, "fingerprint", "origin_file", "origin_line")
    values = ", ".join(f"{column} = s.{column}" for column in columns)
    active = "tombstoned_at = NULL, tombstoned_run = NULL" + (", concluded_at = NULL" if table.concludes else "")
    with stage_journaled_rows(context, table, rows.select("live_id", "action", *columns)) as changed:
        _clear_unchanged_fingerprints(context, table, rows, changed)
        context.connection.execute(
            f"UPDATE {table.name} SET {values}, origin_run = :run, {active}"
            f" FROM {changed} s WHERE {table.name}.id = s.live_id",
            context.facts,
        )


def entomb_rows(context: WriteContext, table: RosterTable, rows: pl.DataFrame) -> None:
    """Soft-delete rows: set the moment and run of their deletion, and concluded_at of concluded rows, which a purge
    keeps.
    """
    if rows.is_empty():
        return
    concluded = (
        f", concluded_at = CASE WHEN s.action = '{Action.CONCLUDE.value}' THEN :now END" if table.concludes else ""
    )
    with stage_journaled_rows(context, table, rows.select("live_id", "action")) as gone:
        _clear_unchanged_fingerprints(context, table, rows, gone)
        context.connection.execute(
            f"UPDATE {table.name} SET tombstoned_at = :now, tombstoned_run = :run, fingerprint = 0{concluded}"
            f" FROM {gone} s WHERE {table.name}.id = s.live_id",
            context.facts,
        )


def _clear_unchanged_fingerprints(context: WriteContext, table: RosterTable, rows: pl.DataFrame, staged: str) -> None:
    """Set fingerprints to null before a write that would leave them unchanged (0 to 0), because the triggers would take
    it for a write outside reconciler.
    """
    if rows.select((pl.col("seen").is_null() | (pl.col("seen") == pl.col("fingerprint"))).any()).item():
        context.connection.execute(
            f"UPDATE {table.name} SET fingerprint = NULL FROM {staged} s WHERE {table.name}.id = s.live_id"
        )


def reset_unresolved_fingerprints(rows: pl.DataFrame, unresolved: pl.Expr) -> pl.DataFrame:
    """Set the fingerprint of rows with an unresolved reference to 0, which no row's fields have and which differs from
    the null of a write outside reconciler. The next plan then compares the columns, and writes the reference once it
    resolves.
    """
    zero = pl.lit(0, dtype=pl.Int64)
    return rows.with_columns(pl.when(unresolved).then(zero).otherwise("fingerprint").alias("fingerprint"))


@contextmanager
def stage_journaled_rows(context: WriteContext, table: RosterTable, rows: pl.DataFrame) -> Iterator[str]:
    """Save the before-images of rows and hold the rows in a temporary table, whose name is yielded."""
    with context.connection.stage_frame(f"staged_{table.name}", rows) as name:
        record_before_images(context.connection, table.kind, table.name, name, context.facts)
        yield name


def refresh_fingerprints(connection: Connection, table: RosterTable, rows: pl.DataFrame) -> None:
    """Update the fingerprints of rows whose fields are already right."""
    with connection.stage_frame(f"refreshed_{table.name}", rows.select("live_id", "fingerprint")) as name:
        connection.execute(
            f"UPDATE {table.name} SET fingerprint = s.fingerprint FROM {name} s WHERE {table.name}.id = s.live_id"
        )
