"""What syncs have to tell, as notices in the outbox."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler import clock
from reconciler.model.sync import EventKind, SyncEvent
from reconciler.notices.notice import Event, HeldSet, Notice
from reconciler.operations.notifying import enter
from reconciler.operations.workspace import Workspace
from reconciler.store.connection import Connection

EVENTS = {
    EventKind.HELD: Event.HELD,
    EventKind.REFUSED: Event.REFUSED,
    EventKind.FAILED: Event.FAILED,
    EventKind.STALE: Event.STALE,
    EventKind.RECOVERED: Event.RECOVERED,
}


def enter_events(workspace: Workspace, connection: Connection, events: Sequence[SyncEvent]) -> None:
    """Inside the writing transaction that records the sync."""
    enter(workspace, connection, [notice_of(event) for event in events])


def notice_of(event: SyncEvent) -> Notice:
    """Of what happened now."""
    hold = HeldSet(event.hold, event.people) if event.hold is not None else None
    return Notice(EVENTS[event.kind], event.customer, clock.now(), event.since, event.sentences, hold)
