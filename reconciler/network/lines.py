"""Cuts all connections of one task when its time is up.

A read timeout never ends a connection that sends one byte a minute. Shutting down its socket does: the pending read
then ends as if the other side had closed the connection.
"""

import math
import socket
import threading
import time
from collections.abc import Callable


class ConnectionGroup:
    """Connections that are cut together; threads may share it. Connections added after the cut are cut at once."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = math.inf
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._timer: threading.Timer | None = None
        self._cut = False

    @property
    def are_cut(self) -> bool:
        """Whether the time is up."""
        return self._cut

    @property
    def remaining(self) -> float:
        """Seconds until the cut, at least 0. Work that has no connection yet must limit itself to this time."""
        return 0.0 if self._cut else max(self._end - self._clock(), 0.0)

    def cut_after(self, seconds: float) -> None:
        """Cut all connections this many seconds from now."""
        self._end = self._clock() + seconds
        self._timer = threading.Timer(max(seconds, 0.0), self.cut_all)
        self._timer.daemon = True
        self._timer.start()

    def cut_all(self) -> None:
        """Cut every connection now."""
        with self._lock:
            self._cut = True
            for each in self._open:
                _shut_down(each)

    def add_connection(self, connection: socket.socket) -> socket.socket:
        """Return a duplicate of the socket, to pass to `remove_connection` when the connection closes.

        The duplicate stays usable when TLS takes over the original."""
        duplicate = connection.dup()
        with self._lock:
            self._open.add(duplicate)
            if self._cut:
                _shut_down(duplicate)
        return duplicate

    def remove_connection(self, duplicate: socket.socket) -> None:
        """Forget a closed connection; calling it again does nothing."""
        with self._lock:
            self._open.discard(duplicate)
            duplicate.close()

    def close(self) -> None:
        """Cancel the cut and forget all connections."""
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
        """The other side closed it first."""
