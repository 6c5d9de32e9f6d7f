"""One complete, checked roster as fetched, in columnar frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Severity, Span, info

#: One row for each row of a source that was set aside. key: its sourcedId, null where that cannot be read.
#: identifier, email, username: of a row of users.csv, as far as they can be read; its account may be known by them.
QUARANTINE_SCHEMA: dict[str, type[pl.DataType]] = {
    "kind": pl.String,
    "key": pl.String,
    "file": pl.String,
    "line": pl.Int64,
    "column": pl.Int64,
    "code": pl.String,
    "message": pl.String,
    "hint": pl.String,
    "identifier": pl.String,
    "email": pl.String,
    "username": pl.String,
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """version: of OneRoster. type: of the source (`zip`). name: the source's, shown to people. sha256: of its bytes.
    fetched_at: ISO-8601 UTC. complete: every file was read to its last byte, so that absence is evidence.

    rows: data rows as read, by file stem. Frames hold good rows only, text columns null and never empty, `status`
    `active` or `tobedeleted`, `line` the physical line in the file (the header is 1):
    orgs: sourced_id, status, name, type, identifier, parent, line.
    users: sourced_id, status, enabled, username, given_name, family_name, middle_name, identifier, email, grades, line.
    roles: user, org, role (a Role value), primary, line; exactly one row per user is primary.
    classes: sourced_id, status, title, class_code, class_type, school, course, terms, grades, line.
    enrollments: sourced_id, status, class, user, role, primary, begin_date, end_date, line.
    quarantine: rows set aside (QUARANTINE_SCHEMA). diagnostics: warnings and infos about the whole and its files.
    """

    version: str
    type: str
    name: str
    sha256: str
    fetched_at: str
    complete: bool
    rows: Mapping[str, int]
    orgs: pl.DataFrame
    users: pl.DataFrame
    roles: pl.DataFrame
    classes: pl.DataFrame
    enrollments: pl.DataFrame
    quarantine: pl.DataFrame
    diagnostics: tuple[Diagnostic, ...]


def quarantine_diagnostics(quarantine: pl.DataFrame, most: int | None = None) -> tuple[Diagnostic, ...]:
    """The first `most` rows of each code (all of them with None) as errors in order of file and line, and for each
    code that has more an info that says how many."""
    placed = quarantine.sort("file", "line", "column", nulls_last=True).with_columns(
        pl.int_range(pl.len()).over("code").alias("place"), pl.len().over("code").alias("total")
    )
    shown = placed if most is None else placed.filter(pl.col("place") < most)
    diagnostics = [
        Diagnostic(code, Severity.ERROR, message, Span(file, line or 0, column or 0), hint)
        for file, line, column, code, message, hint in shown.select(
            "file", "line", "column", "code", "message", "hint"
        ).iter_rows()
    ]
    if most is not None:
        more = placed.filter((pl.col("place") == most) & (pl.col("total") > most)).sort("code")
        diagnostics += [
            info(code, f"and {total - most:,} more rows set aside for the same reason")
            for code, total in more.select("code", "total").iter_rows()
        ]
    return tuple(diagnostics)
