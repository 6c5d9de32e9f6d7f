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
class _Host:
    places: threading.BoundedSemaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0


class Hosts:
    """at_once: fetches of one host that run beside each other. per_second: requests that it gets; None: no bound."""

    def __init__(
        self,
        at_once: int = 2,
        per_second: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._at_once = at_once
        self._interval = 1 / per_second if per_second else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._hosts: dict[str, _Host] = {}

    @contextmanager
    def fetching(self, host: str) -> Iterator[None]:
        """Waits for one of the host's places and has it until the end."""
        with self._of(host).places:
            yield

    def before_request(self, host: str) -> None:
        """Waits until the host may be asked once more. Those who wait come one after the other."""
        known = self._of(host)
        with known.lock:
            now = self._clock()
            mine = max(now, known.free_at)
            known.free_at = mine + self._interval
        if mine > now:
            self._sleep(mine - now)

    def pause(self, host: str, seconds: float) -> None:
        """Nobody asks the host before so many seconds have passed: it said so (429, 503 with Retry-After)."""
        known = self._of(host)
        with known.lock:
            known.free_at = max(known.free_at, self._clock() + seconds)

    def _of(self, host: str) -> _Host:
        with self._lock:
            name = host.lower()
            if name not in self._hosts:
                self._hosts[name] = _Host(threading.BoundedSemaphore(self._at_once))
            return self._hosts[name]
