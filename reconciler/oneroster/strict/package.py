"""Checks the members of the ZIP package: the files of the standard, and others."""

import posixpath
import stat
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, BinaryIO, cast

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.archive.archive import (
    ENCRYPTED_FLAG,
    METHODS,
    MOST_NAME_LENGTH,
    Archive,
    ArchiveMember,
    ReadMeter,
    format_member_name,
    has_unsafe_name,
    list_files,
)
from reconciler.oneroster.standard.tables import MANIFEST
from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.tables import TABLES

#: Refusals after which nothing in the archive can be read safely.
HOPELESS = frozenset(
    {"empty-file", "not-a-zip", "truncated-archive", "too-many-members", "overlapping-members", "unreadable-file"}
)
#: Lowercase file names of the standard -> stem.
STEMS = {f"{stem}.csv".lower(): stem for stem in (MANIFEST, *TABLES["1.1"], *TABLES["1.2"])}


class _SalvageArchive(Archive):
    """A refused archive whose safe members can still be read, under the same caps."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self._unpacked = 0
        self._source = ReadMeter(stream)
        self._zip = zipfile.ZipFile(cast(IO[bytes], self._source))


@dataclass(frozen=True, slots=True)
class Package:
    """An archive and its files of the standard, of any version."""

    archive: Archive
    #: File names in the archive, by stem.
    names: Mapping[str, str]
    #: The files that can be read safely, by stem.
    members: Mapping[str, ArchiveMember]


def open_package(stream: BinaryIO, name: str, findings: Findings) -> Package | None:
    """Open an archive, or return None if no file can be read safely; the caller closes the stream."""
    try:
        archive: Archive = Archive(stream, name)
    except Refusal as refusal:
        findings.add_refusals(refusal.diagnostics)
        if HOPELESS & {diagnostic.code for diagnostic in refusal.diagnostics}:
            return None
        stream.seek(0)
        archive = _SalvageArchive(stream, name)
    stream.seek(0)
    with zipfile.ZipFile(stream) as directory:
        entries = list_files(directory)
    known = _find_standard_files(entries, findings, name)
    names = {stem: posixpath.basename(entry.filename) for stem, entry in known.items()}
    members = {
        stem: ArchiveMember(names[stem], entry.compress_size, entry) for stem, entry in known.items() if _is_safe(entry)
    }
    return Package(archive, names, members)


def _find_standard_files(
    entries: Sequence[zipfile.ZipInfo], findings: Findings, name: str
) -> dict[str, zipfile.ZipInfo]:
    """Return the first entry of each file of the standard, by stem, and report the others."""
    folder = _find_folder(entries)
    if folder:
        message = f"the files are in the directory {format_member_name(folder)}"
        findings.add_finding("strict-folder-in-archive", message, name)
    known: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        path = entry.filename
        inside, base = posixpath.split(path)
        stem = STEMS.get(base.lower()) if inside == folder else None
        if stem is None:
            findings.add_finding(
                "strict-unknown-file",
                f"{format_member_name(path)} is not a file of OneRoster",
                format_member_name(path),
            )
        elif stem in known and known[stem].filename == path:
            findings.add_finding("strict-duplicate-file", f"{base} is in the archive twice", base)
        else:
            if base != f"{stem}.csv":
                findings.add_finding("strict-file-name-case", f"{base} must be named {stem}.csv", base)
            known.setdefault(stem, entry)
    return known


def _find_folder(entries: Sequence[zipfile.ZipInfo]) -> str:
    """Return the directory of the files of the standard: the root if any is there, else the one with most of them."""
    counts: dict[str, int] = {}
    for entry in entries:
        inside, base = posixpath.split(entry.filename)
        if base.lower() in STEMS and not has_unsafe_name(entry):
            counts[inside] = counts.get(inside, 0) + 1
    if not counts or "" in counts:
        return ""
    return min(counts, key=lambda inside: (-counts[inside], inside))


def _is_safe(entry: zipfile.ZipInfo) -> bool:
    return (
        not has_unsafe_name(entry)
        and len(entry.filename) <= MOST_NAME_LENGTH
        and stat.S_IFMT(entry.external_attr >> 16) in (0, stat.S_IFREG)
        and not entry.flag_bits & ENCRYPTED_FLAG
        and entry.compress_type in METHODS
    )
