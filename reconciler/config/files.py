"""Where the files of a customers repository are: on disk, or in a state of git (`config.revision`)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """What stands in a folder. is_link: a folder that is only linked."""

    name: str
    path: str
    is_folder: bool = False
    is_link: bool = False


class Files(Protocol):
    """Every method raises OSError as the system does."""

    def has(self, path: str) -> bool:
        """Whether there is a file."""
        ...

    def entries(self, folder: str) -> list[Entry]:
        """Everything in a folder, by name."""
        ...

    def read(self, path: str, most: int, *, follow: bool = False) -> bytes:
        """At most so many bytes of a file. follow: also one that is only linked; else that is ELOOP."""
        ...


class Disk:
    """The files as they are now."""

    def has(self, path: str) -> bool:
        return os.path.exists(path)

    def entries(self, folder: str) -> list[Entry]:
        with os.scandir(folder) as found:
            return sorted(map(entry_of, found))

    def read(self, path: str, most: int, *, follow: bool = False) -> bytes:
        descriptor = os.open(path, os.O_RDONLY | (0 if follow else os.O_NOFOLLOW))
        with open(descriptor, "rb") as stream:
            return stream.read(most)


DISK = Disk()


class Once:
    """Other files, each read once until it is forgotten: whoever asks twice is told the same."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._read: dict[str, bytes] = {}

    def has(self, path: str) -> bool:
        return self._files.has(path)

    def entries(self, folder: str) -> list[Entry]:
        return self._files.entries(folder)

    def read(self, path: str, most: int, *, follow: bool = False) -> bytes:
        """most: the same each time."""
        found = self._read.get(path)
        if found is None:
            found = self._read[path] = self._files.read(path, most, follow=follow)
        return found

    def forget(self, paths: Iterable[str]) -> None:
        for path in paths:
            self._read.pop(path, None)


def entry_of(found: os.DirEntry[str]) -> Entry:
    """What stands in a folder on disk."""
    is_folder = found.is_dir(follow_symlinks=False)
    return Entry(found.name, found.path, is_folder, not is_folder and found.is_dir())


def relative(path: str, start: str) -> str:
    """`os.path.relpath`, which takes both apart and asks for the current folder each time; quick for most of what lies
    below `start`."""
    inside = path if start == os.curdir else path.removeprefix(start + os.sep)
    below = f"/{inside}"
    if (start == os.curdir or len(inside) < len(path)) and not ("/." in below or "//" in below or below[-1] == "/"):
        return inside
    return os.path.relpath(path, start)
