"""The ZIP package by the letter: which of its members are files of the standard, and what else is in it."""

from __future__ import annotations

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
    UNSAFE_NAME,
    Archive,
    ArchiveMember,
    ReadMeter,
)
from reconciler.oneroster.standard.tables import MANIFEST
from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.tables import TABLES

#: After these nothing in the archive can be read safely.
HOPELESS = frozenset(
    {"empty-file", "not-a-zip", "truncated-archive", "too-many-members", "overlapping-members", "unreadable-file"}
)
#: Every file name of the standard in lower case, and its stem.
STEMS = {f"{stem}.csv".lower(): stem for stem in (MANIFEST, *TABLES["1.1"], *TABLES["1.2"])}


class _SalvageArchive(Archive):
    """What can be read of an archive that was refused, under the same caps."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self._unpacked = 0
        self._source = ReadMeter(stream)
        self._zip = zipfile.ZipFile(cast(IO[bytes], self._source))


@dataclass(frozen=True, slots=True)
class Package:
    """names: what the files of the standard, of any version, are called in the archive, by stem. members: those of
    them that can be read safely."""

    archive: Archive
    names: Mapping[str, str]
    members: Mapping[str, ArchiveMember]


def open_package(stream: BinaryIO, name: str, findings: Findings) -> Package | None:
    """None where nothing in it can be read safely; why is among the findings. The stream stays the caller's."""
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
        entries = [entry for entry in directory.infolist() if not entry.is_dir()]
    known = _find_standard_files(entries, findings, name)
    names = {stem: posixpath.basename(entry.filename) for stem, entry in known.items()}
    members = {
        stem: ArchiveMember(names[stem], entry.compress_size, entry) for stem, entry in known.items() if _is_safe(entry)
    }
    return Package(archive, names, members)


def format_member_name(name: str) -> str:
    """A member's name that a terminal can show: no control characters, not endless."""
    safe = "".join(character if character.isprintable() else "?" for character in name)
    return safe if len(safe) <= 80 else f"{safe[:77]}..."


def _find_standard_files(
    entries: Sequence[zipfile.ZipInfo], findings: Findings, name: str
) -> dict[str, zipfile.ZipInfo]:
    """The first entry of each file of the standard, by stem; of the others it is said why they are none."""
    folder = _find_folder(entries)
    if folder:
        message = f"the files are inside the folder {format_member_name(folder)}"
        findings.add_finding("strict-folder-in-archive", message, name)
    known: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        path = entry.filename
        inside, base = posixpath.split(path)
        stem = STEMS.get(base.lower()) if inside == folder else None
        if stem is None:
            findings.add_finding(
                "strict-unknown-file", f"{format_member_name(path)} is no file of OneRoster", format_member_name(path)
            )
        elif stem in known and known[stem].filename == path:
            findings.add_finding("strict-duplicate-file", f"{base} is in the archive twice", base)
        else:
            if base != f"{stem}.csv":
                findings.add_finding("strict-file-name-case", f"{base} must be named {stem}.csv", base)
            known.setdefault(stem, entry)
    return known


def _find_folder(entries: Sequence[zipfile.ZipInfo]) -> str:
    """Where the files of the standard are: the root if any is there, else the folder with most of them."""
    held: dict[str, int] = {}
    for entry in entries:
        inside, base = posixpath.split(entry.filename)
        if base.lower() in STEMS and not UNSAFE_NAME.search(entry.orig_filename):
            held[inside] = held.get(inside, 0) + 1
    if not held or "" in held:
        return ""
    return min(held, key=lambda inside: (-held[inside], inside))


def _is_safe(entry: zipfile.ZipInfo) -> bool:
    return (
        not UNSAFE_NAME.search(entry.orig_filename)
        and len(entry.filename) <= MOST_NAME_LENGTH
        and stat.S_IFMT(entry.external_attr >> 16) in (0, stat.S_IFREG)
        and not entry.flag_bits & ENCRYPTED_FLAG
        and entry.compress_type in METHODS
    )
