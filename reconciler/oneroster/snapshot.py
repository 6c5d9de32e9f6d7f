"""The snapshot of a roster: complete, checked, in columnar frames."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Severity, Span, build_info
from reconciler.model.ids import Moment
from reconciler.model.kind import Kind

#: One row for each quarantined row. `key` is its sourcedId, null if unreadable. `identifier`, `email` and `username`
#: are of a row of users.csv, as far as readable, because they may identify its account.
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

#: Academic sessions with their dates, YYYY-MM-DD; `end` is the first day after the term (OneRoster 1.1).
SESSIONS_SCHEMA: dict[str, type[pl.DataType]] = {
    "sourced_id": pl.String,
    "start": pl.String,
    "end": pl.String,
    "parent": pl.String,
    "line": pl.Int64,
}

#: The row of roles.csv (1.2) of each role; a later delta names it by its sourcedId alone.
ROLE_IDS_SCHEMA: dict[str, type[pl.DataType]] = {
    "sourced_id": pl.String,
    "user": pl.String,
    "org": pl.String,
    "role": pl.String,
    "line": pl.Int64,
}


#: Statuses of rows whose records the source removes; `inactive` is of OneRoster 1.0.
DELETED_STATUSES = ("tobedeleted", "inactive")

#: The column with the names of a row's fields whose value could not be read, joined by commas; null for none. The store
#: keeps its values of these fields.
UNREADABLE = "unreadable"


def is_marked_deleted(column: str = "status") -> pl.Expr:
    """Select rows whose records the source removes by their status."""
    return pl.col(column).is_in(DELETED_STATUSES)


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """Facts about a source with which the next roster is compared; None if the source does not give them."""

    #: Stems of the standard's CSV files in it, sorted.
    files: tuple[str, ...] = ()
    #: source.systemCode of the manifest.
    system: str | None = None
    #: The newest dateLastModified, as written.
    modified_at: str | None = None
    #: The newest time of an archive member, `YYYY-MM-DDTHH:MM:SS` without zone.
    packed_at: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A checked roster.

    Frames hold good rows only: text columns are null and never empty, `status` is `active` or one of DELETED_STATUSES,
    `line` is the physical line in the file (the header is 1). The frames of a delta hold the last good roster overlaid
    with the delta's rows, rows to delete included, each with the line in the file that brought it.
    """

    #: The OneRoster version.
    version: str
    #: The source's type, such as `zip`.
    type: str
    #: The source's name, shown to people.
    name: str
    #: Of the source's bytes.
    sha256: str
    #: ISO-8601 UTC.
    fetched_at: Moment
    #: Every file was read to its last byte, so that absence is evidence.
    complete: bool
    #: Number of data rows as read, by file stem.
    rows: Mapping[str, int]
    #: sourced_id, status, name, type, identifier, parent, line.
    orgs: pl.DataFrame
    #: sourced_id, status, enabled, username, given_name, family_name, middle_name, identifier, email, grades, line.
    users: pl.DataFrame
    #: user, org, role (a Role value), primary, begin_date, end_date, line; exactly one row of each user is primary.
    roles: pl.DataFrame
    #: sourced_id, status, title, class_code, class_type, school, course, terms, grades, line, UNREADABLE.
    classes: pl.DataFrame
    #: sourced_id, status, class, user, role, primary, begin_date, end_date, line, UNREADABLE.
    enrollments: pl.DataFrame
    #: QUARANTINE_SCHEMA.
    quarantine: pl.DataFrame
    #: Warnings and infos about the archive and its files.
    diagnostics: tuple[Diagnostic, ...]
    #: `bulk` or `delta` by file stem; bulk if not listed.
    modes: Mapping[str, str] = field(default_factory=dict)
    #: SESSIONS_SCHEMA; empty if academicSessions.csv never arrived.
    sessions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SESSIONS_SCHEMA))
    facts: SourceFacts = SourceFacts()
    #: Good rows with references that do not exist yet, by file stem, with `status`; a delta need not send them again.
    waiting: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    #: ROLE_IDS_SCHEMA; empty in 1.1.
    role_ids: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ROLE_IDS_SCHEMA))
    #: By kind, `sourced_id`, `status` and `line` of rows that say only that their record is deleted.
    bare_deletions: Mapping[Kind, pl.DataFrame] = field(default_factory=dict)
    #: Rows of other customers were removed before the roster was kept.
    shared: bool = False

    def get_rows(self, kind: Kind) -> pl.DataFrame:
        """Return the good rows of one kind."""
        frames = {Kind.ORG: self.orgs, Kind.USER: self.users, Kind.CLASS: self.classes}
        return frames.get(kind, self.enrollments)

    def is_full(self, stem: str) -> bool:
        """Return whether a missing record is gone because the file is bulk; for users, roles.csv too."""
        stems = ("users", "roles") if stem == "users" else (stem,)
        return all(self.modes.get(each, "bulk") == "bulk" for each in stems)


def build_quarantine_diagnostics(quarantine: pl.DataFrame, most: int | None = None) -> tuple[Diagnostic, ...]:
    """Return an error for each of the first `most` rows of a code (None: all), sorted by file and line.

    An info for each code with more rows gives their number."""
    numbered = quarantine.sort("file", "line", "column", nulls_last=True).with_columns(
        pl.int_range(pl.len()).over("code").alias("position"), pl.len().over("code").alias("total")
    )
    shown = numbered if most is None else numbered.filter(pl.col("position") < most)
    diagnostics = [
        Diagnostic(code, Severity.ERROR, message, Span(file, line or 0, column or 0), hint)
        for file, line, column, code, message, hint in shown.select(
            "file", "line", "column", "code", "message", "hint"
        ).iter_rows()
    ]
    if most is not None:
        more = numbered.filter((pl.col("position") == most) & (pl.col("total") > most)).sort("code")
        diagnostics += [
            build_info(code, f"{total - most:,} more rows quarantined for the same reason")
            for code, total in more.select("code", "total").iter_rows()
        ]
    return tuple(diagnostics)
