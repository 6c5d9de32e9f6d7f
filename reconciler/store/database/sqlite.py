"""Connect to SQLite through ADBC, so that readers never wait for the writer, and translate its errors."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from adbc_driver_manager import dbapi
from adbc_driver_sqlite import StatementOptions
from adbc_driver_sqlite.dbapi import connect
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import Dialect as Compiler

from reconciler.store.address import SqliteAddress, build_sqlite_uri
from reconciler.store.database.dialect import MIN_WAITING_SECONDS
from reconciler.store.errors import StoreProblem, build_unknown_error

#: The driver guesses a column's type from the first batch of a result, and fails at a later value that does not fit.
#: One batch for all rows makes the guess certain. Memory is allocated as rows arrive, but address space for a whole
#: batch of each column at once, for the lifetime of the frame: with much larger batches, a fork runs out of it.
ONE_BATCH = {StatementOptions.BATCH_ROWS.value: str(1 << 24)}

BUSY_MILLISECONDS = MIN_WAITING_SECONDS * 1000
PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}",
    # Names of children must not end up in temporary files.
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -65536",
)
#: An index of a large customer is written in random places, which is fast in a cache of 512 MiB.
WRITERS_CACHE = "PRAGMA cache_size = -524288"

#: A disk with less free space than this counts as full, because SQLite allocates more at a time.
FULL_BYTES = 256 * 1024

#: (phrase of SQLite's error, code, message, hint)
EXPLANATIONS = (
    ("file is not a database", "not-a-store", "{0} is not a SQLite database", "Choose another file."),
    ("malformed", "store-damaged", "{0} is damaged", "Restore it from a backup."),
    (
        "disk I/O error",
        "disk-error",
        "disk error on {0}",
        "Nothing was changed. Check that the disk is mounted and within its quota, then try again.",
    ),
    ("disk is full", "disk-full", "no space is left for {0}", "Nothing was changed. Free some space and try again."),
    (
        "readonly database",
        "store-read-only",
        "{0} is read-only",
        "Nothing was changed. Check the permissions of the file and its directory, and that its disk is not read-only.",
    ),
    ("unable to open", "store-unreadable", "{0} cannot be opened", "Check the path and its directory's permissions."),
    ("failed to open", "store-unreadable", "{0} cannot be opened", "Check the path and its directory's permissions."),
    ("locked", "store-busy", "another process is writing to {0}", "Try again when it is done."),
    (
        "accounts.username_key",
        "username-taken",
        "two active accounts of the customer would have the same username",
        "Make a new plan: an account was created since, or a held deletion keeps the name.",
    ),
    ("UNIQUE constraint", "not-unique", "something the plan would create already exists", "Make a new plan."),
)


class SqliteDialect:
    name = "sqlite"
    json_object = "json_object"
    for_update = ""
    # BEGIN IMMEDIATE waits for the write lock; a deferred transaction fails at its first write after another commit.
    begin_reading: Sequence[str] = ("BEGIN", "SELECT count(*) FROM sqlite_schema")
    begin_writing: Sequence[str] = (WRITERS_CACHE, "BEGIN IMMEDIATE")
    count_tables_sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = :table"
    count_objects_sql = "SELECT count(*) FROM sqlite_schema"
    # The driver inserts row by row; on a table with triggers, SQLite then journals each page it touches for every row.
    # One INSERT of all rows journals it once, in half the time for a table of three indexes.
    stages_inserts = True

    def __init__(self, address: SqliteAddress) -> None:
        self.address = address
        self.compiler: Compiler = sqlite.dialect(paramstyle="qmark")

    def connect(self, *, volatile: bool = False) -> dbapi.Connection:
        path = self.address.volatile if volatile else self.address.path
        with self.translate_errors(), _detect_unwritable_folder(path):
            is_read_only = self.address.is_read_only
            raw = connect(build_sqlite_uri(path, is_read_only=is_read_only), autocommit=True)
            try:
                with raw.cursor() as cursor:
                    for pragma in (*PRAGMAS, f"PRAGMA synchronous = {'NORMAL' if volatile else 'FULL'}"):
                        cursor.execute(pragma).fetchall()
                    if not is_read_only and cursor.execute("PRAGMA journal_mode").fetchall() != [("wal",)]:
                        self._enable_write_ahead_log(cursor)
            except dbapi.Error:
                raw.close()
                raise
        return raw

    @staticmethod
    def _enable_write_ahead_log(cursor: dbapi.Cursor) -> None:
        # SQLite does not wait for a lock here. If the file is in use, the next connection tries again: until then,
        # readers and a writer wait for each other, and nothing else differs.
        try:
            cursor.execute("PRAGMA journal_mode = WAL").fetchall()
        except dbapi.Error as problem:
            if "locked" not in str(problem):
                raise

    def prepare_cursor(self, cursor: dbapi.Cursor) -> None:
        cursor.adbc_statement.set_options(**ONE_BATCH)

    def format_temporary_name(self, table: str) -> str:
        return f"temp.{table}"

    def build_analyze_sql(self, table: str) -> None:
        """Return None: SQLite's planner already makes a staged table without an index the outer loop."""

    def build_ids_sql(self, table: str, count: int) -> str:
        return (
            f"SELECT coalesce(max(seq), 0) + 1 AS first, coalesce(max(seq), 0) + {count:d} AS last"
            f" FROM sqlite_sequence WHERE name = '{table}'"
        )

    def build_lines_aggregate(self, expression: str) -> str:
        return f"group_concat({expression}, char(10) ORDER BY {expression})"

    def build_json_number(self, expression: str, name: str) -> str:
        return f"json_extract({expression}, '$.{name}')"

    def build_waiting_sql(self, seconds: float) -> str:
        return f"PRAGMA busy_timeout = {round(seconds * 1000):d}"

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        try:
            yield
        except dbapi.NotSupportedError:
            # The driver raises this at Ctrl-C during a statement, because it cannot cancel one.
            raise KeyboardInterrupt from None
        except dbapi.Error as problem:
            known = explain_error(str(problem), self.address)
            if known is not None:
                raise known from None
            raise build_unknown_error(self.address, f"SQLite status {problem.vendor_code}") from problem


def explain_error(error_text: str, address: SqliteAddress) -> StoreProblem | None:
    """Return the problem of an error text of SQLite, or None if the text is not a known one."""
    if "disk I/O error" in error_text and _is_disk_full(address.path.parent):
        # SQLite reports an I/O error if there is no space for the log's index.
        error_text = "disk is full"
    for phrase, code, message, hint in EXPLANATIONS:
        if phrase in error_text:
            return StoreProblem(code, message.format(address.path), hint)
    return None


def _is_disk_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < FULL_BYTES
    except OSError:
        return False


@contextmanager
def _detect_unwritable_folder(path: Path) -> Iterator[None]:
    """Report a read-only database if the directory is not writable: SQLite's error is the one for a missing file."""
    try:
        yield
    except dbapi.Error as problem:
        if "to open" in str(problem) and path.is_file() and not os.access(path.parent, os.W_OK):
            raise dbapi.OperationalError("readonly database", status_code=problem.status_code) from problem
        raise
