"""The bytes of one remote file, in order and each once, however often the connection breaks."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import IO, BinaryIO, cast

from paramiko import SFTPClient

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.interface import Progress, Step
from reconciler.oneroster.sources.sftp import messages as remarks
from reconciler.oneroster.sources.sftp.find import facts_now
from reconciler.oneroster.sources.sftp.listing import Facts
from reconciler.oneroster.sources.sftp.messages import shown
from reconciler.oneroster.sources.sftp.session import Line
from reconciler.oneroster.sources.sftp.target import Changed, RemoteFile, Target
from reconciler.oneroster.sources.sftp.wire import blocks, handle_of, opened, stat_opened

#: Between two steps of a progress bar.
STEP_EVERY = timedelta(milliseconds=100)


def goes_on(begun: Facts, now: Facts | None) -> bool:
    """Whether what was read so far is the beginning of what lies there now: the same size and time."""
    return begun == now


def transfer(line: Line, file: RemoteFile, write: Callable[[bytes], object], heard: Heard) -> None:
    """write: gets every byte; what it raises must be no OSError. Raises Changed, where the file is not as it was any
    more and what was written is of no use, and Refusal."""
    done = 0

    def rest(client: SFTPClient) -> None:
        nonlocal done
        try:
            remote = opened(client, file.path)
        except (FileNotFoundError, PermissionError):
            raise Changed(file.name) from None
        if not goes_on(file.facts, facts_now(stat_opened(client, remote, file.path), file.name)):
            raise Changed(file.name)
        for block in blocks(client, handle_of(remote), done, file.facts.size):
            write(block)
            done += len(block)
            heard.at(done)
        if done < file.facts.size:
            raise Changed(file.name)
        remote.close()

    line.ask(rest)
    heard.end()


class Heard:
    """Tells how far one file is, no more than about ten times a second."""

    def __init__(self, progress: Progress, file: RemoteFile, clock: Callable[[], float]) -> None:
        self._progress = progress
        self._file = file
        self._clock = clock
        self._next = 0.0
        self._told = -1

    def at(self, done: int) -> None:
        """done: bytes so far."""
        now = self._clock()
        if self._told < 0 or now >= self._next:
            self._next = now + STEP_EVERY.total_seconds()
            self._tell(done)

    def end(self) -> None:
        if self._told != self._file.facts.size:
            self._tell(self._file.facts.size)

    def _tell(self, done: int) -> None:
        self._told = done
        self._progress(Step(shown(self._file.name), done, self._file.facts.size, "bytes"))


# Where a fetched roster lands: a file that has no name on disk, checked against what its sender said of it.

LOCAL_HEADER = b"PK\x03\x04"
#: What a member's time can be (APPNOTE 4.4.6), in seconds since 1970.
EARLIEST, LATEST = 315_532_800, 4_354_819_198

#: Bytes that are written to disk at once.
BUFFER = 1024**2

Write = Callable[[bytes], object]
#: Gives the bytes of one file to a Write.
Bring = Callable[[RemoteFile, Write], None]


def land(target: Target, bring: Bring) -> BinaryIO:
    """The ZIP as it lies there, or the CSV files of a folder packed into one; at its beginning. The same files give the
    same bytes. Raises Refusal `disk-full`, `digest-differs`, `still-being-uploaded`, and what `bring` raises."""
    if shutil.disk_usage(tempfile.gettempdir()).free < target.size:
        raise Refusal([remarks.disk_full(target.size)])
    with room_for(target):
        stream = cast(BinaryIO, tempfile.TemporaryFile(buffering=BUFFER))  # noqa: SIM115 - whoever is given it closes it
    try:
        with room_for(target):
            if target.is_folder:
                _pack(target, bring, stream)
            else:
                _checked(target, target.files[0], bring, stream.write)
            stream.flush()
        if not target.is_folder and not ends(stream):
            raise Refusal([remarks.still_being_uploaded(target.path, "it begins as a ZIP archive and has no end yet")])
        stream.seek(0)
    except BaseException:
        stream.close()
        raise
    return stream


def ends(stream: BinaryIO) -> bool:
    """Whether a ZIP archive has its end record (APPNOTE 4.3.16). What is none is for the reader to judge."""
    stream.seek(0)
    return stream.read(len(LOCAL_HEADER)) != LOCAL_HEADER or zipfile.is_zipfile(cast(IO[bytes], stream))


@contextmanager
def room_for(target: Target) -> Iterator[None]:
    """Within it, nothing is asked of the network but by a line, which lets no OSError out."""
    try:
        yield
    except OSError as problem:
        raise Refusal([remarks.disk_full(target.size)]) from problem


def _checked(target: Target, file: RemoteFile, bring: Bring, write: Write) -> None:
    wanted = target.digests.get(file.name)
    digest = hashlib.sha256()

    def written(block: bytes) -> None:
        with room_for(target):
            write(block)
        if wanted is not None:
            digest.update(block)

    bring(file, written)
    if wanted is not None and digest.hexdigest() != wanted:
        raise Refusal([remarks.digest_differs(file.name, ".sha256")])


def _pack(target: Target, bring: Bring, stream: BinaryIO) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for file in target.files:
            # A name that is no text becomes one that no OneRoster file has.
            name = file.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            moment = time.gmtime(min(max(file.facts.mtime, EARLIEST), LATEST))
            entry = zipfile.ZipInfo(name, moment[:6])
            entry.create_system, entry.external_attr = 3, 0o100600 << 16
            entry.file_size = file.facts.size
            with archive.open(entry, "w") as member:
                _checked(target, file, bring, member.write)
