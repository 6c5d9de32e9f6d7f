"""What a sync of one customer came to, and what is to be told to whoever wants to hear of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.plan import Hold


class SyncOutcome(StrEnum):
    """held: everything else was applied. frozen: the calendar says that nothing is changed now, and something would
    have been. postponed: somebody else was at it, and it is tried again soon."""

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    HELD = "held"
    FROZEN = "frozen"
    POSTPONED = "postponed"
    REFUSED = "refused"
    FAILED = "failed"


#: Nobody has to do anything about these.
HEALTHY_OUTCOMES = frozenset({SyncOutcome.APPLIED, SyncOutcome.UNCHANGED, SyncOutcome.FROZEN})


class EventKind(StrEnum):
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

STALE_SENTENCE = "No fresh roster has come for some time; people who came or left since are not known."
RECOVERED_SENTENCE = "The roster is in order again."


@dataclass(frozen=True, slots=True)
class SyncEvent:
    """Something that a person should hear of once. since: moment; of stale, when the last fresh roster came. sentences:
    plain ones, for people who are no programmers, without anybody's name. hold, people: of held, its id and how many
    wait."""

    customer: str
    kind: EventKind
    since: str
    sentences: tuple[str, ...] = ()
    hold: str | None = None
    people: int = 0


@dataclass(frozen=True, slots=True)
class SyncState:
    """How a customer stands after a sync. outcome: None before the first. stale_since: None while its roster is
    fresh."""

    outcome: SyncOutcome | None = None
    stale_since: str | None = None

    @property
    def is_healthy(self) -> bool:
        return self.stale_since is None and (self.outcome is None or self.outcome in HEALTHY_OUTCOMES)


def choose_lasting_outcome(previous: SyncOutcome | None, outcome: SyncOutcome) -> SyncOutcome | None:
    """How it stands after a sync that came to this: what says nothing of the roster neither opens nor closes a notice.
    A freeze lets everything stand that waits for a person."""
    if outcome is SyncOutcome.POSTPONED or (outcome is SyncOutcome.FROZEN and previous in EVENT_OF_OUTCOME):
        return previous
    return outcome


def build_events(
    customer: str,
    previous: SyncState,
    current: SyncState,
    since: str,
    sentences: tuple[str, ...],
    hold: Hold | None = None,
    previous_hold_id: str | None = None,
) -> tuple[SyncEvent, ...]:
    """What is to be told: only what was not so before. since: when the outcome of `after` began. waited: id of the hold
    that stood before; another one is told too, since nobody has looked at it."""
    found = []
    kind = EVENT_OF_OUTCOME.get(current.outcome) if current.outcome is not None else None
    waiting = hold if kind is EventKind.HELD else None
    other = waiting is not None and previous_hold_id is not None and waiting.id != previous_hold_id
    if kind is not None and (current.outcome is not previous.outcome or other):
        held = (waiting.id, waiting.people) if waiting is not None else (None, 0)
        found.append(SyncEvent(customer, kind, since, sentences, *held))
    if current.stale_since is not None and previous.stale_since is None:
        found.append(SyncEvent(customer, EventKind.STALE, current.stale_since, (STALE_SENTENCE,)))
    if current.is_healthy and not previous.is_healthy:
        found.append(SyncEvent(customer, EventKind.RECOVERED, since, (RECOVERED_SENTENCE,)))
    return tuple(found)
