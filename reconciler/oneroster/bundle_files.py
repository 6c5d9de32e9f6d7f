"""Reads each file of an archive to its last byte: all rows, keys only, or only their number."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_info, build_warning, sort_diagnostics
from reconciler.model.ids import Moment
from reconciler.oneroster.archive.archive import Archive, ArchiveMember
from reconciler.oneroster.archive.manifest import BundleManifest
from reconciler.oneroster.archive.shape import build_shape_guard
from reconciler.oneroster.csv_file.rows import FileRows, check_rows
from reconciler.oneroster.csv_file.sheet import read_sheet
from reconciler.oneroster.roster.sessions import Sessions, check_modified_times, read_sessions
from reconciler.oneroster.standard.tables import KIND_OF, UNWANTED_FILES, Standard


@dataclass(slots=True)
class ArchiveContents:
    """The contents of an archive's files, before references between them are checked."""

    #: Checked rows by stem.
    files: dict[str, FileRows] = field(default_factory=dict)
    #: Keys of files whose rows are not used, by stem.
    optional: dict[str, pl.Series] = field(default_factory=dict)
    #: None without academicSessions.csv.
    sessions: Sessions | None = None
    #: Number of data rows by stem.
    rows: dict[str, int] = field(default_factory=dict)
    #: The newest dateLastModified of each file, None without one.
    times: list[str | None] = field(default_factory=list)


def read_files(
    archive: Archive,
    members: Mapping[str, ArchiveMember],
    manifest: BundleManifest,
    fetched_at: Moment,
    diagnostics: list[Diagnostic],
) -> ArchiveContents:
    """Read the files of the standard and append to `diagnostics`. Raises one Refusal with the problems of all files."""
    standard = manifest.standard
    contents = ArchiveContents()
    problems: list[Diagnostic] = []
    for stem in (stem for stem in standard.tables if stem in members):
        try:
            if stem in standard.count_only:
                contents.rows[stem] = count_rows(archive, members[stem])
                diagnostics.extend(_report_unread_rows(stem, contents.rows[stem]))
            else:
                content = archive.read(members[stem], build_shape_guard(standard.tables[stem], standard).check_chunk)
                diagnostics.extend(
                    _read_file(contents, stem, content, standard, fetched_at, delta=stem in manifest.delta)
                )
        except Refusal as refusal:
            problems.extend(refusal.diagnostics)
    if problems:
        raise Refusal(sort_diagnostics(problems))
    return contents


def _read_file(
    contents: ArchiveContents, stem: str, content: bytes, standard: Standard, fetched_at: Moment, *, delta: bool
) -> Iterator[Diagnostic]:
    """Add one file to `contents`."""
    sheet = read_sheet(standard.tables[stem], content, standard, delta=delta)
    contents.rows[stem] = sheet.row_count
    if not sheet.row_count and stem in standard.required and not delta:
        yield build_warning("no-rows", "the file has a header and no rows", Span(sheet.table.file))
    modified = check_modified_times(sheet, fetched_at)
    contents.times.append(modified.newest)
    yield from modified.diagnostics
    if stem in KIND_OF:
        contents.files[stem] = check_rows(sheet)
        yield from contents.files[stem].diagnostics
    elif stem == "academicSessions":
        contents.sessions = read_sessions(sheet)
        contents.optional[stem] = contents.sessions.keys
        yield from contents.sessions.diagnostics
    else:
        contents.optional[stem] = sheet.frame["sourced_id"].drop_nulls()
        yield from sheet.diagnostics


def count_rows(archive: Archive, member: ArchiveMember) -> int:
    """Return the number of data rows of a file, by its line ends.

    Reads unused files to the last byte too, because an archive with any damage is not trusted."""
    ends, last = 0, b"\n"
    for chunk in archive.iter_chunks(member):
        ends += chunk.count(b"\n")
        last = chunk[-1:]
    return max(ends - (last == b"\n"), 0)


def _report_unread_rows(stem: str, rows: int) -> Iterator[Diagnostic]:
    if stem in UNWANTED_FILES and rows:
        yield build_info("dropped-file", f"{rows:,} rows of {stem}.csv were dropped unread", Span(f"{stem}.csv"))
