"""The files of an archive, each read by itself to its last byte: checked, or keys only, or only counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, in_order, info, warning
from reconciler.oneroster.archive.archive import Archive, Member
from reconciler.oneroster.archive.manifest import Declared
from reconciler.oneroster.archive.shape import shape_of
from reconciler.oneroster.csv_file.rows import Checked, check_rows
from reconciler.oneroster.csv_file.sheet import read_sheet
from reconciler.oneroster.roster.sessions import Sessions, look_at_times, read_sessions
from reconciler.oneroster.standard.tables import KIND_OF, UNWANTED_FILES, Standard


@dataclass(slots=True)
class Read:
    """What the files of an archive say, each by itself. files: checked rows by stem; optional: keys of files whose
    rows are not used; rows: data rows by stem; times: newest dateLastModified of each file."""

    files: dict[str, Checked] = field(default_factory=dict)
    optional: dict[str, pl.Series] = field(default_factory=dict)
    sessions: Sessions | None = None
    rows: dict[str, int] = field(default_factory=dict)
    times: list[str | None] = field(default_factory=list)


def read_files(
    archive: Archive, members: Mapping[str, Member], declared: Declared, fetched_at: str, notes: list[Diagnostic]
) -> Read:
    """Every file of the standard to its last byte: checked, or keys only, or only counted. Raises one Refusal with
    the reasons of all files."""
    standard = declared.standard
    read = Read()
    problems: list[Diagnostic] = []
    for stem in (stem for stem in standard.tables if stem in members):
        try:
            if stem in standard.counted:
                read.rows[stem] = count_rows(archive, members[stem])
                notes.extend(_dropped(stem, read.rows[stem]))
            else:
                content = archive.read(members[stem], shape_of(standard.tables[stem], standard).feed)
                notes.extend(_read_file(read, stem, content, standard, fetched_at, delta=stem in declared.delta))
        except Refusal as refusal:
            problems.extend(refusal.diagnostics)
    if problems:
        raise Refusal(in_order(problems))
    return read


def _read_file(
    read: Read, stem: str, content: bytes, standard: Standard, fetched_at: str, *, delta: bool
) -> Iterator[Diagnostic]:
    """Puts what one file says into `read`."""
    sheet = read_sheet(standard.tables[stem], content, standard, delta=delta)
    read.rows[stem] = sheet.rows
    if not sheet.rows and stem in standard.required and not delta:
        yield warning("no-rows", "the file has a header and no rows", Span(sheet.table.file))
    modified = look_at_times(sheet, fetched_at)
    read.times.append(modified.newest)
    yield from modified.diagnostics
    if stem in KIND_OF:
        read.files[stem] = check_rows(sheet)
        yield from read.files[stem].diagnostics
    elif stem == "academicSessions":
        read.sessions = read_sessions(sheet)
        read.optional[stem] = read.sessions.keys
        yield from read.sessions.diagnostics
    else:
        read.optional[stem] = sheet.frame["sourced_id"].drop_nulls()
        yield from sheet.diagnostics


def count_rows(archive: Archive, member: Member) -> int:
    """Data rows of a file that nobody reads, by its line ends. It is read to its last byte all the same: an archive
    that is damaged anywhere is not trusted."""
    ends, last = 0, b"\n"
    for chunk in archive.chunks(member):
        ends += chunk.count(b"\n")
        last = chunk[-1:]
    return max(ends - (last == b"\n"), 0)


def _dropped(stem: str, rows: int) -> Iterator[Diagnostic]:
    if stem in UNWANTED_FILES and rows:
        yield info("dropped-file", f"{rows:,} rows of {stem}.csv were dropped unread", Span(f"{stem}.csv"))
