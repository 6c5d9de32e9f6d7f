"""Delete sessions, last sign-ins and throttles of removed people, and wipe freed pages of SQLite files.

SQLite keeps deleted content in freed pages until they are used again.
"""

from collections.abc import Iterable

import polars as pl

from reconciler.model.diagnostic import Diagnostic, build_warning
from reconciler.store.address import SqliteAddress
from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store
from reconciler.store.removal.rows import RowCounts


def enable_secure_delete(connection: Connection) -> None:
    """Make SQLite overwrite what this connection deletes from now on. Call outside a transaction."""
    if isinstance(connection.dialect.address, SqliteAddress):
        connection.fetch_rows("PRAGMA main.secure_delete = ON")


def wipe_freed_pages(store: Store) -> tuple[Diagnostic, ...]:
    """Rewrite both SQLite files without freed pages and empty their logs; return a warning for each file that another
    process prevents.
    """
    if not isinstance(store.address, SqliteAddress):
        return ()
    warnings = []
    for volatile in (False, True):
        path = store.address.volatile if volatile else store.address.path
        with store.open_connection(volatile=volatile) as connection:
            try:
                wiped = _vacuum_file(connection, str(path.absolute().parent))
            except StoreProblem as problem:
                warnings.append(_build_freed_pages_warning(str(path), problem.diagnostic.message))
                continue
        if not wiped:
            warnings.append(_build_freed_pages_warning(str(path), "another process is reading it"))
    return tuple(warnings)


def _vacuum_file(connection: Connection, folder: str) -> bool:
    # VACUUM makes a copy as large as the store, which may not fit into memory.
    quoted = folder.replace("'", "''")
    connection.fetch_rows("PRAGMA temp_store = FILE")
    connection.fetch_rows(f"PRAGMA temp_store_directory = '{quoted}'")
    connection.fetch_rows("VACUUM")
    busy, *_ = connection.fetch_row("PRAGMA wal_checkpoint(TRUNCATE)") or (1,)
    return not busy


def _build_freed_pages_warning(path: str, why: str) -> Diagnostic:
    return build_warning(
        "freed-pages-left",
        f"the rows are deleted, but {path} and its log may still contain their data: {why}",
        hint="Run the same command again when no other process uses the store.",
    )


ACCOUNT_CONDITIONS = {
    "sessions": "account_id IN (SELECT id FROM {accounts})",
    "last_sign_ins": "account_id IN (SELECT id FROM {accounts})",
}
#: A throttle's key ends with the text that was typed at sign-in.
THROTTLE_CONDITION = "lower(key) = :word OR lower(key) LIKE :ending ESCAPE '!'"


def count_volatile_rows(store: Store, accounts: pl.Series, words: Iterable[str] = ()) -> RowCounts:
    """Return the numbers of volatile rows of accounts. words: their usernames and email addresses."""
    with store.open_connection(volatile=True) as connection, connection.open_read_transaction():
        return _run_on_tables(connection, accounts, words, "SELECT count(*)")


def remove_volatile_rows(store: Store, accounts: pl.Series, words: Iterable[str] = ()) -> RowCounts:
    """Delete the volatile rows of accounts and return their numbers. words: as in `count_volatile_rows`.

    Uses a transaction of its own, which commits before the durable one: losing volatile rows alone does no harm.
    """
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
