"""Limits the parallel fetches and the requests per second of each host, over all fetches of one run."""

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


class FetchStoppedError(Exception):
    """Raised in a fetch that would begin something after its run has ended."""


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
        self._is_stopped = threading.Event()

    def stop(self) -> None:
        """Let no fetch of the run begin another request; the ones under way end with FetchStoppedError."""
        self._is_stopped.set()

    def _refuse_if_stopped(self) -> None:
        if self._is_stopped.is_set():
            raise FetchStoppedError

    @contextmanager
    def acquire_slot(self, host: str) -> Iterator[None]:
        """Wait for one of the host's fetch slots and hold it for the context. Raises FetchStoppedError."""
        with self._get_host_state(host).slots:
            self._refuse_if_stopped()
            yield

    def wait_for_turn(self, host: str) -> None:
        """Wait until the host may get the next request, one thread after the other. Raises FetchStoppedError."""
        state = self._get_host_state(host)
        with state.lock:
            now = self._clock()
            turn = max(now, state.free_at)
            state.free_at = turn + self._interval
        if turn > now:
            self._sleep(turn - now)
        self._refuse_if_stopped()

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
