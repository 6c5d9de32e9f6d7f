"""Serve requests from a store on SQLite, by Python's sqlite3 alone.

The durable and the volatile file have one connection each per thread. The volatile one sees the durable tables too,
attached read-only, so that one statement finds a person and begins a session: it takes no lock on the durable file.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reconciler.store.address import SqliteAddress
from reconciler.store.service.database import MAX_WAIT, Parameters, Row, RowExistsError, RowsBusyError
from reconciler.store.service.statement import Statement

_PRAGMAS = ("PRAGMA temp_store = MEMORY", "PRAGMA cache_size = -65536", "PRAGMA foreign_keys = OFF")
#: As many statements as the service has; each is compiled once per connection.
_CACHED_STATEMENTS = 256


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
        self._local = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._lock = threading.Lock()

    def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        with _translate_errors():
            rows: list[Row] = self._get_connection(durable=False).execute(statement.sqlite, parameters).fetchall()
        return rows

    @contextmanager
    def open_transaction(self, *, durable: bool = True) -> Iterator[SqliteConnection]:
        raw = self._get_connection(durable=durable)
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
            opened, self._opened = self._opened, []
        for each in opened:
            each.close()

    def _get_connection(self, *, durable: bool) -> sqlite3.Connection:
        name = "durable" if durable else "volatile"
        raw: sqlite3.Connection | None = getattr(self._local, name, None)
        if raw is None:
            raw = self._connect(durable=durable)
            setattr(self._local, name, raw)
        return raw

    def _connect(self, *, durable: bool) -> sqlite3.Connection:
        path = self._address.path if durable else self._address.volatile
        raw = sqlite3.connect(
            _build_uri(path, "rw"),
            uri=True,
            timeout=MAX_WAIT,
            isolation_level=None,
            cached_statements=_CACHED_STATEMENTS,
            # Closed by close(), from another thread than the one that uses it
            check_same_thread=False,
        )
        for pragma in (*_PRAGMAS, f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}"):
            raw.execute(pragma)
        if not durable:
            raw.execute("ATTACH DATABASE ? AS durable", (_build_uri(self._address.path, "ro"),))
        with self._lock:
            self._opened.append(raw)
        return raw


def _build_uri(path: Path, mode: str) -> str:
    return f"{path.absolute().as_uri()}?mode={mode}"


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError:
        raise RowExistsError from None
    except sqlite3.OperationalError as problem:
        if problem.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise RowsBusyError from None
        raise
