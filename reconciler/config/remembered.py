"""Customers as they were resolved when their files said the same: what makes the second plan of many quick.

A customer is found by a digest of everything that it is read from; only valid ones are kept. The file stands outside
the repository, so that no pull request brings one, and is taken only where nobody else could have written it. It is no
record of anything: where it is missing, broken or another program's, the files are read.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import date
from functools import cache
from pathlib import Path

import orjson
import pydantic

import reconciler
from reconciler.config.candidate import Candidate
from reconciler.config.files import Once
from reconciler.config.layout import CustomerFolder
from reconciler.config.models.settings import Network
from reconciler.config.reader import MAX_BYTES
from reconciler.config.recalled import RecalledCandidate, line_of, recalled
from reconciler.config.resolved import ResolvedCustomer

VARIABLE = "RECONCILER_CACHE"
OFF = "off"
#: Of as many customers folders; the oldest go.
KEPT_FILES = 8
_MAGIC = b"reconciler resolved customers 2\n"
_SUFFIX = ".customers"
_KEY, _SUM = 64, 32


class Remembered:
    """Those of one folder of customers. Lives for one reading of it."""

    def __init__(self, directory: Path, files: Once, variables: Mapping[str, str] = os.environ) -> None:
        self.files = files
        self._path = place_of(directory, variables)
        self._known = _read(self._path) if self._path else {}
        self._kept = frozenset(self._known)
        self._used: dict[bytes, bytes] = {}
        self._base = b""
        self._day = ""

    def begin(self, network: Network | None, lessons: Collection[str], today: date) -> None:
        """What every customer of this reading depends on."""
        allowed = network.model_dump(mode="json") if network is not None else None
        self._base = orjson.dumps([_program(), allowed, sorted(lessons)])
        self._day = today.isoformat()

    def key(self, folder: CustomerFolder) -> bytes | None:
        """None where one of its files cannot be read."""
        found = hashlib.sha256(self._base)
        noted = [str(each) for each in folder.diagnostics]
        found.update(orjson.dumps([folder.id, folder.path, noted]))
        own = (folder.file,) if folder.file else ()
        for file in (*own, *folder.defaults, *folder.communities, *folder.lessons):
            try:
                data = self.files.read(file.path, MAX_BYTES + 1, follow=file.linked)
            except OSError:
                return None
            found.update(b"%s\0%d\0" % (os.fsencode(file.name), len(data)))
            found.update(data)
        return found.hexdigest().encode()

    def recall(
        self, folder: CustomerFolder, key: bytes, read_again: Callable[[], ResolvedCustomer | None]
    ) -> RecalledCandidate | None:
        line = self._known.get(key)
        if line is None:
            return None
        candidate = recalled(line, folder, self._day, read_again)
        if candidate is not None:
            self._used[key] = line
        return candidate

    def keep(self, key: bytes, candidate: Candidate) -> bytes:
        """Returns its line; nothing is kept of one that is not valid."""
        resolved = candidate.resolved()
        if resolved is None:
            return b""
        line = self._used[key] = line_of(candidate, resolved, self._day)
        return line

    def work(self, folder: CustomerFolder, read: Callable[[], Candidate]) -> bytes:
        """For another process than that which asks (`learn`): the key, with the line where it was not known; nothing
        where there is neither."""
        key = self.key(folder)
        if key is None or self.recall(folder, key, lambda: None) is not None:
            return key or b""
        line = self.keep(key, read())
        return key + line if line else b""

    def learn(self, answer: bytes) -> bytes | None:
        """The key of a customer that can be recalled now, from what `work` gave."""
        key, line = answer[:_KEY], answer[_KEY:]
        if line:
            self._known[key] = line
        return key or None

    def write(self) -> None:
        """What this reading used, and nothing else. A folder that cannot be written costs time and nothing more."""
        if self._path is None or self._used.keys() == self._kept:
            return
        with suppress(OSError):
            _write(self._path, self._used)


def cache_folder(variables: Mapping[str, str] = os.environ) -> Path | None:
    """Where this program keeps what may be lost, outside every repository; None where nothing is wanted, or there is no
    home to have it in."""
    chosen = variables.get(VARIABLE, "")
    if chosen == OFF:
        return None
    if chosen:
        return Path(chosen)
    if os.path.isabs(variables.get("XDG_CACHE_HOME", "")):
        return Path(variables["XDG_CACHE_HOME"], "reconciler")
    if variables.get("HOME"):
        return Path(variables["HOME"], ".cache", "reconciler")
    return None


def place_of(directory: Path, variables: Mapping[str, str] = os.environ) -> Path | None:
    """The file for a folder of customers; None where none is wanted, or there is no home to have it in."""
    folder = cache_folder(variables)
    if folder is None:
        return None
    # Messages name files as they are seen from the current folder.
    seen = f"{os.path.realpath(directory)}\0{directory}\0{os.getcwd()}"
    return folder / f"{hashlib.sha256(os.fsencode(seen)).hexdigest()[:32]}{_SUFFIX}"


@cache
def _program() -> str:
    """This program as it reads files: its version, its own files as they lie here, and what it validates with."""
    room = Path(__file__).parent
    own = sorted(
        (str(each.relative_to(room)), each.stat().st_mtime_ns, each.stat().st_size) for each in room.rglob("*.py")
    )
    versions = [reconciler.__version__, pydantic.VERSION, sys.version]
    return hashlib.sha256(orjson.dumps([versions, own])).hexdigest()


def _read(path: Path) -> dict[bytes, bytes]:
    """Line by key; nothing where the file is not there, not ours alone, or not whole."""
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
    if not data.startswith(_MAGIC) or hashlib.sha256(data[start:]).digest() != data[len(_MAGIC) : start]:
        return {}
    return {line[:_KEY]: line[_KEY:] for line in data[start:].split(b"\n") if line}


def _write(path: Path, lines: Mapping[bytes, bytes]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = b"".join(b"%s%s\n" % (key, line) for key, line in sorted(lines.items()))
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(_MAGIC + hashlib.sha256(content).digest())
            stream.write(content)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    others = sorted(path.parent.glob(f"*{_SUFFIX}"), key=lambda each: each.stat().st_mtime_ns, reverse=True)
    for old in others[KEPT_FILES:]:
        old.unlink(missing_ok=True)
