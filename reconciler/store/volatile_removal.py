"""What the volatile side knows of people who are removed for good: sessions, last sign-ins, and throttles."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from reconciler.store.connection import Connection
from reconciler.store.live import Store
from reconciler.store.removal import Counts
from reconciler.store.wiping import overwrite_freed

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
