"""One change as a row of a page: what every column says, before any page escapes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from reconciler.model.cause import Cause
from reconciler.model.change import (
    Action,
    Adopt,
    Change,
    Conclude,
    Create,
    Delete,
    FieldChange,
    Move,
    Rekey,
    Restore,
    Resume,
    Suspend,
    Update,
    action_of,
    renamed_from,
)
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.reports.wording import REASONS, belongings, keeps, made_by, same

VERBS = {
    Action.DELETE: "remove",
    Action.SUSPEND: "suspend",
    Action.CONCLUDE: "conclude",
    Action.REKEY: "rekey",
    Action.RESTORE: "bring back",
    Action.RESUME: "let in again",
    Action.ADOPT: "adopt",
    Action.MOVE: "move",
    Action.UPDATE: "update",
    Action.CREATE: "add",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """verb, why, notes: our own words. label: empty where the key says it all. former: the key before, where it was
    another. place: file and line, empty where none is known. notes: what goes with it, or what it keeps."""

    customer: str
    action: Action
    kind: Kind
    verb: str
    key: str
    former: str
    label: str
    why: str
    notes: tuple[str, ...]
    place: str
    held: bool
    cause: Cause | None
    fields: tuple[FieldChange, ...]


def entry(customer: str, change: Change) -> Entry:
    """customer: as it is shown."""
    notes: tuple[str, ...]
    former = ""
    match change:
        case Delete(into=str(into)):
            notes = (f"into {into}", belongings(change.kind, change.impact))
        case Delete() | Suspend() | Conclude():
            notes = (belongings(change.kind, change.impact),)
        case Rekey():
            notes, former = (same(change.same), keeps(change.impact)), change.former_key
        case Adopt():
            notes = (same(change.same), made_by(change.manager), keeps(change.impact))
        case Update() | Restore():
            notes, former = (), change.former_key or ""
        case Create() | Resume() | Move():
            notes = ()
        case _:
            assert_never(change)
    return Entry(
        customer=customer,
        action=action_of(change),
        kind=change.kind,
        verb=VERBS[action_of(change)],
        key=change.key,
        former=former,
        label="" if change.label == change.key else change.label,
        why=REASONS[change.reason],
        notes=tuple(filter(None, notes)),
        place=place(change.origin),
        held=change.held,
        cause=change.cause,
        # of a renamed document: the column of keys tells it
        fields=tuple(field for field in change.fields if not renamed_from(change) or field.path != "id"),
    )


def place(origin: Span | None) -> str:
    return str(Span(origin.file, origin.line)) if origin else ""
