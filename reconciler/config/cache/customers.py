"""Customers as they were resolved when their files said the same: what makes the second plan of many quick.

A customer is found by the stamps of its files (`config.stamps`), or else by a digest of everything that it is read
from; only valid ones are kept. The file stands outside the repository, so that no pull request brings one.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from datetime import date
from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson
import pydantic

import reconciler
from reconciler.config.cache.recalled import Part, RecalledCandidate, line_of, recalled
from reconciler.config.cache.stamps import Stamped
from reconciler.config.load.candidate import Candidate
from reconciler.config.load.layout import CustomerFolder, Document
from reconciler.config.models.settings import Network
from reconciler.config.resolved import ResolvedCustomer
from reconciler.config.yaml.reader import MAX_BYTES

# The file that holds what is remembered: one line for each customer, taken only as a whole and only from ourselves.


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


VARIABLE = "RECONCILER_CACHE"
OFF = "off"

ReadAgain = Callable[[], ResolvedCustomer | None]


class Remembered:
    """Those of one folder of customers. Lives for one reading of it."""

    def __init__(self, directory: Path, files: Stamped, variables: Mapping[str, str] = os.environ) -> None:
        self.files = files
        self._path = place_of(directory, variables)
        kept = read_lines(self._path) if self._path else {}
        self._kept = {key: line.stamp for key, line in kept.items()}
        self._known = {key: line.parts for key, line in kept.items()}
        self._stamped = {line.stamp: key for key, line in kept.items() if line.stamp}
        self._used: dict[bytes, Line] = {}
        self._inherited: dict[tuple[Document, ...], bytes | None] = {}
        self._base = b""
        self._day = ""

    def begin(self, network: Network | None, lessons: Collection[str], today: date) -> None:
        """What every customer of this reading depends on."""
        allowed = network.model_dump(mode="json") if network is not None else None
        self._base = hashlib.sha256(orjson.dumps([_program(), allowed, sorted(lessons)])).digest()
        self._day = today.isoformat()

    def key(self, folder: CustomerFolder) -> bytes | None:
        """Of what its files say; None where one of them cannot be read."""
        return self._digest(folder, self._content)

    def recall(self, folder: CustomerFolder, key: bytes, read_again: ReadAgain) -> RecalledCandidate | None:
        """The customer of this key."""
        candidate = self._looked_up(folder, key, read_again)
        if candidate is not None:
            self._used[key] = Line(self._quiet_stamp(folder), self._known[key])
        return candidate

    def recall_unopened(self, folder: CustomerFolder, read_again: ReadAgain) -> RecalledCandidate | None:
        """The customer whose files have these stamps still."""
        stamp = self._stamp(folder) if self._stamped else None
        key = self._stamped.get(stamp) if stamp else None
        candidate = self._looked_up(folder, key, read_again) if key else None
        if key and candidate is not None:
            self._used[key] = Line(stamp, self._known[key])
        return candidate

    def keep(self, folder: CustomerFolder, key: bytes, candidate: Candidate) -> None:
        """Nothing is kept of one that is not valid."""
        parts = self._written(candidate)
        if parts is not None:
            self._used[key] = Line(self._quiet_stamp(folder), parts)

    def work(self, folder: CustomerFolder, read: Callable[[], Candidate]) -> bytes:
        """For another process than that which asks (`learn`): the key, with the line where it was not known; nothing
        where there is neither."""
        key = self.key(folder)
        if key is None or self._looked_up(folder, key, lambda: None) is not None:
            return key or b""
        parts = self._written(read())
        return key + b"\t".join(parts) if parts is not None else b""

    def learn(self, answer: bytes) -> bytes | None:
        """The key of a customer that can be recalled now, from what `work` gave."""
        key, (first, tab, second) = answer[:DIGITS], answer[DIGITS:].partition(b"\t")
        if tab:
            self._known[key] = first, second
        return key or None

    def write(self) -> None:
        """What this reading used, and nothing else. A folder that cannot be written costs time and nothing more."""
        if self._path is None or {key: line.stamp for key, line in self._used.items()} == self._kept:
            return
        with suppress(OSError):
            write_lines(self._path, self._used)

    def _looked_up(self, folder: CustomerFolder, key: bytes, read_again: ReadAgain) -> RecalledCandidate | None:
        parts = self._known.get(key)
        return recalled(parts, folder, self._day, read_again) if parts is not None else None

    def _written(self, candidate: Candidate) -> tuple[bytes, bytes] | None:
        """Its line; None of one that is not valid."""
        resolved = candidate.resolved()
        return line_of(candidate, resolved, self._day) if resolved is not None else None

    def _stamp(self, folder: CustomerFolder) -> bytes | None:
        """Of all its files; None where one has none."""
        stamp = self.files.stamp
        return self._digest(folder, lambda file: stamp(file.path))

    def _quiet_stamp(self, folder: CustomerFolder) -> bytes | None:
        """None where it says nothing of what was read."""
        return self._stamp(folder) if all(self.files.is_quiet(file.path) for file in own_files(folder)) else None

    def _digest(self, folder: CustomerFolder, says: Callable[[Document], bytes | None]) -> bytes | None:
        """Of what is said of each of its own files, and all else that it is read from. None where there is nothing."""
        inherited = self._inherited_content(folder.defaults)
        files = list(own_files(folder))
        names = "\0".join([folder.id, folder.path, *[file.name for file in files]])
        noted = "\0".join(map(str, folder.diagnostics))
        return _sum_of([self._base, inherited, os.fsencode(names), os.fsencode(noted), *map(says, files)])

    def _content(self, file: Document) -> bytes | None:
        try:
            return self.files.read(file.path, MAX_BYTES + 1, follow=file.linked)
        except OSError:
            return None

    def _inherited_content(self, chain: tuple[Document, ...]) -> bytes | None:
        """A digest of these files; None where one cannot be read."""
        if chain not in self._inherited:
            names = "\0".join([file.name for file in chain])
            self._inherited[chain] = _sum_of([os.fsencode(names), *map(self._content, chain)])
        return self._inherited[chain]


def own_files(folder: CustomerFolder) -> Iterator[Document]:
    """The files of a customer's folder that it is read from."""
    if folder.file is not None:
        yield folder.file
    yield from folder.communities
    yield from folder.lessons


def _sum_of(parts: Collection[bytes | None]) -> bytes | None:
    """A digest of these parts and no others; None where one is."""
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    lengths = ",".join([str(len(part)) for part in known])
    return hashlib.sha256(b"\0".join([lengths.encode(), *known])).hexdigest().encode()


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
    return folder / f"{hashlib.sha256(os.fsencode(seen)).hexdigest()[:32]}{SUFFIX}"


@cache
def _program() -> str:
    """This program as it reads files: its version, its own files as they lie here, and what it validates with."""
    room = Path(__file__).parent.parent
    own = sorted(
        (str(each.relative_to(room)), each.stat().st_mtime_ns, each.stat().st_size) for each in room.rglob("*.py")
    )
    versions = [reconciler.__version__, pydantic.VERSION, sys.version]
    return hashlib.sha256(orjson.dumps([versions, own])).hexdigest()
