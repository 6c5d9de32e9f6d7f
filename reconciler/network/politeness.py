"""How much is asked of one host at once and in a second, over everything that one run fetches.

Threads share one `Hosts`. Hosts are known by name in lower case.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _HostState:
    places: threading.BoundedSemaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0


class HostThrottle:
    """at_once: fetches of one host that run beside each other. per_second: requests that it gets; None: no bound."""

    def __init__(
        self,
        parallel_fetches: int = 2,
        requests_per_second: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._at_once = parallel_fetches
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._hosts: dict[str, _HostState] = {}

    @contextmanager
    def acquire_slot(self, host: str) -> Iterator[None]:
        """Waits for one of the host's places and has it until the end."""
        with self._get_host_state(host).places:
            yield

    def wait_for_turn(self, host: str) -> None:
        """Waits until the host may be asked once more. Those who wait come one after the other."""
        known = self._get_host_state(host)
        with known.lock:
            now = self._clock()
            mine = max(now, known.free_at)
            known.free_at = mine + self._interval
        if mine > now:
            self._sleep(mine - now)

    def defer_requests(self, host: str, seconds: float) -> None:
        """Nobody asks the host before so many seconds have passed: it said so (429, 503 with Retry-After)."""
        known = self._get_host_state(host)
        with known.lock:
            known.free_at = max(known.free_at, self._clock() + seconds)

    def _get_host_state(self, host: str) -> _HostState:
        with self._lock:
            name = host.lower()
            if name not in self._hosts:
                self._hosts[name] = _HostState(threading.BoundedSemaphore(self._at_once))
            return self._hosts[name]
