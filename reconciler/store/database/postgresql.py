"""Connect to PostgreSQL through ADBC and translate its errors."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import adbc_driver_postgresql
from adbc_driver_manager import AdbcConnection, AdbcDatabase, dbapi
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect as Compiler

from reconciler.store.database.address import PostgresqlAddress
from reconciler.store.errors import StoreProblem, build_unknown_error

CONNECT_SECONDS = 10
#: SQLSTATE query_canceled
CANCELED = "57014"

#: SQLSTATE, or its class of two characters -> code, message, hint. The longer match wins.
EXPLANATIONS = {
    "23505": ("not-unique", "something the plan would create already exists", "Make a new plan."),
    "40": ("store-busy", "another process changed the same rows of {0}", "Try again."),
    "53": ("store-full", "{0} has no space or connections left", "Nothing was changed. Check the server."),
    "53100": ("disk-full", "the disk of {0} is full", "Nothing was changed. Free some space there and try again."),
    "08": ("store-gone", "{0} closed the connection", "Nothing was changed. Try again when the server is back."),
    "57": ("store-gone", "{0} closed the connection", "Nothing was changed. Try again when the server is back."),
    "28": ("store-refused", "{0} rejected the login", "Check the user and password in the store URL."),
    "3D": ("store-unreachable", "{0} does not exist", "Create the database first."),
    "42501": ("store-refused", "{0} denies this user permission", "Grant the user permissions on the database."),
    "25006": (
        "store-read-only",
        "{0} is read-only",
        "Nothing was changed. Use the primary server, and check its setting default_transaction_read_only.",
    ),
}
#: Phrases of libpq, without an SQLSTATE, for a lost connection.
CONNECTION_LOST_PHRASES = (
    "closed the connection",
    "no connection to the server",
    "could not receive data",
    "could not send data",
    "SSL",
)
USERNAME_TAKEN = (
    "username-taken",
    "two active accounts of the customer would have the same username",
    "Make a new plan: an account was created since, or a held deletion keeps the name.",
)


def complete_uri(uri: str) -> str:
    """Add a connect timeout and an application name to a URI that sets none.

    The rest of the query stays verbatim, because libpq does not parse it as form data.
    """
    parts = urlsplit(uri)
    added = {"connect_timeout": str(CONNECT_SECONDS), "application_name": "reconciler"}
    query = [parts.query, *(f"{name}={value}" for name, value in added.items() if f"{name}=" not in parts.query)]
    return urlunsplit(parts._replace(query="&".join(part for part in query if part)))


class SharedDatabase:
    """A stand-in for the driver's database that a connection can close without closing the shared one."""

    def close(self) -> None:
        """Do nothing: the dialect closes the shared database."""


class PostgresqlDialect:
    name = "postgresql"
    json_object = "json_build_object"
    for_update = " FOR UPDATE"
    begin_reading: Sequence[str] = ("BEGIN ISOLATION LEVEL REPEATABLE READ",)
    begin_writing: Sequence[str] = ("BEGIN",)
    count_tables_sql = "SELECT count(*) FROM pg_class WHERE oid = to_regclass(:table)"
    count_objects_sql = "SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace(current_schema())"
    stages_inserts = False

    def __init__(self, address: PostgresqlAddress) -> None:
        self.address = address
        dialect: Callable[..., Compiler] = postgresql.dialect
        self._database: AdbcDatabase | None = None
        self.compiler: Compiler = dialect(paramstyle="numeric_dollar")

    def connect(self, *, volatile: bool = False) -> dbapi.Connection:
        """Open a connection over the shared driver database, which reads the server's types only once: that takes far
        longer than connecting.
        """
        try:
            if self._database is None:
                self._database = adbc_driver_postgresql.connect(complete_uri(self.address.uri))
                weakref.finalize(self, self._database.close)
            return dbapi.Connection(
                cast(AdbcDatabase, SharedDatabase()), AdbcConnection(self._database), autocommit=True
            )
        except dbapi.Error as problem:
            raise self._explain_connect_error(problem) from None

    def prepare_cursor(self, cursor: dbapi.Cursor) -> None:
        """Do nothing: no option is needed."""

    def format_temporary_name(self, table: str) -> str:
        return f"pg_temp.{table}"

    def build_analyze_sql(self, table: str) -> str:
        """Return ANALYZE: until autovacuum runs, the server plans statements for the few rows of before."""
        return f"ANALYZE {table}"

    def build_ids_sql(self, table: str, count: int) -> str:
        return (
            "SELECT id AS first, id AS last FROM"
            f" (SELECT nextval(pg_get_serial_sequence('{table}', 'id')) AS id FROM generate_series(1, {count:d})) ids"
        )

    def build_lines_aggregate(self, expression: str) -> str:
        return f'string_agg({expression}, chr(10) ORDER BY {expression} COLLATE "C")'

    def build_json_number(self, expression: str, name: str) -> str:
        return f"CAST(CAST({expression} AS json) ->> '{name}' AS BIGINT)"

    def _explain_connect_error(self, problem: dbapi.Error) -> StoreProblem:
        error_text = str(problem)
        if "password" in error_text or "authentication" in error_text:
            code, message, hint = EXPLANATIONS["28"]
        elif "does not exist" in error_text:
            code, message, hint = EXPLANATIONS["3D"]
        else:
            code, message = "store-unreachable", "{0} cannot be reached"
            hint = "Check the host and port in the store URL, and that the server is running."
        return StoreProblem(code, message.format(self.address), hint)

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        try:
            yield
        except dbapi.Error as problem:
            state = problem.sqlstate or ""
            if state == CANCELED:
                # Ctrl-C during a statement
                raise KeyboardInterrupt from None
            if state == "23505" and "username_key" in str(problem):
                raise StoreProblem(*USERNAME_TAKEN) from None
            known = explain_error(state, str(problem), self.address)
            if known is not None:
                raise known from None
            raise build_unknown_error(self.address, f"SQLSTATE {state or 'unknown'}") from problem


def explain_error(state: str, error_text: str, address: PostgresqlAddress) -> StoreProblem | None:
    """Return the problem of a server's error, or None if the error is not a known one.

    state: the SQLSTATE, or an empty string.
    """
    if state in ("", "00000") and any(phrase in error_text for phrase in CONNECTION_LOST_PHRASES):
        state = "08006"
    for length in (5, 2):
        if state[:length] in EXPLANATIONS:
            code, message, hint = EXPLANATIONS[state[:length]]
            return StoreProblem(code, message.format(address), hint)
    return None
