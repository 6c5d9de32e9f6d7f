"""What the system says of a file without opening it: where that is as it was, nobody has written to the file since.

A stamp is the file's device and inode, its size, and when it was modified and changed last. Whoever writes to a file,
puts another in its place or sets its time of modification back gives it another time of change, which nobody can set.
Only within one tick of the clock two writes may leave one stamp. So a stamp stands for what was read after it was
taken, and only where the file had been left alone for a while by then; git's index has the same rule.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import struct
import time
from collections.abc import Callable

import reconciler
from reconciler.config.load.layout import DISK, CustomerFolder, Document, Entry, Once, entry_of
from reconciler.config.yaml.reader import MAX_BYTES

#: Nanoseconds; file systems keep time by ticks of at most two seconds.
QUIET = 3_000_000_000
_STAMP = struct.Struct("=QQQqq")


class Stamped(Once):
    """The files on disk, with their stamps as their folders were listed. Lives for one reading of them."""

    def __init__(self) -> None:
        super().__init__(DISK)
        self._begun = _clock()
        self._stamps: dict[str, bytes] = {}

    def entries(self, folder: str) -> list[Entry]:
        with os.scandir(folder) as found:
            listed = list(found)
        for each in listed:
            if not each.is_dir():
                self._note(each)
        return sorted(map(entry_of, listed))

    def stamp(self, path: str) -> bytes | None:
        """None where it is no file of a folder that was listed."""
        return self._stamps.get(path)

    def is_quiet(self, path: str) -> bool:
        """Whether its stamp stands for the content that is read in this reading."""
        stamp = self._stamps.get(path)
        if stamp is None:
            return False
        times: tuple[int, ...] = _STAMP.unpack(stamp)[3:]
        return max(times) < self._begun - QUIET

    def _note(self, found: os.DirEntry[str]) -> None:
        try:
            state = found.stat(follow_symlinks=False)
        except OSError:
            return
        if stat.S_ISREG(state.st_mode):
            self._stamps[found.path] = _stamp_of(state)


def _stamp_of(state: os.stat_result) -> bytes:
    return _STAMP.pack(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _clock() -> int:
    return time.time_ns()


# A digest of everything that a customer is read from: the same files, the same configuration, without reading them.


def inputs_of(folder: CustomerFolder, content_id: Callable[[Document], str | None]) -> str | None:
    """None where a file's content has no id: it is not there, or not to be read. With the version of the program, which
    may read the same files in another way."""
    files = [*([folder.file] if folder.file else []), *folder.defaults, *folder.communities, *folder.lessons]
    contents = [(file.name, content_id(file)) for file in files]
    if any(content is None for _, content in contents):
        return None
    return hashlib.sha256(json.dumps([reconciler.__version__, folder.id, contents]).encode()).hexdigest()


def blob_id(file: Document) -> str | None:
    """The id that git gives a file's content, unless it changes it on the way in."""
    try:
        data = file.files.read(file.path, MAX_BYTES + 1, follow=file.linked)
    except OSError:
        return None
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
