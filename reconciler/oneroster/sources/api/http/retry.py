"""Decides which requests are retried, how often, and after how long."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from reconciler.model.diagnostic import Refusal


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try, and how long to wait between attempts."""

    #: in total, the first one included
    attempts: int
    first_pause: float
    longest_pause: float
    affects_all_threads: bool = False


BUSY = RetryPolicy(8, 2.0, 60.0, affects_all_threads=True)
#: A server that fails on a page usually fails on it every time.
FAILED = RetryPolicy(3, 1.0, 10.0)
GATEWAY = RetryPolicy(6, 1.0, 30.0)
LOST = RetryPolicy(6, 1.0, 30.0)
SILENT = RetryPolicy(3, 1.0, 10.0)
BROKEN = RetryPolicy(4, 1.0, 10.0)

_STATUSES = {408: GATEWAY, 429: BUSY, 500: FAILED, 502: GATEWAY, 503: BUSY, 504: GATEWAY}

#: Maximum seconds to wait at a server's request. If it asks for more, the fetch ends, and the next one resumes it.
MAX_SERVER_WAIT = 600.0
#: Upper bound in seconds of a server's request to wait, so that the end is a valid date.
LONGEST_WAIT = 365 * 86_400.0


class Retryable(Exception):  # noqa: N818 - not an error: the request is sent again
    """A failure that may go away when the request is sent again."""

    def __init__(
        self, refusal: Refusal, cause: RetryPolicy, wait: float | None = None, status: int = 0, server_message: str = ""
    ) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.cause = cause
        self.wait = wait
        self.status = status
        self.said = server_message


def get_retry_policy(status: int) -> RetryPolicy | None:
    """Return how to retry after this status, or None if a retry cannot help. A proxy sends statuses from 520 on."""
    return GATEWAY if 520 <= status <= 599 else _STATUSES.get(status)


def calculate_retry_pause(retryable: Retryable, attempt: int, chance: Callable[[], float] = random.random) -> float:
    """Return the seconds before the next attempt; `attempt` counts from 1.

    A time that the server named is never shortened. Otherwise it is between half and the whole of a time that doubles,
    so that threads do not retry all at once.
    """
    longest = min(retryable.cause.longest_pause, retryable.cause.first_pause * 2.0 ** (attempt - 1))
    if retryable.wait is not None:
        return retryable.wait + chance()
    return longest * (0.5 + 0.5 * chance())


def parse_retry_after(value: str | None, now: float, date: str | None = None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3), at least 0, or None without a readable one.

    A moment is counted from the server's own Date if it sent one. now: seconds since 1970.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), LONGEST_WAIT)
    until = _parse_http_date(value)
    if until is None:
        return None
    start = _parse_http_date(date) if date else None
    return min(max(0.0, until - (now if start is None else start)), LONGEST_WAIT)


def _parse_http_date(value: str) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
