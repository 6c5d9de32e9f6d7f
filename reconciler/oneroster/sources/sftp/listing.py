"""Which of the files in a folder is the roster: a decision over a listing, made without asking the server anything."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["file", "folder", "link", "other"]
Pick = Literal["newest", "last_by_name"]

#: What programs call a file that they have not sent whole yet.
UNFINISHED = (".filepart", ".part", ".tmp", ".partial", ".crdownload")
#: What lies beside a roster and is none, configured or not.
MARKERS = (".done", ".sha256")
#: Seconds by which two clocks may differ without a word.
SKEW = 60.0


@dataclass(frozen=True, slots=True)
class Facts:
    """size: bytes. mtime: seconds since 1970 by the server's clock; 0 where it does not say."""

    size: int
    mtime: int


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    kind: Kind
    facts: Facts


@dataclass(frozen=True, slots=True)
class Choice:
    """taken: None where nothing fits. others: names that fit as well, the next best first; incomplete: those that would
    have come before it but for their done marker. skewed: the taken one is of the future by our clock."""

    taken: Entry | None
    others: tuple[str, ...] = ()
    incomplete: tuple[str, ...] = ()
    skewed: bool = False


def is_pattern(path: str) -> bool:
    """Whether several files may fit, as a shell reads it."""
    return any(character in path for character in "*?[")


def passed_over(name: str, marker: str | None = None) -> bool:
    """Whether a name in a listing is never a roster's: unfinished, hidden, or a marker."""
    folded = name.casefold()
    markers = (*MARKERS, marker) if marker else MARKERS
    return name.startswith(".") or folded.endswith((*UNFINISHED, *(each.casefold() for each in markers)))


def fitting(entries: Iterable[Entry], pattern: str, marker: str | None = None) -> list[Entry]:
    """Files and links that fit a pattern, upper and lower case told apart."""
    return [
        entry
        for entry in entries
        if entry.kind in ("file", "link")
        and fnmatch.fnmatchcase(entry.name, pattern)
        and not passed_over(entry.name, marker)
    ]


def in_order(entries: Iterable[Entry], pick: Pick, now: float) -> list[Entry]:
    """The best first. No time is later than now: two files of the future are as new as each other."""
    if pick == "last_by_name":
        return sorted(entries, key=lambda entry: entry.name, reverse=True)
    return sorted(entries, key=lambda entry: (min(entry.facts.mtime, now), entry.name), reverse=True)


def chosen(candidates: Sequence[Entry], pick: Pick, now: float, complete: Mapping[str, bool] | None = None) -> Choice:
    """complete: by name, whether its done marker says that it is whole; None where no marker is configured."""
    ordered = in_order(candidates, pick, now)
    whole = [entry for entry in ordered if complete is None or complete.get(entry.name, False)]
    if not whole:
        return Choice(None, incomplete=tuple(entry.name for entry in ordered))
    taken = whole[0]
    before = ordered[: ordered.index(taken)]
    return Choice(
        taken,
        others=tuple(entry.name for entry in whole[1:]),
        incomplete=tuple(entry.name for entry in before),
        skewed=is_skewed(taken.facts, now),
    )


def is_skewed(facts: Facts, now: float) -> bool:
    return facts.mtime > now + SKEW


def csv_files(entries: Iterable[Entry], marker: str | None = None) -> tuple[list[Entry], list[str]]:
    """Of a folder: its CSV files by name, and the names of what else lies there and is left."""
    kept = []
    left = []
    for entry in sorted(entries, key=lambda entry: entry.name):
        wanted = entry.name.casefold().endswith(".csv") and entry.kind in ("file", "link")
        if wanted and not passed_over(entry.name, marker):
            kept.append(entry)
        else:
            left.append(entry.name)
    return kept, left


def seen_through(entry: Entry, facts: Facts) -> Entry:
    """A link, as the file that it leads to."""
    return replace(entry, kind="file", facts=facts)


# What a done marker says: that the roster beside it is whole, and maybe what its SHA-256 is.

DIGEST_MARKER = ".sha256"
#: Bytes that such a file may have.
MOST_BYTES = 64 * 1024
#: As `sha256sum` writes it (a `*` before the name: read as binary), and with `--tag`.
PLAIN = re.compile(r"([0-9a-fA-F]{64})(?:[ \t]+\*?(.+))?")
TAGGED = re.compile(r"SHA256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})")

State = Literal["done", "missing", "older"]


def holds_digest(marker: str) -> bool:
    return marker.lower().endswith(DIGEST_MARKER)


def state(roster: Facts, marker: Facts | None) -> State:
    """A marker that is older than the roster is of the one before it."""
    if marker is None:
        return "missing"
    return "older" if marker.mtime < roster.mtime else "done"


def digests(text: str) -> dict[str, str]:
    """Lower-case SHA-256 by file name, without folders; under the empty name where a line has none. Empty where any
    line is something else."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.lstrip("\ufeff").splitlines())):
        if plain := PLAIN.fullmatch(line):
            digest, name = plain[1], plain[2] or ""
        elif tagged := TAGGED.fullmatch(line):
            digest, name = tagged[2], tagged[1]
        else:
            return {}
        found[name.strip().replace("\\", "/").rpartition("/")[2]] = digest.lower()
    return found


def digest_of(text: str, name: str) -> str | None:
    """The one that is meant for a file: under its name, else the only one there is without a name."""
    found = digests(text)
    return found.get(name, found.get("") if len(found) == 1 else None)
