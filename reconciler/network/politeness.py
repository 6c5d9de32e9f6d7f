"""Limits the parallel fetches and the requests per second of each host, over all fetches of one run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _HostState:
    slots: threading.BoundedSemaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: Clock time of the next allowed request.
    free_at: float = 0.0


class HostThrottle:
    """Throttles requests by host; threads share one. Without requests per second, only parallel fetches are limited."""

    def __init__(
        self,
        parallel_fetches: int = 2,
        requests_per_second: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._parallel_fetches = parallel_fetches
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._hosts: dict[str, _HostState] = {}

    @contextmanager
    def acquire_slot(self, host: str) -> Iterator[None]:
        """Wait for one of the host's fetch slots and hold it for the context."""
        with self._get_host_state(host).slots:
            yield

    def wait_for_turn(self, host: str) -> None:
        """Wait until the host may get the next request; waiting threads go one after the other."""
        state = self._get_host_state(host)
        with state.lock:
            now = self._clock()
            turn = max(now, state.free_at)
            state.free_at = turn + self._interval
        if turn > now:
            self._sleep(turn - now)

    def defer_requests(self, host: str, seconds: float) -> None:
        """Send the host no request for this many seconds, as its 429 or 503 response asks (Retry-After)."""
        state = self._get_host_state(host)
        with state.lock:
            state.free_at = max(state.free_at, self._clock() + seconds)

    def _get_host_state(self, host: str) -> _HostState:
        name = host.lower()
        with self._lock:
            if name not in self._hosts:
                self._hosts[name] = _HostState(threading.BoundedSemaphore(self._parallel_fetches))
            return self._hosts[name]
