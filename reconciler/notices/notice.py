"""A notice of a customer's sync: the event, since when, and the reasons in plain sentences. It never names people."""

from dataclasses import dataclass

from reconciler.model.ids import CustomerId, HoldId, Moment
from reconciler.model.sync import EventKind

#: outcomes of a sync, each replaced by the next sync's; STALE exists besides, and RECOVERED closes all
OUTCOMES = (EventKind.HELD, EventKind.REFUSED, EventKind.FAILED)

#: the events that each event closes
CLOSES: dict[EventKind, tuple[EventKind, ...]] = {
    EventKind.HELD: OUTCOMES,
    EventKind.REFUSED: OUTCOMES,
    EventKind.FAILED: OUTCOMES,
    EventKind.STALE: (EventKind.STALE,),
    EventKind.RECOVERED: (*OUTCOMES, EventKind.STALE),
}

#: the command that shows details of an event
COMMANDS = {
    EventKind.HELD: "reconciler holds",
    EventKind.REFUSED: "reconciler plan {customer}",
    EventKind.FAILED: "reconciler plan {customer}",
    EventKind.STALE: "reconciler roster probe {customer}",
    EventKind.RECOVERED: "reconciler history {customer}",
}


@dataclass(frozen=True, slots=True)
class NoticeHold:
    #: CUSTOMER:PEOPLE:DIGEST, as `--approve` takes it
    id: HoldId
    #: how many people the hold would remove
    people: int


@dataclass(frozen=True, slots=True)
class Notice:
    event: EventKind
    #: customer's ID
    customer: CustomerId
    #: time of the event, ISO-8601 UTC
    at: Moment
    #: start of the present state, ISO-8601 UTC
    since: Moment
    #: reasons from gates and limits, for people who are not programmers
    sentences: tuple[str, ...] = ()
    #: None unless the event is HELD
    hold: NoticeHold | None = None
    #: customer's name, from the store
    name: str = ""

    @property
    def command(self) -> str:
        return COMMANDS[self.event].format(customer=self.customer)
