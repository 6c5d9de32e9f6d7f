"""Describe a store as requests use it, on either database."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from reconciler.store.service.statement import Statement

Row = tuple[Any, ...]
Parameters = Mapping[str, object]

#: Seconds that a request waits for rows that somebody else is writing, before it tells people to try again
MAX_WAIT = 2.0


class RowsBusyError(Exception):
    """Raised if rows that a request has to write were locked for longer than `MAX_WAIT`. Nothing was written."""


class DatabaseGoneError(Exception):
    """Raised if the database cannot be reached, read or written at all. Its text names no row."""


class RowExistsError(Exception):
    """Raised if a row that a request writes would break a unique index: another request was first."""


class RequestConnection(Protocol):
    """A connection within a transaction."""

    def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        """Return all rows of a statement, which may write."""

    def execute(self, statement: Statement, parameters: Parameters) -> int:
        """Carry out a statement; return the number of rows it wrote. Raises RowExistsError."""


class RequestDatabase(Protocol):
    """A store opened for requests. Safe to use from several threads."""

    #: Whether statements outside durable transactions return without waiting for a network: an event loop may run them.
    is_local: bool

    def fetch(self, statement: Statement, parameters: Parameters) -> Sequence[Row]:
        """Return all rows of a statement, in a transaction of its own. Never waits for an apply.

        The statement reads, or writes to volatile tables alone.
        """

    def open_transaction(self, *, durable: bool = True) -> AbstractContextManager[RequestConnection]:
        """Open a transaction that is committed at the end of the block, or rolled back on an exception.

        durable: whether it writes to tables that must not be lost; on SQLite it then waits for a running apply. Raises
        RowsBusyError.
        """

    def close(self) -> None:
        """Close all connections."""
