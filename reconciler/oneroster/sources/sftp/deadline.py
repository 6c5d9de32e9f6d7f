"""When a whole fetch has to be done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from reconciler.model.diagnostic import Diagnostic, Refusal, error


class Deadline:
    """clock: seconds that only go forward. sleep: of as many seconds."""

    def __init__(self, timeout: timedelta, clock: Callable[[], float], sleep: Callable[[float], object]) -> None:
        self._timeout = timeout
        self._clock = clock
        self._sleep = sleep
        self._begin = clock()

    @property
    def passed(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._begin

    @property
    def left(self) -> float:
        """Seconds; below 0 when it is over."""
        return self._timeout.total_seconds() - self.passed

    def check(self) -> None:
        """Raises Refusal `fetch-timeout` when it is over."""
        if self.left <= 0:
            raise Refusal([self._over()])

    def wait(self, seconds: float) -> None:
        """Sleeps. Raises Refusal where it would be over before that."""
        if seconds >= self.left:
            raise Refusal([self._over()])
        self._sleep(seconds)

    def _over(self) -> Diagnostic:
        minutes = self._timeout.total_seconds() / 60
        return error(
            "fetch-timeout",
            f"the fetch was given up: it is not done after {minutes:,.4g} minutes",
            hint="the next one begins anew; if the server is that slow, give it longer with rostering.sync.timeout",
        )
