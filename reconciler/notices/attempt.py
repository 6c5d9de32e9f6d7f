"""The result of an attempt to deliver a message, and the schedule of the next attempt."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from reconciler.model.ids import Moment
from reconciler.model.moment import format_moment

#: least time between one attempt and the next; every later attempt uses the last
RETRY_DELAYS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=12),
)
#: an older message that cannot be delivered is given up
MAX_MESSAGE_AGE = timedelta(days=3)


class DeliveryResult(StrEnum):
    DELIVERED = "delivered"
    #: another attempt may succeed
    LATER = "later"
    #: refused permanently
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    result: DeliveryResult
    #: stable, lowercase words joined by hyphens; empty if delivered
    code: str = ""
    #: the reason for people, without secrets or addresses of people
    why: str = ""
    #: whether the receiver failed, not this message, so that other messages to it need not be tried now
    is_receiver_down: bool = False
    #: least time until the next attempt, as the receiver asked for it
    wait: timedelta = timedelta()


DELIVERED = DeliveryAttempt(DeliveryResult.DELIVERED)


def schedule_next_attempt(
    now: Moment, created_at: Moment, attempts: int, wait: timedelta = timedelta()
) -> Moment | None:
    """Return when an undelivered message is due again (ISO-8601 UTC), or None to give it up.

    attempts: how many failed. wait: least time until the next one."""
    moment = datetime.fromisoformat(now).astimezone(UTC)
    if moment - datetime.fromisoformat(created_at) >= MAX_MESSAGE_AGE:
        return None
    distance = RETRY_DELAYS[min(max(attempts, 1), len(RETRY_DELAYS)) - 1]
    return format_moment(moment + max(distance, min(wait, RETRY_DELAYS[-1])))
