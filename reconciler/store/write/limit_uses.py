"""What runs did that a limit counts and nobody approved: written with the run, read for the next plan's window."""

from __future__ import annotations

import polars as pl

from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection
from reconciler.store.write.rows import WriteContext

LIMIT_USE_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "name": pl.String,
    "row_id": pl.Int64,
    "schools": pl.String,
}

#: Who is back counts no more: nothing of theirs is lost. A change of somebody who stays always counts.
LIMIT_USES_SQL = """
SELECT DISTINCT u.name, u.row_id, u.schools FROM limit_uses u
WHERE u.customer_id = :customer AND (u.at >= :since OR u.name LIKE 'approval %') AND NOT (
    (u.name IN ('users', 'scope_narrowed') OR u.name LIKE 'approval %') AND EXISTS (
        SELECT 1 FROM accounts a WHERE a.id = u.row_id AND a.tombstoned_at IS NULL AND a.status = 'active')
    OR u.name = 'classes' AND EXISTS (SELECT 1 FROM classes c WHERE c.id = u.row_id AND c.tombstoned_at IS NULL)
    OR u.name = 'enrollments' AND EXISTS (
        SELECT 1 FROM enrollments e WHERE e.id = u.row_id AND e.tombstoned_at IS NULL)
)
ORDER BY u.name, u.row_id
"""


def read_limit_uses(connection: Connection, customer_number: int, since: str) -> pl.DataFrame:
    """name, row_id, schools of what was done since a moment; of approvals in advance, of all time."""
    return connection.fetch_frame(LIMIT_USES_SQL, LIMIT_USE_SCHEMA, {"customer": customer_number, "since": since})


NEWCOMERS_SQL = """
SELECT count(*) FROM accounts a JOIN runs r ON r.id = a.created_run
WHERE a.customer_id = :customer AND a.managed_by = 'roster' AND a.tombstoned_at IS NULL AND r.started_at >= :since
  AND a.created_run > (SELECT min(created_run) FROM accounts WHERE customer_id = :customer AND managed_by = 'roster')
"""


def count_newcomers(connection: Connection, customer_number: int, since: str) -> int:
    """Live people whom runs since a moment made, those of the customer's first roster left out."""
    return int(connection.fetch_scalar(NEWCOMERS_SQL, {"customer": customer_number, "since": since}))


def record_limit_uses(context: WriteContext, kind: Kind, rows: pl.DataFrame, *, approved: bool) -> None:
    """rows: a change frame that was carried out just now. approved: what was held in it was released by a person, and
    counts for nothing."""
    counted = rows.filter(pl.col("limits").is_not_null())
    if approved:
        counted = counted.filter(~pl.col("held"))
    if counted.is_empty():
        return
    uses = (
        _add_row_ids(context, kind, counted)
        .select(pl.col("limits").str.split(",").alias("name"), "row_id", _extract_orgs(kind).alias("schools"))
        .explode("name")
    )
    ids = context.connection.dialect.generate_ids(context.connection, "limit_uses", uses.height)
    context.connection.insert_frame(
        "limit_uses",
        uses.select(
            ids.alias("id"),
            pl.lit(context.run, dtype=pl.Int64).alias("run_id"),
            pl.lit(context.customer_number, dtype=pl.Int64).alias("customer_id"),
            "name",
            "row_id",
            "schools",
            pl.lit(context.now).alias("at"),
        ),
    )


def has_later_limit_use(connection: Connection, customer_number: int, run: int, names: pl.Series) -> bool:
    """Whether a later run than `run` used any of these limits."""
    with connection.stage_frame("wanted_limits", names.unique().sort().to_frame("name")) as wanted:
        return bool(
            connection.fetch_rows(
                f"SELECT 1 FROM limit_uses u JOIN {wanted} w ON w.name = u.name"
                " WHERE u.customer_id = :customer AND u.run_id > :run LIMIT 1",
                {"customer": customer_number, "run": run},
            )
        )


def _add_row_ids(context: WriteContext, kind: Kind, counted: pl.DataFrame) -> pl.DataFrame:
    """`row_id`; of people whom this run made, the account that their sourcedId is bound to now."""
    new = counted.filter(pl.col("live_id").is_null())
    if new.is_empty() or kind is not Kind.USER:
        return counted.with_columns(pl.col("live_id").alias("row_id")).drop_nulls("row_id")
    with context.connection.stage_frame("counted_people", new.select("key")) as names:
        made = context.connection.fetch_frame(
            f"SELECT s.key, i.account_id FROM {names} s JOIN identities i ON i.subject = s.key"
            " JOIN issuers x ON x.id = i.issuer_id AND x.kind = 'roster' AND x.customer_id = :customer",
            {"key": pl.String, "account_id": pl.Int64},
            context.facts,
        )
    return (
        counted.join(made, on="key", how="left", maintain_order="left")
        .with_columns(pl.coalesce("live_id", "account_id").alias("row_id"))
        .drop_nulls("row_id")
    )


def _extract_orgs(kind: Kind) -> pl.Expr:
    """Where a person was, one org a line."""
    if kind is not Kind.USER:
        return pl.lit(None, dtype=pl.String)
    entries = pl.coalesce("before_roles", "roles").str.split("\n")
    return (
        entries.list.eval(pl.element().str.extract(r"^(.*)="))
        .list.drop_nulls()
        .list.unique()
        .list.sort()
        .list.join("\n")
    )
