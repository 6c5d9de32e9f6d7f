"""What there is to tell of a customer's sync: what happened, since when, and why in plain sentences. It names no
people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Event(StrEnum):
    """What happened to a sync. HELD: something waits for a person. REFUSED: the source was. FAILED: the program or a
    server could not do its part. STALE: no fresh roster for several periods. RECOVERED: all is well again."""

    HELD = "held"
    REFUSED = "refused"
    FAILED = "failed"
    STALE = "stale"
    RECOVERED = "recovered"


#: How a sync came out: the next one's takes its place. STALE stands beside, and RECOVERED closes them all.
OUTCOMES = (Event.HELD, Event.REFUSED, Event.FAILED)

#: What each event takes the place of: what is so no longer once it happens.
CLOSES: dict[Event, tuple[Event, ...]] = {
    Event.HELD: OUTCOMES,
    Event.REFUSED: OUTCOMES,
    Event.FAILED: OUTCOMES,
    Event.STALE: (Event.STALE,),
    Event.RECOVERED: (*OUTCOMES, Event.STALE),
}

#: The command that shows more.
COMMANDS = {
    Event.HELD: "reconciler holds",
    Event.REFUSED: "reconciler plan {customer}",
    Event.FAILED: "reconciler plan {customer}",
    Event.STALE: "reconciler roster probe {customer}",
    Event.RECOVERED: "reconciler history {customer}",
}


@dataclass(frozen=True, slots=True)
class HeldSet:
    """The id that `--approve` takes, and how many people wait."""

    id: str
    people: int


@dataclass(frozen=True, slots=True)
class Notice:
    """customer: its id; name: as people call it, which the store knows. at, since: when it happened and since when it
    is so, ISO-8601 UTC. sentences: of the gates and limits, for people who are no programmers."""

    event: Event
    customer: str
    at: str
    since: str
    sentences: tuple[str, ...] = ()
    hold: HeldSet | None = None
    name: str = ""

    @property
    def command(self) -> str:
        return COMMANDS[self.event].format(customer=self.customer)
