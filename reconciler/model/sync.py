"""Defines the outcome of a customer's sync and the events that people are notified of."""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.ids import CustomerId, HoldId, Moment
from reconciler.model.plan import Hold


class SyncOutcome(StrEnum):
    """The outcome of one sync."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    #: some changes wait for approval; all others were applied
    HELD = "held"
    #: the calendar allows no changes now, and there were some
    FROZEN = "frozen"
    #: another process was busy with the customer; the sync is tried again soon
    POSTPONED = "postponed"
    REFUSED = "refused"
    FAILED = "failed"


#: outcomes that need no action
HEALTHY_OUTCOMES = frozenset({SyncOutcome.APPLIED, SyncOutcome.UNCHANGED, SyncOutcome.FROZEN})


class EventKind(StrEnum):
    """A reason to notify people."""

    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"
    STALE = "stale"
    RECOVERED = "recovered"


EVENT_OF_OUTCOME = {
    SyncOutcome.HELD: EventKind.HELD,
    SyncOutcome.REFUSED: EventKind.REFUSED,
    SyncOutcome.FAILED: EventKind.FAILED,
}

STALE_SENTENCE = "No new roster has arrived for some time, so recent arrivals and departures are missing."
RECOVERED_SENTENCE = "The roster syncs normally again."


@dataclass(frozen=True, slots=True)
class SyncEvent:
    """An event that people are notified of once."""

    customer: CustomerId
    kind: EventKind
    #: moment; for stale, when the last new roster arrived
    since: Moment
    #: plain sentences for school administrators, without people's names
    sentences: tuple[str, ...] = ()
    #: the hold's ID; None unless held
    hold: HoldId | None = None
    #: number of people that the hold affects
    people: int = 0


@dataclass(frozen=True, slots=True)
class SyncState:
    """The state of a customer after a sync."""

    #: None before the first sync
    outcome: SyncOutcome | None = None
    #: None while the roster is fresh
    stale_since: Moment | None = None

    @property
    def is_healthy(self) -> bool:
        return self.stale_since is None and (self.outcome is None or self.outcome in HEALTHY_OUTCOMES)


def choose_lasting_outcome(previous: SyncOutcome | None, outcome: SyncOutcome) -> SyncOutcome | None:
    """Return the outcome that a customer keeps after a sync.

    A postponed sync says nothing about the roster, so it neither opens nor closes a notice; a freeze keeps the state of
    a customer that waits for a person.
    """
    if outcome is SyncOutcome.POSTPONED or (outcome is SyncOutcome.FROZEN and previous in EVENT_OF_OUTCOME):
        return previous
    return outcome


def build_events(
    customer: CustomerId,
    previous: SyncState,
    current: SyncState,
    since: Moment,
    sentences: tuple[str, ...],
    hold: Hold | None = None,
    previous_hold_id: HoldId | None = None,
) -> tuple[SyncEvent, ...]:
    """Return the events to notify people of: only what is new since the previous state.

    since: when the current outcome began. previous_hold_id: a different hold is an event too, because nobody has
    reviewed it.
    """
    events = []
    kind = EVENT_OF_OUTCOME.get(current.outcome) if current.outcome is not None else None
    waiting = hold if kind is EventKind.HELD else None
    is_other_hold = waiting is not None and previous_hold_id is not None and waiting.id != previous_hold_id
    if kind is not None and (current.outcome is not previous.outcome or is_other_hold):
        held = (waiting.id, waiting.people) if waiting is not None else (None, 0)
        events.append(SyncEvent(customer, kind, since, sentences, *held))
    if current.stale_since is not None and previous.stale_since is None:
        events.append(SyncEvent(customer, EventKind.STALE, current.stale_since, (STALE_SENTENCE,)))
    if current.is_healthy and not previous.is_healthy:
        events.append(SyncEvent(customer, EventKind.RECOVERED, since, (RECOVERED_SENTENCE,)))
    return tuple(events)
