"""The connections of one piece of work, which are cut all at once when its time is over.

A bound between two bytes holds nobody who sends one a minute. What ends such a connection is that its socket is shut
down under whoever reads from it: the read then ends as it does where the other side hangs up.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable


class ConnectionGroup:
    """Shared by threads. Once cut, whatever is added is cut at once. clock: seconds that only go forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = math.inf
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._timer: threading.Timer | None = None
        self._cut = False

    @property
    def are_cut(self) -> bool:
        return self._cut

    @property
    def remaining(self) -> float:
        """Seconds until they are cut, never below 0: what has no connection yet cannot be cut, and has to be bounded by
        these."""
        return 0.0 if self._cut else max(self._end - self._clock(), 0.0)

    def cut_after(self, seconds: float) -> None:
        """Counts from now on."""
        self._end = self._clock() + seconds
        self._timer = threading.Timer(max(seconds, 0.0), self.cut_all)
        self._timer.daemon = True
        self._timer.start()

    def cut_all(self) -> None:
        with self._lock:
            self._cut = True
            for each in self._open:
                _shut_down(each)

    def add_connection(self, connection: socket.socket) -> socket.socket:
        """What is to be given to `remove` when the connection is closed: a second hold on it, which stays good where
        the first one goes into an encrypted connection."""
        held = connection.dup()
        with self._lock:
            self._open.add(held)
            if self._cut:
                _shut_down(held)
        return held

    def remove_connection(self, duplicate: socket.socket) -> None:
        """May be called more than once."""
        with self._lock:
            self._open.discard(duplicate)
            duplicate.close()

    def close(self) -> None:
        """Nothing is cut any more."""
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            for each in self._open:
                each.close()
            self._open.clear()


def _shut_down(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        """The other side was faster."""
