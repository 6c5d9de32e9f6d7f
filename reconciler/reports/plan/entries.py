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
from reconciler.model.plan import Base, Elsewhere
from reconciler.reports.plan.wording import REASONS, belongings, keeps, made_by, same, things

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


# What a plan with a base is compared with, and what it leaves out, in words.


#: as many digits of a commit as tell it from all others
COMMIT_DIGITS = 12


def short_commit(base: Base) -> str:
    """Empty where the reference is the commit itself."""
    return "" if base.ref == base.commit else base.commit[:COMMIT_DIGITS]


def elsewhere_words(elsewhere: Elsewhere) -> str:
    """`2 other customers are not applied yet, 1 drifted.` Empty where all others are as git has them."""
    words = {
        "not applied yet": elsewhere.pending,
        "drifted from what git says": elsewhere.drifted,
        "left out, as their files do not validate": elsewhere.failed,
    }
    parts = [(number, what) for what, number in words.items() if number]
    if not parts:
        return ""
    (number, what), *more = parts
    who = things(number, Kind.CUSTOMER).replace(" ", " other ", 1)
    first = f"{who} {'is' if number == 1 else 'are'} {what}"
    return ", ".join([first, *(f"{each:,} {words}" for each, words in more)]) + "."
