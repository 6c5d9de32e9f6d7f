"""One complete, checked roster as fetched, in columnar frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Severity, Span, build_info

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


#: Academic sessions: the days on which terms begin and end, YYYY-MM-DD; `end` is the first day after (OneRoster 1.1).
SESSIONS_SCHEMA: dict[str, type[pl.DataType]] = {
    "sourced_id": pl.String,
    "start": pl.String,
    "end": pl.String,
    "parent": pl.String,
    "line": pl.Int64,
}


#: Which row of roles.csv (1.2) a role came from: a later delta names it by its sourcedId alone.
ROLE_IDS_SCHEMA: dict[str, type[pl.DataType]] = {
    "sourced_id": pl.String,
    "user": pl.String,
    "org": pl.String,
    "role": pl.String,
    "line": pl.Int64,
}


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What of a source the next one is judged by.

    files: stems of the standard's CSV files that it has, sorted. system: source.systemCode of its manifest.
    modified_at: the newest dateLastModified in it, as written; packed_at: the newest time of a member of its archive,
    `YYYY-MM-DDTHH:MM:SS` without zone. Each None where the source does not say.
    """

    files: tuple[str, ...] = ()
    system: str | None = None
    modified_at: str | None = None
    packed_at: str | None = None


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
    modes: `bulk` or `delta` by file stem; bulk where not named. A delta's frames hold the last good roster with the
    delta's rows laid over it, each with the line of the file that it came in; rows to be deleted stay among them.
    sessions: SESSIONS_SCHEMA, empty where academicSessions.csv never came along.
    waiting: by file stem, good rows whose references are not there (yet), with `status`; a later delta need not send
    them again. role_ids: ROLE_IDS_SCHEMA, empty in 1.1. shared: rows of other customers were taken out of it before it
    was kept.
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
    modes: Mapping[str, str] = field(default_factory=dict)
    sessions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SESSIONS_SCHEMA))
    facts: SourceFacts = SourceFacts()
    waiting: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    role_ids: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ROLE_IDS_SCHEMA))
    shared: bool = False

    def is_full(self, stem: str) -> bool:
        """Whether absence from this file means anything: a file of changes (delta) names only what changed. Of people
        it does only where both of their files are whole."""
        stems = ("users", "roles") if stem == "users" else (stem,)
        return all(self.modes.get(each, "bulk") == "bulk" for each in stems)


def build_quarantine_diagnostics(quarantine: pl.DataFrame, most: int | None = None) -> tuple[Diagnostic, ...]:
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
            build_info(code, f"and {total - most:,} more rows set aside for the same reason")
            for code, total in more.select("code", "total").iter_rows()
        ]
    return tuple(diagnostics)
