"""What an account has beside its row, on its way into another account and back: identities, assignments, and the
enrollments that are over.

Each row keeps its id, and its before-image says whose it was: an undo gives back to an account what went from it in
the run that is taken back, as long as it is still where that run put it.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.store.database.connection import Connection, Parameters
from reconciler.store.errors import StalePlan
from reconciler.store.read.roster_frames import ROSTER_ISSUER
from reconciler.store.write.journal import MERGED, record_moved
from reconciler.store.write.rows import Writing

PAIRS = {"merge_id": pl.Int64, "keep_id": pl.Int64}
MOVED = {"row_id": pl.Int64, "account_id": pl.Int64}

#: Rows that went from an account of `staged` (merge_id, keep_id) to the other in a run, and are there still.
WENT_SQL = """
SELECT j.row_id, s.merge_id AS account_id FROM journal j JOIN {table} t ON t.id = j.row_id
JOIN {staged} s ON s.keep_id = t.account_id
WHERE j.run_id = :undoes AND j.customer_id = :customer AND j.kind = '{kind}' AND j.action = '{action}'
  AND {was} = s.merge_id
"""


@dataclass(frozen=True, slots=True)
class Owned:
    """A table whose rows have an `account_id`. kind: what the journal calls them. written: what is written beside, so
    that the triggers take it for our own doing."""

    table: str
    kind: str
    written: str = ""


IDENTITIES = Owned("identities", "identity", ", run = :run")
ASSIGNMENTS = Owned("assignments", "assignment")
#: Those that live are rows of the plan.
OVER = Owned("enrollments", "enrollment", ", fingerprint = 0")


def pairs_of(writing: Writing, stays: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """PAIRS of accounts in `others` that go into one in `stays`, or come back out of it. Raises StalePlan where the
    other half is not there."""
    halves = others.filter(pl.col("into").is_not_null()).select("key", pl.col("live_id").alias("merge_id"), "into")
    kept = stays.select(pl.col("key").alias("into"), pl.col("live_id").alias("keep_id"))
    pairs = halves.join(kept, on="into", how="left", maintain_order="left")
    alone = pairs.filter(pl.any_horizontal(pl.col("merge_id", "keep_id").is_null()))
    if not alone.is_empty():
        raise StalePlan.of(writing.slug, (("user", key) for key in alone["key"]))
    return pairs.select(list(PAIRS))


def take_identities(writing: Writing, pairs: pl.DataFrame) -> None:
    """Roster sourcedIds and LMS links. A person may have two links of one LMS then: that is what they sign in by."""
    with writing.connection.staged("merged_accounts", pairs) as staged:
        moved = _owned(writing.connection, IDENTITIES, staged, "1 = 1")
        aliased = writing.connection.frame(
            f"SELECT t.id AS row_id FROM identities t JOIN {staged} s ON s.merge_id = t.account_id"
            f" WHERE +t.issuer_id = {ROSTER_ISSUER}",
            {"row_id": pl.Int64},
            writing.facts,
        )
    _move(writing, IDENTITIES, moved)
    if not aliased.is_empty():
        with writing.connection.staged("merged_aliases", aliased) as staged:
            writing.connection.execute(
                f"UPDATE identities SET alias = 1 FROM {staged} s WHERE identities.id = s.row_id", writing.facts
            )


def take_the_rest(writing: Writing, pairs: pl.DataFrame) -> None:
    """Assignments, enrollments that are over, and where the account went. After the rows of the plan are written."""
    with writing.connection.staged("merged_accounts", pairs) as staged:
        assignments = _owned(writing.connection, ASSIGNMENTS, staged, "1 = 1")
        over = _owned(writing.connection, OVER, staged, "t.tombstoned_at IS NOT NULL")
        writing.connection.execute(
            f"UPDATE accounts SET merged_into = s.keep_id FROM {staged} s WHERE accounts.id = s.merge_id"
        )
    _move(writing, ASSIGNMENTS, assignments)
    _move(writing, OVER, over)


def give_back_identities(writing: Writing, pairs: pl.DataFrame) -> None:
    """pairs: accounts that come back out of another by an undo."""
    with writing.connection.staged("parted_accounts", pairs) as staged:
        moved = _went(writing, IDENTITIES, staged)
    _move(writing, IDENTITIES, moved)
    with writing.connection.staged("parted_identities", moved) as staged:
        writing.connection.execute(
            f"UPDATE identities SET alias = {_was(writing.connection, 'alias')} FROM {staged} s, journal j"
            " WHERE identities.id = s.row_id AND j.row_id = s.row_id AND j.run_id = :undoes"
            f" AND j.kind = 'identity' AND j.action = '{MERGED}'",
            _facts(writing),
        )


def give_back_the_rest(writing: Writing, pairs: pl.DataFrame) -> None:
    """As `take_the_rest`, the other way."""
    with writing.connection.staged("parted_accounts", pairs) as staged:
        assignments = _went(writing, ASSIGNMENTS, staged)
        over = _went(writing, OVER, staged)
        writing.connection.execute(
            f"UPDATE accounts SET merged_into = NULL FROM {staged} s WHERE accounts.id = s.merge_id"
        )
    _move(writing, ASSIGNMENTS, assignments)
    _move(writing, OVER, over)


def _owned(connection: Connection, owned: Owned, staged: str, which: str) -> pl.DataFrame:
    return connection.frame(
        f"SELECT t.id AS row_id, s.keep_id AS account_id FROM {owned.table} t"
        f" JOIN {staged} s ON s.merge_id = t.account_id WHERE {which} ORDER BY t.id",
        MOVED,
    )


def _went(writing: Writing, owned: Owned, staged: str) -> pl.DataFrame:
    statement = WENT_SQL.format(
        table=owned.table,
        staged=staged,
        kind=owned.kind,
        action=MERGED,
        was=_was(writing.connection, "account_id"),
    )
    return writing.connection.frame(statement, MOVED, _facts(writing))


def _was(connection: Connection, name: str) -> str:
    """SQL of a number in the before-image `j`."""
    return connection.dialect.json_number("j.before", name)


def _facts(writing: Writing) -> Parameters:
    return {**writing.facts, "undoes": writing.undoes}


def _move(writing: Writing, owned: Owned, rows: pl.DataFrame) -> None:
    """rows: MOVED: whose each is from now on."""
    if rows.is_empty():
        return
    connection = writing.connection
    with connection.staged(f"moved_{owned.table}", rows) as staged:
        record_moved(connection, owned.table, owned.kind, staged, writing.facts)
        if owned is OVER:
            # 0 to 0 would be another hand's.
            connection.execute(
                f"UPDATE enrollments SET fingerprint = NULL FROM {staged} s WHERE enrollments.id = s.row_id"
            )
        connection.execute(
            f"UPDATE {owned.table} SET account_id = s.account_id{owned.written} FROM {staged} s"
            f" WHERE {owned.table}.id = s.row_id",
            writing.facts,
        )
