"""What the volatile side knows of people who are removed for good: sessions, last sign-ins, and throttles."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from reconciler.model.diagnostic import Diagnostic, warning
from reconciler.store.database.address import SqliteAddress
from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store
from reconciler.store.removal.rows import Counts

# Freed pages of SQLite files hold what was in them until they are used again: after a removal they hold nothing.


def overwrite_freed(connection: Connection) -> None:
    """From here on, what this connection deletes is overwritten. Outside a transaction."""
    if isinstance(connection.dialect.address, SqliteAddress):
        connection.rows("PRAGMA main.secure_delete = ON")


def wipe(store: Store) -> tuple[Diagnostic, ...]:
    """Makes both files anew without what earlier writes left in them, and empties their logs. A warning where another
    process is in the way."""
    if not isinstance(store.address, SqliteAddress):
        return ()
    left = []
    for volatile in (False, True):
        path = store.address.volatile if volatile else store.address.path
        with store.connected(volatile=volatile) as connection:
            try:
                wiped = _wiped(connection, str(path.absolute().parent))
            except StoreProblem as problem:
                left.append(_left(str(path), problem.diagnostic.message))
                continue
        if not wiped:
            left.append(_left(str(path), "another process reads it"))
    return tuple(left)


def _wiped(connection: Connection, folder: str) -> bool:
    # The copy that VACUUM makes is as large as the store: beside it is room for it, in memory perhaps not.
    quoted = folder.replace("'", "''")
    connection.rows("PRAGMA temp_store = FILE")
    connection.rows(f"PRAGMA temp_store_directory = '{quoted}'")
    connection.rows("VACUUM")
    busy, *_ = connection.row("PRAGMA wal_checkpoint(TRUNCATE)") or (1,)
    return not busy


def _left(path: str, why: str) -> Diagnostic:
    return warning(
        "freed-pages-left",
        f"the rows are gone, but freed pages of {path} and its log may still hold what was in them: {why}",
        hint="when no other process uses the store, run the same command again",
    )


OF_ACCOUNTS = {
    "sessions": "account_id IN (SELECT id FROM {accounts})",
    "last_sign_ins": "account_id IN (SELECT id FROM {accounts})",
}
#: A throttle's key ends with what was typed in at a log-in.
THROTTLED = "lower(key) = :word OR lower(key) LIKE :ending ESCAPE '!'"


def count_volatile(store: Store, accounts: pl.Series, words: Iterable[str] = ()) -> Counts:
    """words: usernames and e-mail addresses of those accounts."""
    with store.connected(volatile=True) as connection, connection.reading():
        return _each(connection, accounts, words, "SELECT count(*)")


def remove_volatile(store: Store, accounts: pl.Series, words: Iterable[str] = ()) -> Counts:
    """In a transaction of its own: it goes first, since nothing is lost with it alone."""
    with store.connected(volatile=True) as connection:
        overwrite_freed(connection)
        with connection.writing():
            counts = _each(connection, accounts, words, "SELECT count(*)")
            _each(connection, accounts, words, "DELETE")
    return counts


def _each(connection: Connection, accounts: pl.Series, words: Iterable[str], verb: str) -> Counts:
    counts = {}
    ids = accounts.cast(pl.Int64).unique().sort().to_frame("id")
    with connection.staged("doomed_accounts", ids) as staged:
        for table, which in OF_ACCOUNTS.items():
            counts[table] = _asked(connection, f"{verb} FROM {table} WHERE {which.format(accounts=staged)}", {})
    counts["throttles"] = sum(
        _asked(connection, f"{verb} FROM throttles WHERE {THROTTLED}", {"word": word, "ending": f"%:{_literal(word)}"})
        for word in sorted({word.lower() for word in words})
    )
    return {table: number for table, number in counts.items() if number}


def _asked(connection: Connection, statement: str, facts: dict[str, str]) -> int:
    if statement.startswith("SELECT"):
        return int(connection.scalar(statement, facts))
    return connection.execute(statement, facts)


def _literal(word: str) -> str:
    return "".join(f"!{each}" if each in "!%_" else each for each in word)
