"""Define the interface of a database: connecting to it, and the SQL in which SQLite and PostgreSQL differ."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from adbc_driver_manager import dbapi
from sqlalchemy.engine.interfaces import Dialect as Compiler

#: Seconds to wait at least for a lock of another connection: another customer's write may take as long.
MIN_WAITING_SECONDS = 30


class Dialect(Protocol):
    """A database product at one address. Holds no connection: it returns SQL, and `Connection` runs it."""

    name: str
    address: Any
    #: SQLAlchemy's dialect with ADBC's parameter style.
    compiler: Compiler
    #: Statements that begin a read transaction.
    begin_reading: Sequence[str]
    #: Statements that begin a write transaction.
    begin_writing: Sequence[str]
    #: The SQL function that builds a JSON object from names and values.
    json_object: str
    #: The end of a SELECT that locks its rows; empty if the database locks as a whole.
    for_update: str
    #: Counts the tables named `:table`.
    count_tables_sql: str
    #: Counts all tables and other objects of the database.
    count_objects_sql: str
    #: True if the fastest insert is one statement from a temporary table, False if it is the driver's.
    stages_inserts: bool

    def connect(self, *, volatile: bool = False) -> dbapi.Connection: ...

    def prepare_cursor(self, cursor: dbapi.Cursor) -> None:
        """Set the driver options that every statement needs."""

    def format_temporary_name(self, table: str) -> str:
        """Return a temporary table's name with its schema."""
        ...

    def build_analyze_sql(self, table: str) -> str | None:
        """Return the statement that analyzes a table for the query planner, or None if none is needed."""
        ...

    def build_ids_sql(self, table: str, count: int) -> str:
        """Return a query for ranges (first, last) of `count` new ids of a table; none is ever used twice."""
        ...

    def build_lines_aggregate(self, expression: str) -> str:
        """Return SQL that joins the sorted values of an expression with line feeds."""
        ...

    def build_json_number(self, expression: str, name: str) -> str:
        """Return SQL for an integer in a JSON text, NULL if it is null there."""
        ...

    def build_waiting_sql(self, seconds: float) -> str:
        """Return the statement that bounds the wait for locks of other connections."""
        ...

    def translate_errors(self) -> AbstractContextManager[None]:
        """Raise the driver's errors as StoreProblem."""
        ...
