"""Hold SQL for requests in the syntax of each database, converted once."""

import re
from dataclasses import dataclass

#: A parameter `:name`, but not a cast `::type`
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL with parameters written `:name`."""

    #: for sqlite3
    sqlite: str
    #: for psycopg
    postgresql: str


def build_statement(sql: str, *, postgresql: str = "") -> Statement:
    """Return a statement.

    sql: for both databases, or for SQLite alone if `postgresql` is given.
    """
    return Statement(sql, _PARAMETER.sub(r"%(\1)s", (postgresql or sql).replace("%", "%%")))
