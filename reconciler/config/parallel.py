"""The same work on very many things, in as many processes as there are processors.

The processes are forked: they have everything that is in memory, and hand back bytes alone. Nothing depends on them:
what one of them did not do is missing in the answer.
"""

from __future__ import annotations

import gc
import os
import signal
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

#: Below this a fork takes longer than it saves.
LEAST = 400
MOST_PROCESSES = 8
#: So many things are taken at once, or more where there are very many.
AT_ONCE = 16
#: Numbers that a pipe takes without anybody reading.
PIPE_HOLDS = 1000

_START = struct.Struct("<I")
_HEAD = struct.Struct("<QQ")


def done_apart(count: int, work: Callable[[int], bytes]) -> Mapping[int, bytes]:
    """What `work` gives for each place from 0, as far as it was done. work: changes nothing that anybody else sees."""
    processes = min(_processors(), MOST_PROCESSES)
    if count < LEAST or processes < 2 or not _alone():
        return {}
    with _Queue(count) as queue:
        children: list[tuple[int, int]] = []
        try:
            # A process that has reserved much memory may not be allowed a copy of itself: then the rest is done here.
            with suppress(OSError):
                for _ in range(1, processes):
                    children.append(_started(queue, work))
            done = {place: work(place) for place in queue}
            for _, answer in children:
                done |= _read(answer)
        finally:
            for child, answer in children:
                os.close(answer)
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
    return done


class _Queue:
    """Places from 0, each given to one of the processes that ask: none waits for a slower one with a share of its own.
    A pipe that holds a number for each few of them, no more than one takes at once."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._length = max(AT_ONCE, -(-count // PIPE_HOLDS))
        self._asked, self._told = os.pipe()

    def __enter__(self) -> _Queue:
        starts = range(0, self._count, self._length)
        os.write(self._told, b"".join(_START.pack(start) for start in starts))
        os.close(self._told)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._asked)

    def __iter__(self) -> Iterator[int]:
        while taken := os.read(self._asked, _START.size):
            (start,) = _START.unpack(taken)
            yield from range(start, min(start + self._length, self._count))


def _processors() -> int:
    """Those that this process may use; elsewhere than on Linux a fork is not safe enough."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def _alone() -> bool:
    """A lock that another thread holds would be held for ever in a fork."""
    return threading.active_count() == 1


def _started(queue: _Queue, work: Callable[[int], bytes]) -> tuple[int, int]:
    """The process, and where its answer is read."""
    answer, end = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(answer)
        os.close(end)
        raise
    if child:
        os.close(end)
        return child, answer
    code = 1
    try:
        os.close(answer)
        whole = [(place, work(place)) for place in queue]
        with open(end, "wb") as stream:
            for place, each in whole:
                stream.write(_HEAD.pack(place, len(each)))
                stream.write(each)
        code = 0
    finally:
        # Nothing of the process that this is a copy of is tidied up here, and nothing is said.
        os._exit(code)


def _read(answer: int) -> dict[int, bytes]:
    """As far as it goes: what was cut off is left out."""
    parts = []
    while part := os.read(answer, 1 << 20):
        parts.append(part)
    whole = b"".join(parts)
    found: dict[int, bytes] = {}
    start = 0
    while start + _HEAD.size <= len(whole):
        place, length = _HEAD.unpack_from(whole, start)
        start += _HEAD.size
        if start + length > len(whole):
            break
        found[place] = whole[start : start + length]
        start += length
    return found


# Making very many objects that all stay, without the collector of cycles walking them again and again.


@contextmanager
def uncollected() -> Iterator[None]:
    """Pauses the collector, and leaves what was made out of its later walks. Trees, models and plans hold no cycles:
    with 10,000 files it took more than half the time of reading, and a quarter of everything after it."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.enable()
