"""What a done marker says: that the roster beside it is whole, and maybe what its SHA-256 is."""

from __future__ import annotations

import re
from typing import Literal

from reconciler.oneroster.sources.sftp.listing import Facts

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
