"""SQLite through ADBC: files made private, one writer at a time, readers never wait."""

from __future__ import annotations

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

from reconciler.store.database.address import SqliteAddress, build_sqlite_uri
from reconciler.store.errors import StoreProblem, build_unknown_error

#: A column's type is guessed from the first batch of a result, and a later value that does not fit fails.
#: One batch for all makes the guess certain. Memory is taken as rows arrive, but addresses for a whole batch at once,
#: by column, for as long as a frame lives: with batches much larger than this, a fork finds no room.
ONE_BATCH = {StatementOptions.BATCH_ROWS.value: str(1 << 24)}

BUSY_MILLISECONDS = 30_000
PRAGMAS = (
    f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}",
    # Names of children belong into no temporary file.
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -65536",
)
#: Indexes of a large customer are written in random places: in memory that costs little.
WRITERS_CACHE = "PRAGMA cache_size = -524288"

#: A disk with less room than this is full: SQLite takes more at a time.
FULL_BYTES = 256 * 1024

#: What SQLite says -> our code, message, what to do.
EXPLANATIONS = (
    ("file is not a database", "not-a-store", "{0} is not a SQLite database", "Name another file."),
    ("malformed", "store-damaged", "{0} is damaged", "Restore it from a backup."),
    (
        "disk I/O error",
        "disk-error",
        "the disk would not read or write {0}",
        "Nothing was changed. Check that the disk is there and no quota is used up, then do the same again.",
    ),
    ("disk is full", "disk-full", "no space is left for {0}", "Nothing was changed. Free some space and do it again."),
    (
        "readonly database",
        "store-read-only",
        "{0} may not be written",
        "Nothing was changed. Check the rights of the file and its folder, and that its disk is not read-only.",
    ),
    ("unable to open", "store-unreadable", "{0} cannot be opened", "Check the path and the rights of its folder."),
    ("failed to open", "store-unreadable", "{0} cannot be opened", "Check the path and the rights of its folder."),
    ("locked", "store-busy", "another process has been writing to {0}", "Try again when it is done."),
    (
        "accounts.username_key",
        "username-taken",
        "two live accounts of the customer would have the same username",
        "Plan again: an account was made since, or a held deletion keeps the name.",
    ),
    ("UNIQUE constraint", "not-unique", "something that the plan would make is there already", "Plan again."),
)


class SqliteDialect:
    name = "sqlite"
    json_object = "json_object"
    for_update = ""
    # A deferred write after another's commit fails at once: take the lock first, and wait for it.
    begin_reading: Sequence[str] = ("BEGIN", "SELECT count(*) FROM sqlite_schema")
    begin_writing: Sequence[str] = (WRITERS_CACHE, "BEGIN IMMEDIATE")
    count_tables_sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = :table"
    count_objects_sql = "SELECT count(*) FROM sqlite_schema"
    # The driver inserts row by row, and on a table with triggers SQLite then saves every page it touches
    # for every row. One INSERT of all rows saves it once: half the time for a table of three indexes.
    stages_inserts = True

    def __init__(self, address: SqliteAddress) -> None:
        self.address = address
        self.compiler: Compiler = sqlite.dialect(paramstyle="qmark")

    def connect(self, *, volatile: bool = False) -> dbapi.Connection:
        path = self.address.volatile if volatile else self.address.path
        with self.translate_errors(), _detect_unwritable_folder(path):
            raw = connect(build_sqlite_uri(path), autocommit=True)
            try:
                with raw.cursor() as cursor:
                    for pragma in (*PRAGMAS, f"PRAGMA synchronous = {'NORMAL' if volatile else 'FULL'}"):
                        cursor.execute(pragma).fetchall()
                    if cursor.execute("PRAGMA journal_mode").fetchall() != [("wal",)]:
                        self._enable_write_ahead_log(cursor)
            except dbapi.Error:
                raw.close()
                raise
        return raw

    @staticmethod
    def _enable_write_ahead_log(cursor: dbapi.Cursor) -> None:
        # SQLite does not wait here. Whoever is in the way leaves it to the next who opens the file: without
        # the log readers and a writer wait for each other, and nothing else is different.
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
        """SQLite's planner takes a staged table without an index as the outer loop, which is what we want."""

    def build_ids_sql(self, table: str, count: int) -> str:
        return (
            f"SELECT coalesce(max(seq), 0) + 1 AS first, coalesce(max(seq), 0) + {count:d} AS last"
            f" FROM sqlite_sequence WHERE name = '{table}'"
        )

    def build_lines_aggregate(self, expression: str) -> str:
        return f"group_concat({expression}, char(10) ORDER BY {expression})"

    def build_json_number(self, expression: str, name: str) -> str:
        return f"json_extract({expression}, '$.{name}')"

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        try:
            yield
        except dbapi.NotSupportedError:
            # What the driver says where Ctrl-C came in the middle of a statement, which it cannot cancel.
            raise KeyboardInterrupt from None
        except dbapi.Error as problem:
            known = explain_error(str(problem), self.address)
            if known is not None:
                raise known from None
            raise build_unknown_error(self.address, f"SQLite status {problem.vendor_code}") from problem


def explain_error(error_text: str, address: SqliteAddress) -> StoreProblem | None:
    """What SQLite says, in our words; None where we have none."""
    if "disk I/O error" in error_text and _is_disk_full(address.path.parent):
        # What it says where the log's index finds no room.
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
    """SQLite says the same of a file that is not there and of one on a disk where it may write nothing beside it."""
    try:
        yield
    except dbapi.Error as problem:
        if "to open" in str(problem) and path.is_file() and not os.access(path.parent, os.W_OK):
            raise dbapi.OperationalError("readonly database", status_code=problem.status_code) from problem
        raise
