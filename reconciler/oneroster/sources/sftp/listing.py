"""Decides which file of a folder is the roster, from a listing alone."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

EntryKind = Literal["file", "folder", "link", "other"]
Pick = Literal["newest", "last_by_name"]

#: Suffixes of files that are still being uploaded.
PARTIAL_SUFFIXES = (".filepart", ".part", ".tmp", ".partial", ".crdownload")
#: Suffixes of files that are never a roster, whether configured as markers or not.
MARKERS = (".done", ".sha256")
#: Seconds by which two clocks may differ without a warning.
MAX_CLOCK_SKEW = 60.0


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Size and time of a file in a listing."""

    #: bytes
    size: int
    #: seconds since 1970 by the server's clock; 0 if it doesn't say
    mtime: int


@dataclass(frozen=True, slots=True)
class RemoteEntry:
    name: str
    kind: EntryKind
    facts: FileFacts


@dataclass(frozen=True, slots=True)
class RosterFileChoice:
    """The file that a pattern chose, and the runners-up."""

    best: RemoteEntry | None
    other_names: tuple[str, ...] = ()
    incomplete_names: tuple[str, ...] = ()
    is_skewed: bool = False


def is_pattern(path: str) -> bool:
    """Return whether several files may match, by the shell's rules."""
    return any(character in path for character in "*?[")


def is_ignored(name: str, marker: str | None = None) -> bool:
    """Return whether a name is never a roster: unfinished, hidden, or a marker."""
    folded = name.casefold()
    markers = (*MARKERS, marker) if marker else MARKERS
    return name.startswith(".") or folded.endswith((*PARTIAL_SUFFIXES, *(each.casefold() for each in markers)))


def match_entries(entries: Iterable[RemoteEntry], pattern: str, marker: str | None = None) -> list[RemoteEntry]:
    """Return the files and links that match a pattern, case-sensitively."""
    return [
        entry
        for entry in entries
        if entry.kind in ("file", "link")
        and fnmatch.fnmatchcase(entry.name, pattern)
        and not is_ignored(entry.name, marker)
    ]


def sort_entries(entries: Iterable[RemoteEntry], pick: Pick, now: float) -> list[RemoteEntry]:
    """Sort the best first. Future times count as now, so that two files with future times are equally new."""
    if pick == "last_by_name":
        return sorted(entries, key=lambda entry: entry.name, reverse=True)
    return sorted(entries, key=lambda entry: (min(entry.facts.mtime, now), entry.name), reverse=True)


def choose_roster_file(
    candidates: Sequence[RemoteEntry], pick: Pick, now: float, complete: Mapping[str, bool] | None = None
) -> RosterFileChoice:
    """Return which file of a listing to fetch.

    complete: by name, whether its done marker says that it is complete; None if no marker is configured.
    """
    ordered = sort_entries(candidates, pick, now)
    whole = [entry for entry in ordered if complete is None or complete.get(entry.name, False)]
    if not whole:
        return RosterFileChoice(None, incomplete_names=tuple(entry.name for entry in ordered))
    taken = whole[0]
    before = ordered[: ordered.index(taken)]
    return RosterFileChoice(
        taken,
        other_names=tuple(entry.name for entry in whole[1:]),
        incomplete_names=tuple(entry.name for entry in before),
        is_skewed=is_skewed(taken.facts, now),
    )


def is_skewed(facts: FileFacts, now: float) -> bool:
    return facts.mtime > now + MAX_CLOCK_SKEW


def split_csv_files(entries: Iterable[RemoteEntry], marker: str | None = None) -> tuple[list[RemoteEntry], list[str]]:
    """Return a folder's CSV files, sorted by name, and the names of its other entries."""
    kept = []
    left = []
    for entry in sorted(entries, key=lambda entry: entry.name):
        wanted = entry.name.casefold().endswith(".csv") and entry.kind in ("file", "link")
        if wanted and not is_ignored(entry.name, marker):
            kept.append(entry)
        else:
            left.append(entry.name)
    return kept, left


def convert_link_to_file(entry: RemoteEntry, facts: FileFacts) -> RemoteEntry:
    """Return a link as the file that it leads to."""
    return replace(entry, kind="file", facts=facts)


# A done marker shows that the roster next to it is complete; a .sha256 file also has its digest.

DIGEST_MARKER = ".sha256"
#: Maximum bytes of a marker.
MAX_MARKER_BYTES = 64 * 1024
#: As `sha256sum` writes it (a `*` before the name means binary), and with `--tag`.
PLAIN_DIGEST_LINE = re.compile(r"([0-9a-fA-F]{64})(?:[ \t]+\*?(.+))?")
BSD_DIGEST_LINE = re.compile(r"SHA256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})")

MarkerState = Literal["done", "missing", "older"]


def has_digest(marker: str) -> bool:
    return marker.lower().endswith(DIGEST_MARKER)


def get_marker_state(roster: FileFacts, marker: FileFacts | None) -> MarkerState:
    """Return the state of a marker; one that is older than the roster belongs to an earlier file."""
    if marker is None:
        return "missing"
    return "older" if marker.mtime < roster.mtime else "done"


def parse_digests(text: str) -> dict[str, str]:
    """Return lowercase SHA-256 digests by file name without folders, an empty name if a line has none.

    Empty if any line has another form.
    """
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.lstrip("\ufeff").splitlines())):
        if plain := PLAIN_DIGEST_LINE.fullmatch(line):
            digest, name = plain[1], plain[2] or ""
        elif tagged := BSD_DIGEST_LINE.fullmatch(line):
            digest, name = tagged[2], tagged[1]
        else:
            return {}
        found[name.strip().replace("\\", "/").rpartition("/")[2]] = digest.lower()
    return found


def find_digest(text: str, name: str) -> str | None:
    """Return a file's digest: under its name, or the only one if that has no name; else None."""
    found = parse_digests(text)
    return found.get(name, found.get("") if len(found) == 1 else None)
