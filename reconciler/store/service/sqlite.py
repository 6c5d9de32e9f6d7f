"""Serve requests from a store on SQLite, with Python's sqlite3 alone.

The durable and the volatile file have a pool of connections each, because threads come and go. A connection to
the volatile file sees the durable tables too, attached read-only, so that one statement finds a person and begins a
session without a lock on the durable file.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reconciler.store.address import SqliteAddress
from reconciler.store.service.database import (
    MAX_WAIT,
    DatabaseGoneError,
    Parameters,
    Row,
    RowExistsError,
    RowsBusyError,
)
from reconciler.store.service.statement import Statement

_PRAGMAS = ("PRAGMA temp_store = MEMORY", "PRAGMA cache_size = -65536", "PRAGMA foreign_keys = OFF")
#: As many statements as the service has; each is compiled once per connection.
_CACHED_STATEMENTS = 256
#: Connections to each file that stay open between requests
MAX_IDLE = 8

#: Names of the errors for a file that is missing, full, read-only or damaged
_GONE = tuple(f"SQLITE_{each}" for each in ("CANTOPEN", "IOERR", "FULL", "READONLY", "CORRUPT", "NOTADB", "PERM"))


class SqliteConnection:
    """A connection within a transaction."""

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        with _translate_errors():
            rows: list[Row] = self._raw.execute(statement.sqlite, parameters).fetchall()
        return rows

    def execute(self, statement: Statement, parameters: Parameters) -> int:
        with _translate_errors():
            return self._raw.execute(statement.sqlite, parameters).rowcount


class SqliteRequestDatabase:
    """A store on SQLite, opened for requests."""

    is_local = True

    def __init__(self, address: SqliteAddress) -> None:
        self._address = address
        self._idle: dict[bool, list[sqlite3.Connection]] = {True: [], False: []}
        self._is_closed = False
        self._lock = threading.Lock()

    def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        with self._lend(durable=False) as raw, _translate_errors():
            rows: list[Row] = raw.execute(statement.sqlite, parameters).fetchall()
        return rows

    @contextmanager
    def open_transaction(self, *, durable: bool = True) -> Iterator[SqliteConnection]:
        with self._lend(durable=durable) as raw:
            with _translate_errors():
                raw.execute("BEGIN IMMEDIATE")
            try:
                yield SqliteConnection(raw)
                with _translate_errors():
                    raw.execute("COMMIT")
            except BaseException:
                if raw.in_transaction:
                    raw.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            idle = [each for pool in self._idle.values() for each in pool]
            self._idle = {True: [], False: []}
        for each in idle:
            each.close()

    @contextmanager
    def _lend(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        with self._lock:
            raw = self._idle[durable].pop() if self._idle[durable] else None
        if raw is None:
            with _translate_errors():
                raw = self._connect(durable=durable)
        is_sound = True
        try:
            yield raw
        except DatabaseGoneError:
            is_sound = False
            raise
        finally:
            with self._lock:
                pool = self._idle[durable]
                is_kept = is_sound and not raw.in_transaction and not self._is_closed and len(pool) < MAX_IDLE
                if is_kept:
                    pool.append(raw)
            if not is_kept:
                raw.close()

    def _connect(self, *, durable: bool) -> sqlite3.Connection:
        path = self._address.path if durable else self._address.volatile
        raw = sqlite3.connect(
            _build_uri(path, "rw"),
            uri=True,
            timeout=MAX_WAIT,
            isolation_level=None,
            cached_statements=_CACHED_STATEMENTS,
            # One thread at a time uses a connection, and not always the same.
            check_same_thread=False,
        )
        try:
            for pragma in (*_PRAGMAS, f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}"):
                raw.execute(pragma)
            if not durable:
                raw.execute("ATTACH DATABASE ? AS durable", (_build_uri(self._address.path, "ro"),))
        except BaseException:
            raw.close()
            raise
        return raw


def _build_uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as problem:
        name = getattr(problem, "sqlite_errorname", "")
        if name in ("SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"):
            raise RowExistsError from None
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise RowsBusyError from None
        if name.startswith(_GONE):
            raise DatabaseGoneError(name) from None
        raise
