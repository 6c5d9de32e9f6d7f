"""The bytes of one remote file, in order and each once, however often the connection breaks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from paramiko import SFTPClient

from reconciler.oneroster.sources.interface import Progress, Step
from reconciler.oneroster.sources.sftp.line import Line
from reconciler.oneroster.sources.sftp.listing import Facts
from reconciler.oneroster.sources.sftp.looking import facts_now
from reconciler.oneroster.sources.sftp.names import shown
from reconciler.oneroster.sources.sftp.target import Changed, RemoteFile
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
