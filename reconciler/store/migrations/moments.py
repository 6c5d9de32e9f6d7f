"""Add the checks by which the database itself refuses a moment that would not sort, such as one of the year 384."""

from __future__ import annotations

from collections.abc import Mapping

from alembic import op
from sqlalchemy import text

#: The shape of a moment, `YYYY-MM-DDTHH:MM:SSZ`.
SHAPE = (4, "-", 2, "-", 2, "T", 2, ":", 2, ":", 2, "Z")


def add_moment_checks(columns: Mapping[str, tuple[str, ...]]) -> None:
    """Add a check to each named column of a table. Rows that are stored already are not looked at."""
    for table, names in columns.items():
        if op.get_bind().dialect.name == "postgresql":
            checks = ", ".join(f"ADD {_build_check(table, name)} NOT VALID" for name in names)
            op.execute(f"ALTER TABLE {table} {checks}")
        else:
            _add_sqlite_checks(table, "".join(f", {_build_check(table, name)}" for name in names))


def _build_check(table: str, column: str) -> str:
    if op.get_bind().dialect.name == "postgresql":
        pattern = "".join(f"[0-9]{{{part}}}" if isinstance(part, int) else part for part in SHAPE)
        condition = f"{column} ~ '^{pattern}$'"
    else:
        pattern = "".join("[0-9]" * part if isinstance(part, int) else part for part in SHAPE)
        condition = f"{column} GLOB '{pattern}'"
    return f"CONSTRAINT ck_{table}_{column} CHECK ({condition})"


def _add_sqlite_checks(table: str, checks: str) -> None:
    # SQLite has no statement for it, and a rebuilt table would lose its triggers. Its manual names this way for
    # constraints: https://sqlite.org/lang_altertable.html#otheralter
    connection = op.get_bind()
    version = connection.exec_driver_sql("PRAGMA schema_version").scalar()
    connection.exec_driver_sql("PRAGMA writable_schema = ON")
    connection.execute(
        text(
            "UPDATE sqlite_schema SET sql = substr(rtrim(sql, char(10) || ' '), 1,"
            " length(rtrim(sql, char(10) || ' ')) - 1) || :checks || ')' WHERE type = 'table' AND name = :table"
        ),
        {"checks": checks, "table": table},
    )
    connection.exec_driver_sql(f"PRAGMA schema_version = {int(version or 0) + 1}")
    connection.exec_driver_sql("PRAGMA writable_schema = RESET")
