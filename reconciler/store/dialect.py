"""Where SQLite and PostgreSQL differ: everything the rest of the room needs to know about it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
from adbc_driver_manager import dbapi
from sqlalchemy.engine.interfaces import Dialect as Compiler

if TYPE_CHECKING:
    from reconciler.store.connection import Connection


class Dialect(Protocol):
    """One database.

    compiler: SQLAlchemy's dialect in the parameter style that ADBC takes. begin_*: the statements that open
    a transaction. json_object: the SQL function that makes an object of names and values. aggregate_lines:
    SQL of one text of all values of an expression in their order, joined by line ends.
    """

    name: str
    address: Any
    compiler: Compiler
    begin_reading: Sequence[str]
    begin_writing: Sequence[str]
    json_object: str
    for_update: str

    def connect(self, *, volatile: bool = False) -> dbapi.Connection: ...

    def prepare(self, cursor: dbapi.Cursor) -> None:
        """Options that every statement needs."""

    def insert(self, connection: Connection, table: str, frame: pl.DataFrame) -> None:
        """Appends the frame's columns to a table, the fastest way there is."""

    def temporary(self, table: str) -> str:
        """A temporary table's name where a name alone would not do."""
        ...

    def after_staging(self, connection: Connection, table: str) -> None:
        """What the query planner wants to be told of a temporary table."""

    def allocate(self, connection: Connection, table: str, count: int) -> pl.Series:
        """That many ids of a table, rising, never given out before or after. Inside a writing transaction."""
        ...

    def has_table(self, connection: Connection, table: str) -> bool: ...

    def is_empty(self, connection: Connection) -> bool:
        """True where nobody made anything yet."""
        ...

    def aggregate_lines(self, expression: str) -> str: ...

    def json_number(self, expression: str, name: str) -> str:
        """SQL of a whole number in a text of JSON, null where it is null."""
        ...

    def explained(self) -> AbstractContextManager[None]:
        """Turns the driver's errors into StoreProblem."""
        ...
