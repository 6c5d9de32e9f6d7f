"""What the volatile side knows of people who are removed for good: sessions, last sign-ins, and throttles."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from reconciler.model.diagnostic import Diagnostic, build_warning
from reconciler.store.database.address import SqliteAddress
from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store
from reconciler.store.removal.rows import RowCounts

# Freed pages of SQLite files hold what was in them until they are used again: after a removal they hold nothing.


def enable_secure_delete(connection: Connection) -> None:
    """From here on, what this connection deletes is overwritten. Outside a transaction."""
    if isinstance(connection.dialect.address, SqliteAddress):
        connection.fetch_rows("PRAGMA main.secure_delete = ON")


def wipe_freed_pages(store: Store) -> tuple[Diagnostic, ...]:
    """Makes both files anew without what earlier writes left in them, and empties their logs. A warning where another
    process is in the way."""
    if not isinstance(store.address, SqliteAddress):
        return ()
    left = []
    for volatile in (False, True):
        path = store.address.volatile if volatile else store.address.path
        with store.open_connection(volatile=volatile) as connection:
            try:
                wiped = _vacuum_file(connection, str(path.absolute().parent))
            except StoreProblem as problem:
                left.append(_build_freed_pages_warning(str(path), problem.diagnostic.message))
                continue
        if not wiped:
            left.append(_build_freed_pages_warning(str(path), "another process reads it"))
    return tuple(left)


def _vacuum_file(connection: Connection, folder: str) -> bool:
    # The copy that VACUUM makes is as large as the store: beside it is room for it, in memory perhaps not.
    quoted = folder.replace("'", "''")
    connection.fetch_rows("PRAGMA temp_store = FILE")
    connection.fetch_rows(f"PRAGMA temp_store_directory = '{quoted}'")
    connection.fetch_rows("VACUUM")
    busy, *_ = connection.fetch_row("PRAGMA wal_checkpoint(TRUNCATE)") or (1,)
    return not busy


def _build_freed_pages_warning(path: str, why: str) -> Diagnostic:
    return build_warning(
        "freed-pages-left",
        f"the rows are gone, but freed pages of {path} and its log may still hold what was in them: {why}",
        hint="when no other process uses the store, run the same command again",
    )


ACCOUNT_CONDITIONS = {
    "sessions": "account_id IN (SELECT id FROM {accounts})",
    "last_sign_ins": "account_id IN (SELECT id FROM {accounts})",
}
#: A throttle's key ends with what was typed in at a log-in.
THROTTLE_CONDITION = "lower(key) = :word OR lower(key) LIKE :ending ESCAPE '!'"


def count_volatile_rows(store: Store, accounts: pl.Series, words: Iterable[str] = ()) -> RowCounts:
    """words: usernames and e-mail addresses of those accounts."""
    with store.open_connection(volatile=True) as connection, connection.open_read_transaction():
        return _run_on_tables(connection, accounts, words, "SELECT count(*)")


def remove_volatile_rows(store: Store, accounts: pl.Series, words: Iterable[str] = ()) -> RowCounts:
    """In a transaction of its own: it goes first, since nothing is lost with it alone."""
    with store.open_connection(volatile=True) as connection:
        enable_secure_delete(connection)
        with connection.open_write_transaction():
            counts = _run_on_tables(connection, accounts, words, "SELECT count(*)")
            _run_on_tables(connection, accounts, words, "DELETE")
    return counts


def _run_on_tables(connection: Connection, accounts: pl.Series, words: Iterable[str], verb: str) -> RowCounts:
    counts = {}
    ids = accounts.cast(pl.Int64).unique().sort().to_frame("id")
    with connection.stage_frame("doomed_accounts", ids) as staged:
        for table, which in ACCOUNT_CONDITIONS.items():
            counts[table] = _run_statement(connection, f"{verb} FROM {table} WHERE {which.format(accounts=staged)}", {})
    counts["throttles"] = sum(
        _run_statement(
            connection,
            f"{verb} FROM throttles WHERE {THROTTLE_CONDITION}",
            {"word": word, "ending": f"%:{_escape_like(word)}"},
        )
        for word in sorted({word.lower() for word in words})
    )
    return {table: number for table, number in counts.items() if number}


def _run_statement(connection: Connection, statement: str, facts: dict[str, str]) -> int:
    if statement.startswith("SELECT"):
        return int(connection.fetch_scalar(statement, facts))
    return connection.execute(statement, facts)


def _escape_like(word: str) -> str:
    return "".join(f"!{each}" if each in "!%_" else each for each in word)
