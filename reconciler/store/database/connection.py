"""One ADBC connection: statements in, values or frames out, one transaction at a time.

Statements are SQLAlchemy Core or `text()`; they are only compiled here. SQLite types a result by what it
holds, so that `frame` takes the schema its caller promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any, Protocol

import polars as pl
import pyarrow as pa
from adbc_driver_manager import dbapi
from sqlalchemy import text
from sqlalchemy.engine.interfaces import Dialect as Compiler
from sqlalchemy.sql.expression import Executable

from reconciler.store.errors import CONNECTION_LOST_CODES, StoreProblem, UnconfirmedCommit

# Where SQLite and PostgreSQL differ: everything the rest of the room needs to know about it.


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

    def prepare_cursor(self, cursor: dbapi.Cursor) -> None:
        """Options that every statement needs."""

    def insert_frame(self, connection: Connection, table: str, frame: pl.DataFrame) -> None:
        """Appends the frame's columns to a table, the fastest way there is."""

    def format_temporary_name(self, table: str) -> str:
        """A temporary table's name where a name alone would not do."""
        ...

    def analyze_staged_table(self, connection: Connection, table: str) -> None:
        """What the query planner wants to be told of a temporary table."""

    def generate_ids(self, connection: Connection, table: str, count: int) -> pl.Series:
        """That many ids of a table, rising, never given out before or after. Inside a writing transaction."""
        ...

    def has_table(self, connection: Connection, table: str) -> bool: ...

    def is_empty(self, connection: Connection) -> bool:
        """True where nobody made anything yet."""
        ...

    def build_lines_aggregate(self, expression: str) -> str: ...

    def build_json_number(self, expression: str, name: str) -> str:
        """SQL of a whole number in a text of JSON, null where it is null."""
        ...

    def translate_errors(self) -> AbstractContextManager[None]:
        """Turns the driver's errors into StoreProblem."""
        ...


Statement = str | Executable
Parameters = Mapping[str, Any]
NO_PARAMETERS: Parameters = {}

#: Without a type pyarrow looks for packages that it knows dates from, for every value: 20 times as long.
ARROW_TYPES: Mapping[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bytes: pa.binary(),
}


class Connection:
    """Made by `Store.connect`. Errors of the database leave as StoreProblem, never with a row's text."""

    def __init__(self, dialect: Dialect, raw: dbapi.Connection) -> None:
        self.dialect = dialect
        self._raw = raw
        self.closed = False

    def close(self) -> None:
        self.closed = True
        self._raw.close()

    def execute(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> int:
        """Returns how many rows it touched, -1 where the driver does not say."""
        with self._run_statement(statement, parameters) as cursor:
            return int(cursor.rowcount)

    def fetch_rows(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> list[tuple[Any, ...]]:
        with self._run_statement(statement, parameters) as cursor, self.dialect.translate_errors():
            # Column by column: the driver's own rows cost a call for every value.
            columns = [column.to_pylist() for column in cursor.fetch_arrow_table().columns]
        return list(zip(*columns, strict=True))

    def fetch_row(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> tuple[Any, ...] | None:
        found = self.fetch_rows(statement, parameters)
        return found[0] if found else None

    def fetch_scalar(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> Any:
        found = self.fetch_row(statement, parameters)
        return found[0] if found else None

    def fetch_frame(
        self,
        statement: Statement,
        schema: Mapping[str, pl.DataType | type[pl.DataType]],
        parameters: Parameters = NO_PARAMETERS,
    ) -> pl.DataFrame:
        """The result with exactly these columns and types, also when it is empty."""
        with self._run_statement(statement, parameters) as cursor, self.dialect.translate_errors():
            found = cursor.fetch_arrow_table()
        frame = pl.DataFrame(pl.from_arrow(found)) if found.num_rows else pl.DataFrame(schema=schema)
        return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())

    def insert_frame(self, table: str, frame: pl.DataFrame) -> None:
        """Appends the frame's columns to a table of the store. Inside a writing transaction."""
        self.dialect.insert_frame(self, table, frame)

    def write_table(self, table: str, frame: pl.DataFrame, *, temporary: bool = False) -> None:
        """The driver's own bulk write: appends to a table, or makes a temporary one."""
        with self._open_cursor() as cursor, self.dialect.translate_errors():
            cursor.adbc_ingest(table, frame.to_arrow(), mode="create" if temporary else "append", temporary=temporary)

    @contextmanager
    def stage_frame(self, table: str, frame: pl.DataFrame) -> Iterator[str]:
        """A temporary table of the frame for set statements, gone at the end. Works inside a transaction."""
        self.write_table(table, frame, temporary=True)
        self.dialect.analyze_staged_table(self, table)
        yield table
        self.execute(f"DROP TABLE {self.dialect.format_temporary_name(table)}")

    @contextmanager
    def open_read_transaction(self) -> Iterator[None]:
        """One consistent view; nothing of it stays."""
        with self._run_transaction(self.dialect.begin_reading):
            yield

    @contextmanager
    def open_write_transaction(self) -> Iterator[None]:
        """All or nothing."""
        with self._run_transaction(self.dialect.begin_writing):
            yield

    @contextmanager
    def _run_transaction(self, begin: Sequence[str]) -> Iterator[None]:
        for statement in begin:
            self.execute(statement)
        done = False
        try:
            yield
            self._commit()
            done = True
        finally:
            if not done:
                self._roll_back()

    def _commit(self) -> None:
        try:
            self.execute("COMMIT")
        except StoreProblem as problem:
            if problem.diagnostic.code in CONNECTION_LOST_CODES:
                raise UnconfirmedCommit(self.dialect.address) from None
            raise

    def _roll_back(self) -> None:
        # What is under way is the reason that matters; a connection that is gone has rolled back by itself.
        try:
            with self._raw.cursor() as cursor:
                cursor.execute("ROLLBACK")
        except dbapi.Error:
            self.close()

    @contextmanager
    def _open_cursor(self) -> Iterator[dbapi.Cursor]:
        with self._raw.cursor() as cursor:
            self.dialect.prepare_cursor(cursor)
            yield cursor

    @contextmanager
    def _run_statement(self, statement: Statement, parameters: Parameters) -> Iterator[dbapi.Cursor]:
        sql, values = self._compile_statement(statement, parameters)
        with self._open_cursor() as cursor:
            with self.dialect.translate_errors():
                cursor.execute(sql, bind_values(values) if values else None)
            yield cursor

    def _compile_statement(self, statement: Statement, parameters: Parameters) -> tuple[str, list[Any]]:
        if isinstance(statement, str):
            if not parameters:
                return statement, []
            sql, names = _compile_text(statement, self.dialect.compiler)
            return sql, [parameters[name] for name in names]
        compiled = statement.compile(dialect=self.dialect.compiler)  # type: ignore[attr-defined]
        values = compiled.construct_params(dict(parameters))
        return str(compiled), [values[name] for name in compiled.positiontup or ()]


@lru_cache(maxsize=512)
def _compile_text(statement: str, compiler: Compiler) -> tuple[str, tuple[str, ...]]:
    """The statement as the driver takes it, and the names of its parameters in their order."""
    compiled = text(statement).compile(dialect=compiler)
    return str(compiled), tuple(compiled.positiontup or ())


def bind_values(values: Sequence[Any]) -> pa.RecordBatch:
    """One row of parameters."""
    arrays = [pa.nulls(1) if value is None else pa.array([value], ARROW_TYPES.get(type(value))) for value in values]
    return pa.record_batch(arrays, names=[str(place) for place in range(len(arrays))])
