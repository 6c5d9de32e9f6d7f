"""Move identities, assignments and ended enrollments from an account into the one it is merged into, and back.

Each row keeps its id, and its before-image names the former account: an undo moves a row back to that account if the
row is still where the run put it.
"""

from dataclasses import dataclass

import polars as pl

from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.errors import StalePlan
from reconciler.store.read.roster_frames import ROSTER_ISSUER
from reconciler.store.write.journal import MERGE_ACTION, record_moved_rows
from reconciler.store.write.rows import WriteContext

PAIR_SCHEMA = {"merge_id": pl.Int64, "keep_id": pl.Int64}
MOVED_SCHEMA = {"row_id": pl.Int64, "account_id": pl.Int64}

#: Rows that a run moved between two accounts of `staged` (merge_id to keep_id) and that are still there.
MOVED_ROWS_SQL = """
SELECT j.row_id, s.merge_id AS account_id FROM journal j JOIN {table} t ON t.id = j.row_id
JOIN {staged} s ON s.keep_id = t.account_id
WHERE j.run_id = :undoes AND j.customer_id = :customer AND j.kind = '{kind}' AND j.action = '{action}'
  AND {was} = s.merge_id
"""


@dataclass(frozen=True, slots=True)
class OwnedTable:
    """A table whose rows have an `account_id`."""

    name: str
    #: kind of its rows in the journal
    kind: str
    #: SQL of a further column to set, by which the triggers recognize reconciler's own writes
    extra_sql: str = ""


IDENTITIES = OwnedTable("identities", "identity", ", run = :run")
ASSIGNMENTS = OwnedTable("assignments", "assignment")
#: Active enrollments are moved by the plan itself.
ENDED_ENROLLMENTS = OwnedTable("enrollments", "enrollment", ", fingerprint = 0")


def match_account_pairs(context: WriteContext, upserts: pl.DataFrame, counterparts: pl.DataFrame) -> pl.DataFrame:
    """Return pairs (`PAIR_SCHEMA`) of accounts in `counterparts` that are merged into an account in `upserts`, or
    separated from it. Raises StalePlan if an account of a pair is missing.
    """
    halves = counterparts.filter(pl.col("into").is_not_null()).select(
        "key", pl.col("live_id").alias("merge_id"), "into"
    )
    kept = upserts.select(pl.col("key").alias("into"), pl.col("live_id").alias("keep_id"))
    pairs = halves.join(kept, on="into", how="left", maintain_order="left")
    incomplete = pairs.filter(pl.any_horizontal(pl.col("merge_id", "keep_id").is_null()))
    if not incomplete.is_empty():
        raise StalePlan.from_changes(context.slug, (("user", key) for key in incomplete["key"]))
    return pairs.select(list(PAIR_SCHEMA))


def move_identities(context: WriteContext, pairs: pl.DataFrame) -> None:
    """Move roster sourcedIds and LMS links of merged accounts. A person may then have two links of one LMS, and can
    sign in by both.
    """
    with context.connection.stage_frame("merged_accounts", pairs) as staged:
        moved = _select_owned_rows(context.connection, IDENTITIES, staged, "1 = 1")
        aliased = context.connection.fetch_frame(
            f"SELECT t.id AS row_id FROM identities t JOIN {staged} s ON s.merge_id = t.account_id"
            f" WHERE +t.issuer_id = {ROSTER_ISSUER}",
            {"row_id": pl.Int64},
            context.facts,
        )
    _move_rows(context, IDENTITIES, moved)
    if not aliased.is_empty():
        with context.connection.stage_frame("merged_aliases", aliased) as staged:
            context.connection.execute(
                f"UPDATE identities SET alias = 1 FROM {staged} s WHERE identities.id = s.row_id", context.facts
            )


def move_remaining_rows(context: WriteContext, pairs: pl.DataFrame) -> None:
    """Move assignments and ended enrollments of merged accounts, and set merged_into. Call after the plan's rows are
    written.
    """
    with context.connection.stage_frame("merged_accounts", pairs) as staged:
        assignments = _select_owned_rows(context.connection, ASSIGNMENTS, staged, "1 = 1")
        enrollments = _select_owned_rows(context.connection, ENDED_ENROLLMENTS, staged, "t.tombstoned_at IS NOT NULL")
        context.connection.execute(
            f"UPDATE accounts SET merged_into = s.keep_id FROM {staged} s WHERE accounts.id = s.merge_id"
        )
    _move_rows(context, ASSIGNMENTS, assignments)
    _move_rows(context, ENDED_ENROLLMENTS, enrollments)


def restore_identities(context: WriteContext, pairs: pl.DataFrame) -> None:
    """Move identities back to accounts that an undo separates from another one."""
    with context.connection.stage_frame("parted_accounts", pairs) as staged:
        moved = _select_moved_rows(context, IDENTITIES, staged)
    _move_rows(context, IDENTITIES, moved)
    with context.connection.stage_frame("parted_identities", moved) as staged:
        context.connection.execute(
            f"UPDATE identities SET alias = {_build_before_number(context.connection, 'alias')} FROM "
            f"{staged} s, journal j"
            " WHERE identities.id = s.row_id AND j.row_id = s.row_id AND j.run_id = :undoes"
            f" AND j.kind = 'identity' AND j.action = '{MERGE_ACTION}'",
            _build_parameters(context),
        )


def restore_remaining_rows(context: WriteContext, pairs: pl.DataFrame) -> None:
    """Reverse `move_remaining_rows` for accounts that an undo separates from another one."""
    with context.connection.stage_frame("parted_accounts", pairs) as staged:
        assignments = _select_moved_rows(context, ASSIGNMENTS, staged)
        enrollments = _select_moved_rows(context, ENDED_ENROLLMENTS, staged)
        context.connection.execute(
            f"UPDATE accounts SET merged_into = NULL FROM {staged} s WHERE accounts.id = s.merge_id"
        )
    _move_rows(context, ASSIGNMENTS, assignments)
    _move_rows(context, ENDED_ENROLLMENTS, enrollments)


def _select_owned_rows(connection: Connection, table: OwnedTable, staged: str, which: str) -> pl.DataFrame:
    return connection.fetch_frame(
        f"SELECT t.id AS row_id, s.keep_id AS account_id FROM {table.name} t"
        f" JOIN {staged} s ON s.merge_id = t.account_id WHERE {which} ORDER BY t.id",
        MOVED_SCHEMA,
    )


def _select_moved_rows(context: WriteContext, table: OwnedTable, staged: str) -> pl.DataFrame:
    statement = MOVED_ROWS_SQL.format(
        table=table.name,
        staged=staged,
        kind=table.kind,
        action=MERGE_ACTION,
        was=_build_before_number(context.connection, "account_id"),
    )
    return context.connection.fetch_frame(statement, MOVED_SCHEMA, _build_parameters(context))


def _build_before_number(connection: Connection, name: str) -> str:
    """Return SQL for a number in the before-image `j`."""
    return connection.dialect.build_json_number("j.before", name)


def _build_parameters(context: WriteContext) -> Parameters:
    return {**context.facts, "undoes": context.undoes}


def _move_rows(context: WriteContext, table: OwnedTable, rows: pl.DataFrame) -> None:
    """Set the account of each row. rows: `MOVED_SCHEMA`, with the new account."""
    if rows.is_empty():
        return
    connection = context.connection
    with connection.stage_frame(f"moved_{table.name}", rows) as staged:
        record_moved_rows(connection, table.name, table.kind, staged, context.facts)
        if table is ENDED_ENROLLMENTS:
            # The triggers would take an unchanged fingerprint (0 to 0) for a write outside reconciler.
            connection.execute(
                f"UPDATE enrollments SET fingerprint = NULL FROM {staged} s WHERE enrollments.id = s.row_id"
            )
        connection.execute(
            f"UPDATE {table.name} SET account_id = s.account_id{table.extra_sql} FROM {staged} s"
            f" WHERE {table.name}.id = s.row_id",
            context.facts,
        )
