"""The file that holds what is remembered: one line for each customer, taken only as a whole and only from ourselves.

It is no record of anything: where it is missing, broken, another program's, or could have been written by others, it is
as if there were none.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from reconciler.config.recalled import Part

#: Of as many customers folders; the oldest go.
KEPT_FILES = 8
SUFFIX = ".customers"
#: hexadecimal digits of a key or a stamp
DIGITS = 64
_MAGIC = b"reconciler resolved customers 3\n"
_SUM = 32
_NO_STAMP = b"-" * DIGITS


class Line(NamedTuple):
    """stamp: of the files that it was read from, where that says enough. parts: as `recalled.line_of` gives them."""

    stamp: bytes | None
    parts: tuple[bytes, Part]


def read_lines(path: Path) -> dict[bytes, Line]:
    """By key; nothing where the file is not there, not ours alone, or not whole."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        with open(descriptor, "rb") as stream:
            state = os.fstat(descriptor)
            if state.st_uid != os.getuid() or state.st_mode & 0o077:
                return {}
            data = stream.read()
    except OSError:
        return {}
    start = len(_MAGIC) + _SUM
    if not data.startswith(_MAGIC) or hashlib.sha256(memoryview(data)[start:]).digest() != data[len(_MAGIC) : start]:
        return {}
    return dict(_lines(data, start))


def _lines(data: bytes, start: int) -> Iterator[tuple[bytes, Line]]:
    """What is long stays where it is: of most customers nobody reads it."""
    whole = memoryview(data)
    while start < len(data):
        end = data.index(b"\n", start)
        stamped, first = start + DIGITS, start + 2 * DIGITS
        second = data.index(b"\t", first, end)
        stamp = data[stamped:first]
        parts = (data[first:second], whole[second + 1 : end])
        yield data[start:stamped], Line(None if stamp == _NO_STAMP else stamp, parts)
        start = end + 1


def write_lines(path: Path, lines: Mapping[bytes, Line]) -> None:
    """Whole or not at all. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = b"".join(
        part
        for key, (stamp, (first, second)) in lines.items()
        # JSON has no bare tab
        for part in (key, stamp or _NO_STAMP, first, b"\t", second, b"\n")
    )
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(_MAGIC + hashlib.sha256(content).digest())
            stream.write(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    others = sorted(path.parent.glob(f"*{SUFFIX}"), key=lambda each: each.stat().st_mtime_ns, reverse=True)
    for old in others[KEPT_FILES:]:
        old.unlink(missing_ok=True)
