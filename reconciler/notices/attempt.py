"""What came of one attempt to deliver a message, and when the next one is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

#: Between one attempt and the next, at least. Every further one has the last.
RETRY_DELAYS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=12),
)
#: A message that is older is given up when it cannot be delivered.
MAX_MESSAGE_AGE = timedelta(days=3)


class DeliveryResult(StrEnum):
    """LATER: another attempt may do. NEVER: it was refused for good."""

    DELIVERED = "delivered"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """code: stable, lower-case words joined by hyphens. why: for people, without secrets or anybody's address.

    down: not this message but whoever takes it is the reason, so that others to them need not be tried now. wait: as
    the other side asked for it."""

    result: DeliveryResult
    code: str = ""
    why: str = ""
    is_receiver_down: bool = False
    wait: timedelta = timedelta()


DELIVERED = DeliveryAttempt(DeliveryResult.DELIVERED)


def schedule_next_attempt(now: str, created_at: str, attempts: int, wait: timedelta = timedelta()) -> str | None:
    """When a message is due again that `attempts` attempts did not deliver; None: it is given up. wait: at least."""
    moment = datetime.fromisoformat(now).astimezone(UTC)
    if moment - datetime.fromisoformat(created_at) >= MAX_MESSAGE_AGE:
        return None
    distance = RETRY_DELAYS[min(max(attempts, 1), len(RETRY_DELAYS)) - 1]
    return f"{moment + max(distance, min(wait, RETRY_DELAYS[-1])):%Y-%m-%dT%H:%M:%SZ}"
