"""Connect to PostgreSQL through ADBC and translate its errors."""

import re
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import cast
from urllib.parse import urlsplit, urlunsplit

import adbc_driver_postgresql
from adbc_driver_manager import AdbcConnection, AdbcDatabase, dbapi
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import Dialect as Compiler

from reconciler.store.address import PostgresqlAddress
from reconciler.store.database.dialect import MIN_WAITING_SECONDS
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
    CANCELED: (
        "store-timeout",
        "{0} ended a statement that took longer than its statement_timeout",
        "Nothing was changed. Raise the limit for this user: ALTER ROLE user SET statement_timeout = '30min'",
    ),
    "57": ("store-gone", "{0} closed the connection", "Nothing was changed. Try again when the server is back."),
    "55P03": ("store-busy", "another process has locked rows of {0}", "Try again when it is done."),
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
UNKNOWN_ROLE = (
    "store-refused",
    "{0} has no such user",
    "Check the user in the store URL; without one, it is the name of the account that runs reconciler.",
)
SCHEMA_REFUSED = (
    "store-refused",
    "{0} lets this user create nothing in its schema",
    "As the database's owner, run: GRANT CREATE ON SCHEMA public TO user",
)
SETTINGS_SQL = """
SELECT getdatabaseencoding(), CAST(setting AS double precision) FROM pg_settings WHERE name = 'statement_timeout'
"""
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
        #: seconds, 0 for none; None until the first connection
        self._statement_timeout: float | None = None
        self.compiler: Compiler = dialect(paramstyle="numeric_dollar")

    def connect(self, *, volatile: bool = False) -> dbapi.Connection:
        """Open a connection over the shared driver database, which reads the server's types only once: that takes far
        longer than connecting.
        """
        try:
            if self._database is None:
                self._database = adbc_driver_postgresql.connect(complete_uri(self.address.uri))
                weakref.finalize(self, self._database.close)
            raw = dbapi.Connection(
                cast(AdbcDatabase, SharedDatabase()), AdbcConnection(self._database), autocommit=True
            )
        except dbapi.Error as problem:
            raise self._explain_connect_error(problem) from None
        try:
            if self._statement_timeout is None:
                self._statement_timeout = self._read_server_settings(raw)
            with raw.cursor() as cursor, self.translate_errors():
                # Without a limit of the server's, a lock that another program holds would be waited for endlessly.
                cursor.execute(self.build_waiting_sql(MIN_WAITING_SECONDS)).fetchall()
        except BaseException:
            raw.close()
            raise
        return raw

    def _read_server_settings(self, raw: dbapi.Connection) -> float:
        """Return the limit of a statement in seconds, 0 for none. Raises StoreProblem `store-encoding`: names of people
        need UTF-8.
        """
        with raw.cursor() as cursor, self.translate_errors():
            ((encoding, milliseconds),) = cursor.execute(SETTINGS_SQL).fetchall()
        if encoding != "UTF8":
            raise StoreProblem(
                "store-encoding",
                f"{self.address} has the encoding {encoding}, which cannot hold every name",
                "Create the database with: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0",
            )
        return float(milliseconds) / 1000

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

    def build_waiting_sql(self, seconds: float) -> str:
        return f"SELECT set_config('lock_timeout', '{round(seconds * 1000):d}', false)"

    def _explain_connect_error(self, problem: dbapi.Error) -> StoreProblem:
        error_text = str(problem)
        if "password" in error_text or "authentication" in error_text:
            code, message, hint = EXPLANATIONS["28"]
        elif re.search(r'role ".*" does not exist', error_text):
            code, message, hint = UNKNOWN_ROLE
        elif "does not exist" in error_text:
            code, message, hint = EXPLANATIONS["3D"]
        else:
            code, message = "store-unreachable", "{0} cannot be reached"
            hint = "Check the host and port in the store URL, and that the server is running."
        return StoreProblem(code, message.format(self.address), hint)

    @contextmanager
    def translate_errors(self) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        except dbapi.Error as problem:
            state = problem.sqlstate or ""
            if state == CANCELED and not self._is_timeout(str(problem), time.monotonic() - start):
                # Ctrl-C during a statement
                raise KeyboardInterrupt from None
            if state == "23505" and "username_key" in str(problem):
                raise StoreProblem(*USERNAME_TAKEN) from None
            known = explain_error(state, str(problem), self.address)
            if known is not None:
                raise known from None
            raise build_unknown_error(self.address, f"SQLSTATE {state or 'unknown'}") from problem

    def _is_timeout(self, error_text: str, seconds: float) -> bool:
        """Return True if the server ended a statement because of statement_timeout. It uses the same SQLSTATE for
        Ctrl-C, and another language for its text.
        """
        timeout = self._statement_timeout or 0.0
        return "statement timeout" in error_text or 0 < timeout <= seconds


def explain_error(state: str, error_text: str, address: PostgresqlAddress) -> StoreProblem | None:
    """Return the problem of a server's error, or None if the error is not a known one.

    state: the SQLSTATE, or an empty string.
    """
    if state in ("", "00000") and any(phrase in error_text for phrase in CONNECTION_LOST_PHRASES):
        state = "08006"
    if state == "42501" and "schema" in error_text:
        code, message, hint = SCHEMA_REFUSED
        return StoreProblem(code, message.format(address), hint)
    for length in (5, 2):
        if state[:length] in EXPLANATIONS:
            code, message, hint = EXPLANATIONS[state[:length]]
            return StoreProblem(code, message.format(address), hint)
    return None
