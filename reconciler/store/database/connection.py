"""One ADBC connection: statements in, values or frames out, one transaction at a time.

Statements are SQLAlchemy Core or `text()`; they are only compiled here. SQLite types a result by what it
holds, so that `frame` takes the schema its caller promises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import polars as pl
import pyarrow as pa
from adbc_driver_manager import dbapi
from sqlalchemy import text
from sqlalchemy.engine.interfaces import Dialect as Compiler
from sqlalchemy.sql.expression import Executable

from reconciler.store.database.dialect import Dialect
from reconciler.store.errors import CONNECTION_LOST_CODES, StoreProblem, UnconfirmedCommit

Statement = str | Executable
Parameters = Mapping[str, Any]
NO_PARAMETERS: Parameters = {}

#: A temporary table may be held in memory: rows are staged by so many at a time.
SLICE_ROWS = 1_000_000
#: From so many new rows on, the query planner is told of them.
MANY_ROWS = 1000

ID_RANGES = {"first": pl.Int64, "last": pl.Int64}

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
        """Append the frame's columns to a table of the store. Inside a writing transaction."""
        if self.dialect.stages_inserts:
            columns = ", ".join(frame.columns)
            for rows in frame.iter_slices(SLICE_ROWS):
                with self.stage_frame(f"new_{table}", rows) as staged:
                    self.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {staged}")
            return
        self.write_table(table, frame)
        if frame.height >= MANY_ROWS:
            self._analyze_table(table)

    def generate_ids(self, table: str, count: int) -> pl.Series:
        """Return that many ids of a table, rising, never given out before or after. Inside a writing transaction."""
        ranges = self.fetch_frame(self.dialect.build_ids_sql(table, count), ID_RANGES)
        return ranges.select(pl.int_ranges("first", pl.col("last") + 1).explode().alias("id"))["id"].drop_nulls().sort()

    def has_table(self, table: str) -> bool:
        return bool(self.fetch_scalar(self.dialect.count_tables_sql, {"table": table}))

    def is_empty(self) -> bool:
        """Return True if nobody made anything in the database yet."""
        return not self.fetch_scalar(self.dialect.count_objects_sql)

    def write_table(self, table: str, frame: pl.DataFrame, *, temporary: bool = False) -> None:
        """The driver's own bulk write: appends to a table, or makes a temporary one."""
        with self._open_cursor() as cursor, self.dialect.translate_errors():
            cursor.adbc_ingest(table, frame.to_arrow(), mode="create" if temporary else "append", temporary=temporary)

    @contextmanager
    def stage_frame(self, table: str, frame: pl.DataFrame) -> Iterator[str]:
        """A temporary table of the frame for set statements, gone at the end. Works inside a transaction."""
        self.write_table(table, frame, temporary=True)
        self.analyze_staged_table(table)
        yield table
        self.execute(f"DROP TABLE {self.dialect.format_temporary_name(table)}")

    def analyze_staged_table(self, table: str) -> None:
        """Tell the query planner what a temporary table holds, where it does not look by itself."""
        self._analyze_table(self.dialect.format_temporary_name(table))

    def _analyze_table(self, table: str) -> None:
        statement = self.dialect.build_analyze_sql(table)
        if statement is not None:
            self.execute(statement)

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


@contextmanager
def open_connection(dialect: Dialect, *, volatile: bool = False) -> Iterator[Connection]:
    """Open a connection for one task. volatile: to the part that holds sessions and last sign-ins."""
    connection = Connection(dialect, dialect.connect(volatile=volatile))
    try:
        yield connection
    finally:
        connection.close()
