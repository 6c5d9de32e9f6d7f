"""The changes of one customer as aligned lines."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

import polars as pl
from rich.cells import cell_len

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
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import CAUSE_COLUMN, CustomerPlan
from reconciler.model.reason import Reason
from reconciler.reports.plan.rows import Group
from reconciler.reports.plan.terminal import Layout, Paint, clean, clip, pad, widest
from reconciler.reports.plan.wording import (
    NOUNS,
    TO_DO,
    before_and_after,
    belongings,
    counted,
    keeps,
    made_by,
    same,
    why,
)

# One change as a line of a terminal table, in plain words.

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


#: Names are cut at this; sourcedIds never are, they are what `explain` takes.
_LONGEST_LABEL = 32
_GAP = "  "
_HELD = "HELD"

#: A longer reason pushes what stands behind it on its own line only.
_WIDEST_NOTE = 20


def change_table(customer: CustomerPlan, groups: Iterable[Group], layout: Layout) -> list[str]:
    """One line for each change shown. Enrollments, and whatever a roster adds, are counted with their first."""
    sections = list(groups)
    listed = [group for group in sections if not is_counted(group)]
    columns = _columns([line(change) for group in listed for change in group.changes], sections, layout)
    text: list[str] = []
    for group in sections:
        if is_counted(group):
            text += _counted_lines(customer.roster[group.kind], group, columns, layout)
            continue
        for change in group.changes:
            text += _listed_lines(line(change), columns, layout)
        if group.left_out:
            noun = NOUNS[group.kind][group.left_out != 1]
            text.append(
                f"{columns.beneath}… {group.left_out:,} more {noun} {TO_DO[group.action]}; "
                f"all of them: --rows {group.total} or --format json"
            )
    return text


def is_counted(group: Group) -> bool:
    """Enrollments, and what a roster adds, are told by their number."""
    added = group.action is Action.CREATE and group.kind not in DECLARED_KINDS
    return added or group.kind is Kind.ENROLLMENT


@dataclass(frozen=True, slots=True)
class _Columns:
    """Cells of each column; 0 where no line has anything in it."""

    kind: int
    key: int
    label: int
    cause: int
    held: int
    note: int

    @property
    def beneath(self) -> str:
        """Before what stands under a line, so that it begins where the keys do."""
        return " " * (2 + self.kind + len(_GAP))


def _columns(lines: list[Line], groups: list[Group], layout: Layout) -> _Columns:
    return _Columns(
        kind=widest([group.kind for group in groups if group.kind is not Kind.ENROLLMENT or not lines]),
        key=widest([each.key for each in lines]),
        label=widest([clip(each.label, _LONGEST_LABEL) for each in lines]),
        cause=widest([each.cause for each in lines]) if layout.causes else 0,
        held=len(_HELD) if any(each.held for each in lines) else 0,
        note=min(_WIDEST_NOTE, widest([each.note for each in lines])),
    )


def _listed_lines(shown: Line, columns: _Columns, layout: Layout) -> list[str]:
    """Details, or even the note, stand beneath where they do not fit."""
    label = clip(shown.label, _LONGEST_LABEL)
    cells = [pad(shown.key, columns.key)]
    cells += [pad(label, columns.label)] if columns.label else []
    cells += [pad(shown.cause, columns.cause)] if columns.cause else []
    before = _GAP.join(cells)
    held = pad(_HELD if shown.held else "", columns.held) + _GAP if columns.held else ""
    note = pad(shown.note, columns.note)
    details = " · ".join(shown.details)
    start = f"{_mark(shown.mark, layout.paint)} {pad(shown.kind, columns.kind)}{_GAP}"
    painted = f"{start}{before}{_GAP}{held.replace(_HELD, layout.paint.held(_HELD))}"
    fixed = cell_len(f"{columns.beneath}{before}{_GAP}{held}")
    if fixed + cell_len(f"{note}{_GAP}{details}".rstrip()) <= layout.width:
        return [f"{painted}{note}{_GAP}{details}".rstrip()]
    beneath = [f"{columns.beneath}{detail}" for detail in shown.details]
    if fixed + cell_len(shown.note) <= layout.width:
        return [f"{painted}{shown.note}".rstrip(), *beneath]
    return [painted.rstrip(), f"{columns.beneath}{shown.note}", *beneath]


def _mark(mark: str, paint: Paint) -> str:
    if mark == "-":
        return paint.red(mark)
    return paint.green(mark) if mark == "+" else paint.yellow(mark)


def _counted_lines(frame: pl.DataFrame, group: Group, columns: _Columns, layout: Layout) -> list[str]:
    """Many rows of one kind and action in one line; the first of them behind it, or beneath."""
    mine = frame.filter(pl.col("action") == group.action.value)
    text = _count(mine, group)
    held = ""
    if group.held:
        held = " · " + (_HELD if group.held == group.total else f"{group.held:,} of them {_HELD}")
    kind = pad(group.kind, columns.kind)
    text += _causes(mine) if layout.causes else ""
    lines = [f"{_mark(MARKS[group.action], layout.paint)} {kind}{_GAP}{text}{layout.paint.held(held)}"]
    if group.action is Action.DELETE:
        return lines
    for first in map(line, group.changes[:1]):
        name = first.label if group.kind is Kind.ENROLLMENT else f"{first.key} {first.label}".rstrip()
        words = ", ".join(part for part in (name, first.note, *first.details) if part)
        if cell_len(f"  {kind}{_GAP}{text}{held} · first: {words}") <= layout.width:
            lines[0] += f" · first: {words}"
        else:
            lines.append(f"{columns.beneath}first: {words}")
    return lines


def count_of(customer: CustomerPlan, group: Group) -> str:
    """`20 to add: 19 students, 1 teacher`, for a group that is counted."""
    frame = customer.roster[group.kind]
    return _count(frame.filter(pl.col("action") == group.action.value), group)


def _count(rows: pl.DataFrame, group: Group) -> str:
    return f"{group.total:,} {TO_DO[group.action]}{_what(rows, group)}"


def _what(rows: pl.DataFrame, group: Group) -> str:
    if group.kind is Kind.USER:
        return f": {_roles(rows)}"
    if group.kind is Kind.ENROLLMENT and group.action is Action.DELETE:
        return _along(rows)
    return ""


def _causes(rows: pl.DataFrame) -> str:
    """` · 18 pr, 2 pending`: the most frequent first."""
    if CAUSE_COLUMN not in rows.columns:
        return ""
    numbers = rows[CAUSE_COLUMN].drop_nulls().value_counts(name="number")
    sorted_ = numbers.sort(["number", CAUSE_COLUMN], descending=[True, False])
    return "".join(f" · {number:,} {cause}" for cause, number in sorted_.iter_rows())


def _roles(rows: pl.DataFrame) -> str:
    """`18 students, 2 teachers`: the most frequent first."""
    numbers = (
        rows["role"].fill_null("person").value_counts(name="number").sort(["number", "role"], descending=[True, False])
    )
    words = ((role.replace("_", " "), number) for role, number in numbers.iter_rows())
    return ", ".join(counted(number, role, "people" if role == "person" else f"{role}s") for role, number in words)


def _along(rows: pl.DataFrame) -> str:
    """Which of the enrollments only go because their person or class does."""
    along = rows.filter(pl.col("reason") == Reason.PARENT_REMOVED.value).height
    if not along:
        return ""
    if along == rows.height:
        return ", with people and classes above"
    return f": {along:,} with the above, {rows.height - along:,} others"
