"""A OneRoster CSV bundle in a ZIP archive, read whole or refused whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, error, in_order, info, warning
from reconciler.oneroster.archive import Archive, Member
from reconciler.oneroster.manifest import read_manifest
from reconciler.oneroster.roster import assemble
from reconciler.oneroster.rows import Checked, check_rows
from reconciler.oneroster.sheet import read_sheet
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.tables import KIND_OF, MANIFEST, STANDARDS, UNWANTED_FILES, Standard


def read_zip(path: Path, *, fetched_at: str, name: str | None = None) -> Snapshot:
    """The roster in the archive at `path`, streamed and never extracted to disk.

    fetched_at: ISO-8601 UTC. name: what people know the file as; the path's last part if not given.
    Raises Refusal with every reason why the bundle as a whole cannot be trusted.
    """
    shown = name or path.name
    try:
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            return _read(Archive(stream, shown), sha256, fetched_at)
    except OSError as problem:
        reason = problem.strerror or "unknown reason"
        raise Refusal(
            [
                error(
                    "unreadable-file",
                    f"the file cannot be read: {reason}",
                    Span(shown),
                    "check its path and permissions",
                )
            ]
        ) from problem


def _read(archive: Archive, sha256: str, fetched_at: str) -> Snapshot:
    notes = list(archive.diagnostics)
    members = _known(archive, notes)
    manifest = members.pop(MANIFEST, None)
    declared = read_manifest(
        archive.read(manifest) if manifest else None, frozenset(members), _looks_like(archive, members)
    )
    notes += declared.diagnostics
    standard = declared.standard
    for stem in sorted(members.keys() - standard.tables.keys()):
        notes.append(_unknown_file(members.pop(stem).name, standard.version))
    problems = [*declared.problems, *_missing(archive, members, standard)]
    if problems:
        raise Refusal(in_order(problems))
    used = {stem: member for stem, member in members.items() if stem not in declared.absent}
    files, optional, rows = _read_files(archive, used, standard, notes)
    for member in archive.members:
        if member not in used.values() and member is not manifest:
            _count(archive, member)
    roster = assemble(files, optional)
    return Snapshot(
        version=standard.version,
        type="zip",
        name=archive.name,
        sha256=sha256,
        fetched_at=fetched_at,
        complete=True,
        rows=rows,
        orgs=roster.orgs,
        users=roster.users,
        roles=roster.roles,
        classes=roster.classes,
        enrollments=roster.enrollments,
        quarantine=roster.quarantine,
        diagnostics=in_order([*notes, *roster.diagnostics]),
    )


def _known(archive: Archive, notes: list[Diagnostic]) -> dict[str, Member]:
    """Members by the stem of the file that the standard knows, in any version."""
    stems = {f"{stem}.csv".lower(): stem for standard in STANDARDS.values() for stem in (*standard.tables, MANIFEST)}
    members: dict[str, Member] = {}
    for member in archive.members:
        stem = stems.get(member.name.lower())
        if stem is None:
            notes.append(_unknown_file(member.name, "1.1 or 1.2"))
            continue
        members[stem] = member
        if member.name != f"{stem}.csv":
            notes.append(warning("file-name-case", f"{member.name} is read as {stem}.csv", Span(archive.name)))
    return members


def _unknown_file(name: str, version: str) -> Diagnostic:
    shown = "".join(character if character.isprintable() else "?" for character in name[:80])
    return warning("unknown-file", f"{shown} is no file of OneRoster {version} and is not used", Span(shown))


def _looks_like(archive: Archive, members: Mapping[str, Member]) -> str:
    """The version by the files themselves: 1.2 has moved orgs and roles out of users.csv."""
    if "users" not in members or "roles" not in members:
        return "1.1"
    header = next(archive.chunks(members["users"]), b"").split(b"\n", 1)[0].lower()
    return "1.1" if b"orgsourcedids" in header else "1.2"


def _missing(archive: Archive, members: Mapping[str, Member], standard: Standard) -> Iterator[Diagnostic]:
    missing = [f"{stem}.csv" for stem in standard.required if stem not in members]
    if not missing:
        return
    there = ", ".join(sorted(member.name for member in archive.members)) or "no CSV file"
    hint = f"a OneRoster {standard.version} bundle needs {', '.join(f'{stem}.csv' for stem in standard.required)}"
    if archive.nested:
        hint = "there is an archive inside the archive; if the files are in it, send that one alone"
    yield error("missing-file", f"{', '.join(missing)} missing; the archive has {there}", Span(archive.name), hint)


def _read_files(
    archive: Archive, members: Mapping[str, Member], standard: Standard, notes: list[Diagnostic]
) -> tuple[dict[str, Checked], dict[str, pl.Series], dict[str, int]]:
    """Every file of the standard to its last byte: checked, or keys only, or only counted. Raises one Refusal with
    the reasons of all files."""
    files: dict[str, Checked] = {}
    optional: dict[str, pl.Series] = {}
    rows: dict[str, int] = {}
    problems: list[Diagnostic] = []
    for stem in (stem for stem in standard.tables if stem in members):
        try:
            if stem in standard.counted:
                rows[stem] = _count(archive, members[stem])
                notes.extend(_dropped(stem, rows[stem]))
                continue
            sheet = read_sheet(standard.tables[stem], archive.read(members[stem]), standard)
            rows[stem] = sheet.rows
            if not sheet.rows and stem in standard.required:
                notes.append(warning("no-rows", "the file has a header and no rows", Span(sheet.table.file)))
            if stem in KIND_OF:
                files[stem] = check_rows(sheet)
                notes.extend(files[stem].diagnostics)
            else:
                optional[stem] = sheet.frame["sourced_id"].drop_nulls()
                notes.extend(sheet.diagnostics)
        except Refusal as refusal:
            problems.extend(refusal.diagnostics)
    if problems:
        raise Refusal(in_order(problems))
    return files, optional, rows


def _count(archive: Archive, member: Member) -> int:
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
