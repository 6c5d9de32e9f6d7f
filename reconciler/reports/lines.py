"""One change as a line of a terminal table, in plain words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

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
from reconciler.model.kind import Kind
from reconciler.reports.cells import clean
from reconciler.reports.wording import before_and_after, belongings, keeps, made_by, same, why

MARKS = {
    Action.DELETE: "-",
    Action.SUSPEND: "-",
    Action.CONCLUDE: "-",
    Action.REKEY: ">",
    Action.RESTORE: "+",
    Action.RESUME: "+",
    Action.ADOPT: ">",
    Action.MOVE: ">",
    Action.UPDATE: "~",
    Action.CREATE: "+",
}


@dataclass(frozen=True, slots=True)
class Line:
    """mark: one character. note: why, or where it comes from. details: shown behind, or beneath where they do
    not fit. cause: empty where none is known."""

    mark: str
    kind: str
    key: str
    label: str = ""
    note: str = ""
    held: bool = False
    details: tuple[str, ...] = ()
    cause: str = ""


def line(change: Change) -> Line:
    former = renamed_from(change)
    fields = tuple(_field(field, change) for field in change.fields if former is None or field.path != "id")
    reason = why(change.reason, change.origin, former)
    match change:
        case Delete(into=str(into)):
            return _line(
                change, f"merged into {into}", (*_some(belongings(change.kind, change.impact)), *_some(reason))
            )
        case Delete():
            return _line(change, reason, _some(belongings(change.kind, change.impact)))
        case Suspend():
            return _line(change, f"suspend: {reason}", _some(belongings(change.kind, change.impact)))
        case Conclude():
            return _line(change, f"conclude: {reason}", _some(belongings(change.kind, change.impact)))
        case Rekey():
            moved = f"{clean(change.former_key)} → {clean(change.key)}"
            return replace(_line(change, same(change.same), _some(keeps(change.impact)) + fields), key=moved)
        case Adopt():
            details = (made_by(change.manager), *_some(keeps(change.impact)), *fields)
            return _line(change, same(change.same), details)
        case Move():
            return _line(change, reason, fields)
        case Restore():
            return _line(change, reason, fields)
        case Resume():
            return _line(change, reason, fields)
        case Update():
            return _line(change, reason, fields)
        case Create():
            return _line(change, reason, ())
        case _:
            assert_never(change)


def _line(change: Change, note: str, details: tuple[str, ...]) -> Line:
    """The block's header says a customer's name already; a masked person has no name but the key."""
    unnamed = change.kind is Kind.CUSTOMER or change.label == change.key
    label = "" if unnamed else clean(change.label)
    mark = MARKS[action_of(change)]
    return Line(mark, change.kind, clean(change.key), label, clean(note), change.held, details, change.cause or "")


def _field(field: FieldChange, change: Change) -> str:
    """With its cause, where that is another than the whole change's."""
    words = before_and_after(field)
    return f"{words} ({field.cause})" if field.cause and field.cause != change.cause else words


def _some(text: str) -> tuple[str, ...]:
    return (text,) if text else ()
