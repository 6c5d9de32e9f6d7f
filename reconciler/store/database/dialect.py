"""Describe one database: how to connect to it, and the SQL in which SQLite and PostgreSQL differ."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from adbc_driver_manager import dbapi
from sqlalchemy.engine.interfaces import Dialect as Compiler


class Dialect(Protocol):
    """One database, as everything above it needs to know it. Holds no connection: it returns SQL, and
    `Connection` runs it."""

    name: str
    address: Any
    #: SQLAlchemy's dialect in the parameter style that ADBC takes.
    compiler: Compiler
    #: Statements that open a reading transaction.
    begin_reading: Sequence[str]
    #: Statements that open a writing transaction.
    begin_writing: Sequence[str]
    #: The SQL function that makes an object of names and values.
    json_object: str
    #: The end of a SELECT that locks its rows.
    for_update: str
    #: Counts the tables that are named `:table`.
    count_tables_sql: str
    #: Counts everything that anybody made in the database.
    count_objects_sql: str
    #: True if rows are inserted quickest from a temporary table by one statement, False if by the driver.
    stages_inserts: bool

    def connect(self, *, volatile: bool = False) -> dbapi.Connection: ...

    def prepare_cursor(self, cursor: dbapi.Cursor) -> None:
        """Set the options that every statement needs."""

    def format_temporary_name(self, table: str) -> str:
        """Return a temporary table's name where a name alone would not do."""
        ...

    def build_analyze_sql(self, table: str) -> str | None:
        """Return the statement that tells the query planner what a table holds, or None if it needs none."""
        ...

    def build_ids_sql(self, table: str, count: int) -> str:
        """Return a query for ranges (first, last) of `count` ids of a table, never given out before or after."""
        ...

    def build_lines_aggregate(self, expression: str) -> str:
        """Return SQL of one text of all values of an expression in their order, joined by line ends."""
        ...

    def build_json_number(self, expression: str, name: str) -> str:
        """Return SQL of a whole number in a text of JSON, null where it is null."""
        ...

    def translate_errors(self) -> AbstractContextManager[None]:
        """Turn the driver's errors into StoreProblem."""
        ...
