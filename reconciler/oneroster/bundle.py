"""A OneRoster CSV bundle in a ZIP archive, read whole or refused whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_warning, sort_diagnostics
from reconciler.oneroster.archive.archive import Archive, ArchiveMember
from reconciler.oneroster.archive.manifest import MOST_LENGTH, BundleManifest, read_manifest
from reconciler.oneroster.bundle_files import ArchiveContents, count_rows, read_files
from reconciler.oneroster.delta.delta import build_standalone_roster, overlay_delta, require_full_base
from reconciler.oneroster.roster.references import check_dangling_share
from reconciler.oneroster.roster.roster import Roster, assemble_roster
from reconciler.oneroster.roster.sessions import Sessions, find_newest_time, merge_sessions
from reconciler.oneroster.snapshot import SESSIONS_SCHEMA, Snapshot, SourceFacts
from reconciler.oneroster.standard.tables import IN_USE, MANIFEST, STANDARDS

#: Gives the customer's last good roster, None where none is kept. Asked only where a bundle holds changes (delta).
BaseLoader = Callable[[], Snapshot | None]

#: What an archive says of a member that has no time.
NO_TIME = (1980, 1, 1, 0, 0, 0)


def read_zip(path: Path, *, fetched_at: str, name: str | None = None, load_base: BaseLoader | None = None) -> Snapshot:
    """The roster in the archive at `path`, streamed and never extracted to disk.

    fetched_at: ISO-8601 UTC. name: what people know the file as; the path's last part if not given. base: what a
    bundle of changes is laid over; without it such a bundle is only looked at, row by row.
    Raises Refusal with every reason why the bundle as a whole cannot be trusted, and where changes come before any
    whole roster (`delta-without-whole`).
    """
    shown = name or path.name
    try:
        with path.open("rb") as stream:
            return read_bundle(stream, type="zip", name=shown, fetched_at=fetched_at, load_base=load_base)
    except OSError as problem:
        raise Refusal([_make_unreadable_error(shown, problem)]) from problem


def read_bundle(
    stream: BinaryIO,
    *,
    type: str,
    name: str,
    fetched_at: str,
    load_base: BaseLoader | None = None,
    sha256: str | None = None,
) -> Snapshot:
    """The roster in an archive that is open already, whatever it came from. stream: seekable; it stays the caller's to
    close. type: of the source. sha256: of the whole stream, where it is known. The rest as in `read_zip`."""
    try:
        stream.seek(0)
        known = sha256 or hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        stream.seek(0)
        return replace(_read_archive(Archive(stream, name), known, fetched_at, load_base), type=type)
    except OSError as problem:
        raise Refusal([_make_unreadable_error(name, problem)]) from problem


def _make_unreadable_error(name: str, problem: OSError) -> Diagnostic:
    reason = problem.strerror or "unknown reason"
    return build_error(
        "unreadable-file", f"the file cannot be read: {reason}", Span(name), "check its path and permissions"
    )


def _read_archive(archive: Archive, sha256: str, fetched_at: str, load_base: BaseLoader | None) -> Snapshot:
    notes = list(archive.diagnostics)
    members = _find_known_members(archive, notes)
    manifest = members.pop(MANIFEST, None)
    declared = read_manifest(
        archive.read(manifest, most=MOST_LENGTH) if manifest else None,
        frozenset(members),
        _infer_version(archive, members),
    )
    notes += declared.diagnostics
    standard = declared.standard
    for stem in sorted(members.keys() - standard.tables.keys()):
        notes.append(_make_unknown_file_warning(members.pop(stem).name, standard.version))
    used = {stem: member for stem, member in members.items() if stem not in declared.absent}
    problems = [*declared.problems, *_check_missing_files(archive, members, used, declared)]
    if problems:
        raise Refusal(sort_diagnostics(problems))
    read = read_files(archive, used, declared, fetched_at, notes)
    for member in archive.members:
        if member not in used.values() and member is not manifest:
            count_rows(archive, member)
    before = None
    if declared.delta and load_base is not None:
        before = require_full_base(load_base(), standard.version, archive.name)
    sessions = _resolve_sessions(read.sessions, before, delta="academicSessions" in declared.delta)
    roster = _build_roster(read, declared, before, sessions)
    notes += _check_dangling(roster, read.rows["enrollments"] if "enrollments" not in declared.delta else None)
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
        diagnostics=sort_diagnostics([*notes, *roster.diagnostics]),
        modes=dict.fromkeys(sorted(declared.delta), "delta"),
        sessions=sessions,
        facts=_collect_facts(archive, used, declared, read, before),
        waiting=roster.waiting,
        role_ids=roster.role_ids,
        shared=before.shared if before else False,
    )


def _build_roster(
    contents: ArchiveContents, manifest: BundleManifest, base: Snapshot | None, sessions: pl.DataFrame
) -> Roster:
    if not manifest.delta:
        return assemble_roster(contents.files, contents.optional)
    if base is None:
        return build_standalone_roster(contents.files, manifest.standard)
    # What a file of changes does not name may have been sent before; sessions alone are kept.
    known = {stem: keys for stem, keys in contents.optional.items() if stem not in manifest.delta}
    if sessions.height:
        told = [sessions["sourced_id"], *([contents.sessions.keys] if contents.sessions else [])]
        known["academicSessions"] = pl.concat(told).unique()
    return overlay_delta(base, contents.files, manifest.standard, known)


def _check_dangling(roster: Roster, rows: int | None) -> Iterator[Diagnostic]:
    """rows: of enrollments.csv as read; None where they are laid over earlier ones."""
    fault = (pl.col("file") == "enrollments.csv") & (pl.col("code") == "dangling-reference")
    dangling = roster.quarantine.filter(fault).height
    return check_dangling_share(dangling, roster.enrollments.height + dangling if rows is None else rows)


def _resolve_sessions(new_sessions: Sessions | None, base: Snapshot | None, *, delta: bool) -> pl.DataFrame:
    earlier = base.sessions if base and delta else pl.DataFrame(schema=SESSIONS_SCHEMA)
    if new_sessions is None:
        return earlier
    return merge_sessions(earlier, new_sessions) if delta else new_sessions.frame


def _collect_facts(
    archive: Archive,
    members_in_use: Mapping[str, ArchiveMember],
    manifest: BundleManifest,
    contents: ArchiveContents,
    base: Snapshot | None,
) -> SourceFacts:
    """Of changes laid over a roster: what both of them together have, and the newer one's times."""
    packed = [member.entry.date_time for member in archive.members if member.entry.date_time > NO_TIME]
    known = base.facts if base else SourceFacts()
    return SourceFacts(
        files=tuple(sorted({*members_in_use, *known.files})),
        system=manifest.system or known.system,
        modified_at=find_newest_time(contents.times) or known.modified_at,
        packed_at="{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*max(packed)) if packed else None,
    )


def _find_known_members(archive: Archive, diagnostics: list[Diagnostic]) -> dict[str, ArchiveMember]:
    """Members by the stem of the file that the standard knows, in any version."""
    stems = {f"{stem}.csv".lower(): stem for standard in STANDARDS.values() for stem in (*standard.tables, MANIFEST)}
    members: dict[str, ArchiveMember] = {}
    for member in archive.members:
        stem = stems.get(member.name.lower())
        if stem is None:
            diagnostics.append(_make_unknown_file_warning(member.name, "1.1 or 1.2"))
            continue
        members[stem] = member
        if member.name != f"{stem}.csv":
            diagnostics.append(
                build_warning("file-name-case", f"{member.name} is read as {stem}.csv", Span(archive.name))
            )
    return members


def _make_unknown_file_warning(name: str, version: str) -> Diagnostic:
    shown = "".join(character if character.isprintable() else "?" for character in name[:80])
    return build_warning("unknown-file", f"{shown} is no file of OneRoster {version} and is not used", Span(shown))


def _infer_version(archive: Archive, members: Mapping[str, ArchiveMember]) -> str:
    """The version by the files themselves: 1.2 has moved orgs and roles out of users.csv."""
    if "users" not in members or "roles" not in members:
        return "1.1"
    header = next(archive.iter_chunks(members["users"]), b"").split(b"\n", 1)[0].lower()
    return "1.1" if b"orgsourcedids" in header else "1.2"


def _check_missing_files(
    archive: Archive,
    members: Mapping[str, ArchiveMember],
    members_in_use: Mapping[str, ArchiveMember],
    manifest: BundleManifest,
) -> Iterator[Diagnostic]:
    standard = manifest.standard
    missing = [f"{stem}.csv" for stem in standard.required if stem not in members]
    if not missing or (manifest.delta and IN_USE.keys() & members_in_use.keys()):
        return
    there = ", ".join(sorted(member.name for member in archive.members)) or "no CSV file"
    hint = f"a OneRoster {standard.version} bundle needs {', '.join(f'{stem}.csv' for stem in standard.required)}"
    if manifest.delta:
        hint = "a bundle of changes (delta) needs at least one file with changes"
    yield build_error(
        "missing-file", f"{', '.join(missing)} missing; the archive has {there}", Span(archive.name), hint
    )
