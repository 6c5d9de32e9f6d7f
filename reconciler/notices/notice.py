"""What there is to tell of a customer's sync: what happened, since when, and why in plain sentences. It names no
people."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.sync import EventKind

#: How a sync came out: the next one's takes its place. STALE stands beside, and RECOVERED closes them all.
OUTCOMES = (EventKind.HELD, EventKind.REFUSED, EventKind.FAILED)

#: What each event takes the place of: what is so no longer once it happens.
CLOSES: dict[EventKind, tuple[EventKind, ...]] = {
    EventKind.HELD: OUTCOMES,
    EventKind.REFUSED: OUTCOMES,
    EventKind.FAILED: OUTCOMES,
    EventKind.STALE: (EventKind.STALE,),
    EventKind.RECOVERED: (*OUTCOMES, EventKind.STALE),
}

#: The command that shows more.
COMMANDS = {
    EventKind.HELD: "reconciler holds",
    EventKind.REFUSED: "reconciler plan {customer}",
    EventKind.FAILED: "reconciler plan {customer}",
    EventKind.STALE: "reconciler roster probe {customer}",
    EventKind.RECOVERED: "reconciler history {customer}",
}


@dataclass(frozen=True, slots=True)
class NoticeHold:
    """id: as `--approve` takes it, CUSTOMER:PEOPLE:DIGEST. people: how many wait."""

    id: str
    people: int


@dataclass(frozen=True, slots=True)
class Notice:
    """customer: its id; name: as people call it, which the store knows. at, since: when it happened and since when it
    is so, ISO-8601 UTC. sentences: of the gates and limits, for people who are no programmers."""

    event: EventKind
    customer: str
    at: str
    since: str
    sentences: tuple[str, ...] = ()
    hold: NoticeHold | None = None
    name: str = ""

    @property
    def command(self) -> str:
        return COMMANDS[self.event].format(customer=self.customer)
