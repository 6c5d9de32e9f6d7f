"""A OneRoster CSV bundle in a ZIP archive, read whole or refused whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, error, in_order, warning
from reconciler.oneroster.archive.archive import Archive, Member
from reconciler.oneroster.archive.files import Read, count_rows, read_files
from reconciler.oneroster.archive.manifest import MOST_LENGTH, Declared, read_manifest
from reconciler.oneroster.delta.delta import by_themselves, lay_over, whole_before
from reconciler.oneroster.roster.references import many_dangling
from reconciler.oneroster.roster.roster import Roster, assemble
from reconciler.oneroster.roster.sessions import Sessions, newest, sessions_laid_over
from reconciler.oneroster.snapshot import SESSIONS_SCHEMA, Snapshot, SourceFacts
from reconciler.oneroster.standard.tables import IN_USE, MANIFEST, STANDARDS

#: Gives the customer's last good roster, None where none is kept. Asked only where a bundle holds changes (delta).
Base = Callable[[], Snapshot | None]

#: What an archive says of a member that has no time.
NO_TIME = (1980, 1, 1, 0, 0, 0)


def read_zip(path: Path, *, fetched_at: str, name: str | None = None, base: Base | None = None) -> Snapshot:
    """The roster in the archive at `path`, streamed and never extracted to disk.

    fetched_at: ISO-8601 UTC. name: what people know the file as; the path's last part if not given. base: what a
    bundle of changes is laid over; without it such a bundle is only looked at, row by row.
    Raises Refusal with every reason why the bundle as a whole cannot be trusted, and where changes come before any
    whole roster (`delta-without-whole`).
    """
    shown = name or path.name
    try:
        with path.open("rb") as stream:
            return read_bundle(stream, type="zip", name=shown, fetched_at=fetched_at, base=base)
    except OSError as problem:
        raise Refusal([_unreadable(shown, problem)]) from problem


def read_bundle(
    stream: BinaryIO, *, type: str, name: str, fetched_at: str, base: Base | None = None, sha256: str | None = None
) -> Snapshot:
    """The roster in an archive that is open already, whatever it came from. stream: seekable; it stays the caller's to
    close. type: of the source. sha256: of the whole stream, where it is known. The rest as in `read_zip`."""
    try:
        stream.seek(0)
        known = sha256 or hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        stream.seek(0)
        return replace(_read(Archive(stream, name), known, fetched_at, base), type=type)
    except OSError as problem:
        raise Refusal([_unreadable(name, problem)]) from problem


def _unreadable(name: str, problem: OSError) -> Diagnostic:
    reason = problem.strerror or "unknown reason"
    return error("unreadable-file", f"the file cannot be read: {reason}", Span(name), "check its path and permissions")


def _read(archive: Archive, sha256: str, fetched_at: str, base: Base | None) -> Snapshot:
    notes = list(archive.diagnostics)
    members = _known(archive, notes)
    manifest = members.pop(MANIFEST, None)
    declared = read_manifest(
        archive.read(manifest, most=MOST_LENGTH) if manifest else None,
        frozenset(members),
        _looks_like(archive, members),
    )
    notes += declared.diagnostics
    standard = declared.standard
    for stem in sorted(members.keys() - standard.tables.keys()):
        notes.append(_unknown_file(members.pop(stem).name, standard.version))
    used = {stem: member for stem, member in members.items() if stem not in declared.absent}
    problems = [*declared.problems, *_missing(archive, members, used, declared)]
    if problems:
        raise Refusal(in_order(problems))
    read = read_files(archive, used, declared, fetched_at, notes)
    for member in archive.members:
        if member not in used.values() and member is not manifest:
            count_rows(archive, member)
    before = None
    if declared.delta and base is not None:
        before = whole_before(base(), standard.version, archive.name)
    sessions = _sessions(read.sessions, before, delta="academicSessions" in declared.delta)
    roster = _roster(read, declared, before, sessions)
    notes += _dangling(roster, read.rows["enrollments"] if "enrollments" not in declared.delta else None)
    return Snapshot(
        version=standard.version,
        type="zip",
        name=archive.name,
        sha256=sha256,
        fetched_at=fetched_at,
        complete=True,
        rows=read.rows,
        orgs=roster.orgs,
        users=roster.users,
        roles=roster.roles,
        classes=roster.classes,
        enrollments=roster.enrollments,
        quarantine=roster.quarantine,
        diagnostics=in_order([*notes, *roster.diagnostics]),
        modes=dict.fromkeys(sorted(declared.delta), "delta"),
        sessions=sessions,
        facts=_facts(archive, used, declared, read, before),
        waiting=roster.waiting,
        role_ids=roster.role_ids,
        shared=before.shared if before else False,
    )


def _roster(read: Read, declared: Declared, before: Snapshot | None, sessions: pl.DataFrame) -> Roster:
    if not declared.delta:
        return assemble(read.files, read.optional)
    if before is None:
        return by_themselves(read.files, declared.standard)
    # What a file of changes does not name may have been sent before; sessions alone are kept.
    known = {stem: keys for stem, keys in read.optional.items() if stem not in declared.delta}
    if sessions.height:
        told = [sessions["sourced_id"], *([read.sessions.keys] if read.sessions else [])]
        known["academicSessions"] = pl.concat(told).unique()
    return lay_over(before, read.files, declared.standard, known)


def _dangling(roster: Roster, rows: int | None) -> Iterator[Diagnostic]:
    """rows: of enrollments.csv as read; None where they are laid over earlier ones."""
    fault = (pl.col("file") == "enrollments.csv") & (pl.col("code") == "dangling-reference")
    dangling = roster.quarantine.filter(fault).height
    return many_dangling(dangling, roster.enrollments.height + dangling if rows is None else rows)


def _sessions(sent: Sessions | None, before: Snapshot | None, *, delta: bool) -> pl.DataFrame:
    earlier = before.sessions if before and delta else pl.DataFrame(schema=SESSIONS_SCHEMA)
    if sent is None:
        return earlier
    return sessions_laid_over(earlier, sent) if delta else sent.frame


def _facts(
    archive: Archive, used: Mapping[str, Member], declared: Declared, read: Read, before: Snapshot | None
) -> SourceFacts:
    """Of changes laid over a roster: what both of them together have, and the newer one's times."""
    packed = [member.entry.date_time for member in archive.members if member.entry.date_time > NO_TIME]
    known = before.facts if before else SourceFacts()
    return SourceFacts(
        files=tuple(sorted({*used, *known.files})),
        system=declared.system or known.system,
        modified_at=newest(read.times) or known.modified_at,
        packed_at="{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*max(packed)) if packed else None,
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


def _missing(
    archive: Archive, members: Mapping[str, Member], used: Mapping[str, Member], declared: Declared
) -> Iterator[Diagnostic]:
    standard = declared.standard
    missing = [f"{stem}.csv" for stem in standard.required if stem not in members]
    if not missing or (declared.delta and IN_USE.keys() & used.keys()):
        return
    there = ", ".join(sorted(member.name for member in archive.members)) or "no CSV file"
    hint = f"a OneRoster {standard.version} bundle needs {', '.join(f'{stem}.csv' for stem in standard.required)}"
    if declared.delta:
        hint = "a bundle of changes (delta) needs at least one file with changes"
    yield error("missing-file", f"{', '.join(missing)} missing; the archive has {there}", Span(archive.name), hint)
