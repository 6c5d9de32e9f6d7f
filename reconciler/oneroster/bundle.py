"""Reads a OneRoster ZIP file, all of it or nothing."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_warning, sort_diagnostics
from reconciler.model.ids import Moment
from reconciler.oneroster.archive.archive import Archive, ArchiveMember
from reconciler.oneroster.archive.manifest import MOST_LENGTH, BundleManifest, read_manifest
from reconciler.oneroster.bundle_files import ArchiveContents, count_rows, read_files
from reconciler.oneroster.delta.delta import build_standalone_roster, overlay_delta, require_full_base
from reconciler.oneroster.roster.references import check_dangling_share
from reconciler.oneroster.roster.roster import Roster, assemble_roster
from reconciler.oneroster.roster.sessions import Sessions, find_newest_time, merge_sessions
from reconciler.oneroster.snapshot import SESSIONS_SCHEMA, Snapshot, SourceFacts
from reconciler.oneroster.standard.tables import IN_USE, MANIFEST, STANDARDS

#: Returns the customer's last good roster, or None if there is none. Called only for a delta.
BaseLoader = Callable[[], Snapshot | None]

#: The time of a member without a time.
NO_TIME = (1980, 1, 1, 0, 0, 0)


def read_zip(
    path: Path, *, fetched_at: Moment, name: str | None = None, load_base: BaseLoader | None = None
) -> Snapshot:
    """Read the OneRoster ZIP at `path` without extracting it to disk.

    `fetched_at` is ISO-8601 UTC; `name` is the name shown to people, by default the file name. A delta is overlaid on
    the roster from `load_base`; without a loader, only its rows are checked.
    Raises Refusal with every reason why the archive cannot be trusted, and `delta-without-whole` for a delta without a
    full roster before it.
    """
    name = name or path.name
    try:
        with path.open("rb") as stream:
            return read_bundle(stream, type="zip", name=name, fetched_at=fetched_at, load_base=load_base)
    except OSError as problem:
        raise Refusal([_make_unreadable_error(name, problem)]) from problem


def read_bundle(
    stream: BinaryIO,
    *,
    type: str,
    name: str,
    fetched_at: Moment,
    load_base: BaseLoader | None = None,
    sha256: str | None = None,
) -> Snapshot:
    """Read a OneRoster ZIP from a seekable stream, which the caller closes.

    `type` is the source's; `sha256` is of the whole stream, computed if None. The rest is as for `read_zip`."""
    try:
        stream.seek(0)
        digest = sha256 or hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
        stream.seek(0)
        snapshot = _read_archive(Archive(stream, name), digest, fetched_at, load_base)
        # An API has a status in each row; only CSV files must leave it blank.
        said = tuple(each for each in snapshot.diagnostics if type != "api" or each.code != "status-in-bulk")
        return replace(snapshot, type=type, diagnostics=said)
    except OSError as problem:
        raise Refusal([_make_unreadable_error(name, problem)]) from problem


def _make_unreadable_error(name: str, problem: OSError) -> Diagnostic:
    reason = problem.strerror or "unknown reason"
    return build_error(
        "unreadable-file", f"the file cannot be read: {reason}", Span(name), "Check its path and permissions."
    )


def _read_archive(archive: Archive, sha256: str, fetched_at: Moment, load_base: BaseLoader | None) -> Snapshot:
    diagnostics = list(archive.diagnostics)
    members = _find_known_members(archive, diagnostics)
    manifest_member = members.pop(MANIFEST, None)
    manifest = read_manifest(
        archive.read(manifest_member, most=MOST_LENGTH) if manifest_member else None,
        frozenset(members),
        _infer_version(archive, members),
    )
    diagnostics += manifest.diagnostics
    standard = manifest.standard
    for stem in sorted(members.keys() - standard.tables.keys()):
        diagnostics.append(_make_unknown_file_warning(members.pop(stem).name, standard.version))
    used = {stem: member for stem, member in members.items() if stem not in manifest.absent}
    problems = [*manifest.problems, *_check_missing_files(archive, members, used, manifest)]
    if problems:
        raise Refusal(sort_diagnostics(problems))
    contents = read_files(archive, used, manifest, fetched_at, diagnostics)
    for member in archive.members:
        if member not in used.values() and member is not manifest_member:
            count_rows(archive, member)
    base = None
    if manifest.delta and load_base is not None:
        base = require_full_base(load_base(), standard.version, archive.name)
    sessions = _resolve_sessions(contents.sessions, base, delta="academicSessions" in manifest.delta)
    roster = _build_roster(contents, manifest, base, sessions)
    diagnostics += _check_dangling(
        roster, contents.rows["enrollments"] if "enrollments" not in manifest.delta else None
    )
    return Snapshot(
        version=standard.version,
        type="zip",
        name=archive.name,
        sha256=sha256,
        fetched_at=fetched_at,
        complete=True,
        rows=contents.rows,
        orgs=roster.orgs,
        users=roster.users,
        roles=roster.roles,
        classes=roster.classes,
        enrollments=roster.enrollments,
        quarantine=roster.quarantine,
        diagnostics=sort_diagnostics([*diagnostics, *roster.diagnostics]),
        modes=dict.fromkeys(sorted(manifest.delta), "delta"),
        sessions=sessions,
        facts=_collect_facts(archive, used, manifest, contents, base),
        waiting=roster.waiting,
        role_ids=roster.role_ids,
        bare_deletions=roster.bare_deletions,
        shared=base.shared if base else False,
    )


def _build_roster(
    contents: ArchiveContents, manifest: BundleManifest, base: Snapshot | None, sessions: pl.DataFrame
) -> Roster:
    if not manifest.delta:
        return assemble_roster(contents.files, contents.optional)
    if base is None:
        return build_standalone_roster(contents.files, manifest.standard)
    # A delta may refer to records sent earlier; of the optional files, only sessions are kept to check that.
    known = {stem: keys for stem, keys in contents.optional.items() if stem not in manifest.delta}
    if sessions.height:
        keys = [sessions["sourced_id"], *([contents.sessions.keys] if contents.sessions else [])]
        known["academicSessions"] = pl.concat(keys).unique()
    return overlay_delta(base, contents.files, manifest.standard, known)


def _check_dangling(roster: Roster, rows: int | None) -> Iterator[Diagnostic]:
    """Check the share of dangling enrollments; `rows` is their number as read, None for a delta."""
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
    """Collect the facts of an archive; a delta adds the files of its base and keeps its values where it has none."""
    packed = [member.entry.date_time for member in archive.members if member.entry.date_time > NO_TIME]
    earlier = base.facts if base else SourceFacts()
    return SourceFacts(
        files=tuple(sorted({*members_in_use, *earlier.files})),
        system=manifest.system or earlier.system,
        modified_at=find_newest_time(contents.times) or earlier.modified_at,
        packed_at="{:04}-{:02}-{:02}T{:02}:{:02}:{:02}".format(*max(packed)) if packed else None,
    )


def _find_known_members(archive: Archive, diagnostics: list[Diagnostic]) -> dict[str, ArchiveMember]:
    """Return the members that are files of the standard, in any version, by stem."""
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
    return build_warning("unknown-file", f"{shown} is not a file of OneRoster {version} and is not used", Span(shown))


def _infer_version(archive: Archive, members: Mapping[str, ArchiveMember]) -> str:
    """Return the version by the files: 1.2 moves orgs and roles out of users.csv."""
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
    present = ", ".join(sorted(member.name for member in archive.members)) or "no CSV file"
    required = ", ".join(f"{stem}.csv" for stem in standard.required)
    hint = f"Include all files that a OneRoster {standard.version} roster requires: {required}."
    if manifest.delta:
        hint = "Include at least one file with changes in a delta."
    yield build_error(
        "missing-file", f"{', '.join(missing)} missing; the archive has {present}", Span(archive.name), hint
    )
