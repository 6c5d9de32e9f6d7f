"""What came of one attempt to deliver a message, and when the next one is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

#: Between one attempt and the next, at least. Every further one has the last.
DISTANCES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=12),
)
#: A message that is older is given up when it cannot be delivered.
GIVEN_UP_AFTER = timedelta(days=3)


class Result(StrEnum):
    """LATER: another attempt may do. NEVER: it was refused for good."""

    DELIVERED = "delivered"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Attempt:
    """code: stable, lower-case words joined by hyphens. why: for people, without secrets or anybody's address.

    down: not this message but whoever takes it is the reason, so that others to them need not be tried now. wait: as
    the other side asked for it."""

    result: Result
    code: str = ""
    why: str = ""
    down: bool = False
    wait: timedelta = timedelta()


DELIVERED = Attempt(Result.DELIVERED)


def next_attempt(now: str, created_at: str, attempts: int, wait: timedelta = timedelta()) -> str | None:
    """When a message is due again that `attempts` attempts did not deliver; None: it is given up. wait: at least."""
    moment = datetime.fromisoformat(now).astimezone(UTC)
    if moment - datetime.fromisoformat(created_at) >= GIVEN_UP_AFTER:
        return None
    distance = DISTANCES[min(max(attempts, 1), len(DISTANCES)) - 1]
    return f"{moment + max(distance, min(wait, DISTANCES[-1])):%Y-%m-%dT%H:%M:%SZ}"
