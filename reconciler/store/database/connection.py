"""Run statements on an ADBC connection, one transaction at a time, and return values or frames.

Statements are SQLAlchemy Core or SQL text with named parameters, compiled here. SQLite derives a result's types from
its values, so `fetch_frame` takes the schema that its caller expects.
"""

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

#: Rows staged at a time, because a temporary table may be held in memory.
SLICE_ROWS = 1_000_000
#: From this many inserted rows on, the table is analyzed for the query planner.
MANY_ROWS = 1000

#: The phrase of SQLite's error if there is nothing to roll back.
NO_TRANSACTION = "no transaction is active"

ID_RANGES = {"first": pl.Int64, "last": pl.Int64}

#: Without a type, pyarrow looks for packages with date types at every value, which takes 20 times as long.
ARROW_TYPES: Mapping[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
    bytes: pa.binary(),
}


class Connection:
    """An open connection. Raises database errors as StoreProblem, never with a row's text."""

    def __init__(self, dialect: Dialect, raw: dbapi.Connection) -> None:
        self.dialect = dialect
        self._raw = raw
        self.closed = False

    def close(self) -> None:
        self.closed = True
        self._raw.close()

    def execute(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> int:
        """Run a statement; return the number of affected rows, or -1 if the driver does not know it."""
        with self._run_statement(statement, parameters) as cursor:
            return int(cursor.rowcount)

    def fetch_rows(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> list[tuple[Any, ...]]:
        with self._run_statement(statement, parameters) as cursor, self.dialect.translate_errors():
            # Column by column, because the driver's own rows cost a call per value.
            columns = [column.to_pylist() for column in cursor.fetch_arrow_table().columns]
        return list(zip(*columns, strict=True))

    def fetch_row(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> tuple[Any, ...] | None:
        rows = self.fetch_rows(statement, parameters)
        return rows[0] if rows else None

    def fetch_scalar(self, statement: Statement, parameters: Parameters = NO_PARAMETERS) -> Any:
        row = self.fetch_row(statement, parameters)
        return row[0] if row else None

    def fetch_frame(
        self,
        statement: Statement,
        schema: Mapping[str, pl.DataType | type[pl.DataType]],
        parameters: Parameters = NO_PARAMETERS,
    ) -> pl.DataFrame:
        """Return the result with exactly these columns and types, even if it is empty."""
        with self._run_statement(statement, parameters) as cursor, self.dialect.translate_errors():
            table = cursor.fetch_arrow_table()
        frame = pl.DataFrame(pl.from_arrow(table)) if table.num_rows else pl.DataFrame(schema=schema)
        return frame.select(pl.col(name).cast(kind) for name, kind in schema.items())

    def insert_frame(self, table: str, frame: pl.DataFrame) -> None:
        """Append the frame's columns to a table of the store. Call inside a write transaction."""
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
        """Return `count` new ids of a table in ascending order; none is ever used twice. Call inside a write
        transaction.
        """
        ranges = self.fetch_frame(self.dialect.build_ids_sql(table, count), ID_RANGES)
        return ranges.select(pl.int_ranges("first", pl.col("last") + 1).explode().alias("id"))["id"].drop_nulls().sort()

    def has_table(self, table: str) -> bool:
        return bool(self.fetch_scalar(self.dialect.count_tables_sql, {"table": table}))

    def is_empty(self) -> bool:
        """Return True if the database has no tables or other objects yet."""
        return not self.fetch_scalar(self.dialect.count_objects_sql)

    def write_table(self, table: str, frame: pl.DataFrame, *, temporary: bool = False) -> None:
        """Append a frame to a table, or create a temporary table from it, by the driver's bulk write."""
        with self._open_cursor() as cursor, self.dialect.translate_errors():
            cursor.adbc_ingest(table, frame.to_arrow(), mode="create" if temporary else "append", temporary=temporary)

    @contextmanager
    def stage_frame(self, table: str, frame: pl.DataFrame) -> Iterator[str]:
        """Hold the frame in a temporary table and yield its name; drop it at the end. Works inside a transaction."""
        self.write_table(table, frame, temporary=True)
        self.analyze_staged_table(table)
        yield table
        self.execute(f"DROP TABLE {self.dialect.format_temporary_name(table)}")

    def analyze_staged_table(self, table: str) -> None:
        """Analyze a temporary table for the query planner, if the database does not do so itself."""
        self._analyze_table(self.dialect.format_temporary_name(table))

    def _analyze_table(self, table: str) -> None:
        statement = self.dialect.build_analyze_sql(table)
        if statement is not None:
            self.execute(statement)

    @contextmanager
    def open_read_transaction(self) -> Iterator[None]:
        """Run the body in a transaction that sees one consistent state."""
        with self._run_transaction(self.dialect.begin_reading):
            yield

    @contextmanager
    def open_write_transaction(self) -> Iterator[None]:
        """Run the body in a transaction: commit at the end, roll back on any exception."""
        with self._run_transaction(self.dialect.begin_writing):
            yield

    @contextmanager
    def _run_transaction(self, begin: Sequence[str]) -> Iterator[None]:
        done = False
        try:
            # Within the block: if a later statement fails, the transaction that the first one began must end as well.
            for statement in begin:
                self.execute(statement)
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
        # The exception under way is the one to report; a lost connection rolls back on its own.
        try:
            with self._raw.cursor() as cursor:
                cursor.execute("ROLLBACK")
        except dbapi.Error as problem:
            if NO_TRANSACTION not in str(problem):
                self.close()

    @contextmanager
    def suspend_reading(self) -> Iterator[None]:
        """End the read transaction for the block, such as a wait for another server, and begin a new one after it."""
        self.execute("COMMIT")
        try:
            yield
        finally:
            for statement in self.dialect.begin_reading:
                self.execute(statement)

    def limit_waiting(self, seconds: float) -> None:
        """Wait at most this long for a lock that another connection holds; then raise StoreProblem `store-busy`."""
        self.fetch_rows(self.dialect.build_waiting_sql(seconds))

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
    """Return the statement in the driver's form, and the names of its parameters in order."""
    compiled = text(statement).compile(dialect=compiler)
    return str(compiled), tuple(compiled.positiontup or ())


def bind_values(values: Sequence[Any]) -> pa.RecordBatch:
    """Return the values as a record batch of one row."""
    arrays = [pa.nulls(1) if value is None else pa.array([value], ARROW_TYPES.get(type(value))) for value in values]
    return pa.record_batch(arrays, names=[str(place) for place in range(len(arrays))])


@contextmanager
def open_connection(dialect: Dialect, *, volatile: bool = False) -> Iterator[Connection]:
    """Open a connection for one task.

    volatile: connect to the tables of sessions and last sign-ins.
    """
    connection = Connection(dialect, dialect.connect(volatile=volatile))
    try:
        yield connection
    finally:
        connection.close()
