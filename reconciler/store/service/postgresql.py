"""Serve requests from a store on PostgreSQL, with a pool of psycopg connections."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool

from reconciler.store.address import PostgresqlAddress
from reconciler.store.service.database import (
    MAX_WAIT,
    DatabaseGoneError,
    Parameters,
    Row,
    RowExistsError,
    RowsBusyError,
)
from reconciler.store.service.statement import Statement

#: Connections of one worker; a request holds one for less than a millisecond.
MAX_CONNECTIONS = 8
#: Connections that may write durable rows, and so may wait for an apply; the others are left for reading
MAX_WRITERS = 4
#: Seconds that a request waits for a connection
CONNECT_SECONDS = 10.0

PooledConnection = psycopg.Connection[Row]


class PostgresqlConnection:
    """A connection within a transaction."""

    def __init__(self, raw: PooledConnection) -> None:
        self._raw = raw

    def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        with _translate_errors():
            return self._raw.execute(statement.postgresql.encode(), parameters, prepare=True).fetchall()

    def execute(self, statement: Statement, parameters: Parameters) -> int:
        with _translate_errors():
            return self._raw.execute(statement.postgresql.encode(), parameters, prepare=True).rowcount


class PostgresqlRequestDatabase:
    """A store on PostgreSQL, opened for requests."""

    is_local = False

    def __init__(self, address: PostgresqlAddress) -> None:
        self._pool: ConnectionPool[PooledConnection] = ConnectionPool(
            address.uri,
            min_size=1,
            max_size=MAX_CONNECTIONS,
            timeout=CONNECT_SECONDS,
            kwargs={"autocommit": True, "application_name": "reconciler serve"},
            configure=_limit_waiting,
            check=ConnectionPool.check_connection,
            open=False,
            name="reconciler",
        )
        self._pool.open()
        self._writers = threading.BoundedSemaphore(MAX_WRITERS)

    def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        with _translate_errors(), self._pool.connection() as raw:
            return raw.execute(statement.postgresql.encode(), parameters, prepare=True).fetchall()

    @contextmanager
    def open_transaction(self, *, durable: bool = True) -> Iterator[PostgresqlConnection]:
        with ExitStack() as stack:
            if durable:
                if not self._writers.acquire(timeout=MAX_WAIT):
                    raise RowsBusyError
                stack.callback(self._writers.release)
            stack.enter_context(_translate_errors())
            raw = stack.enter_context(self._pool.connection())
            stack.enter_context(raw.transaction())
            yield PostgresqlConnection(raw)

    def close(self) -> None:
        self._pool.close()


def _limit_waiting(raw: PooledConnection) -> None:
    raw.execute(f"SET lock_timeout = {int(MAX_WAIT * 1000)}")


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except errors.UniqueViolation:
        raise RowExistsError from None
    except (errors.LockNotAvailable, errors.DeadlockDetected, errors.SerializationFailure):
        raise RowsBusyError from None
    except (psycopg.OperationalError, psycopg.InterfaceError, errors.ReadOnlySqlTransaction) as problem:
        # This includes a pool whose connections are all in use for too long.
        raise DatabaseGoneError(type(problem).__name__) from None
