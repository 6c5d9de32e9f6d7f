"""Format the changes of one customer as aligned lines."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import assert_never

import polars as pl
from rich.cells import cell_len

from reconciler.model import change as changes
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import CustomerPlan
from reconciler.model.reason import Reason
from reconciler.planning.frames import CAUSE_COLUMN
from reconciler.reports.plan.rows import ChangeGroup
from reconciler.reports.plan.terminal import (
    Paint,
    TerminalLayout,
    clean_text,
    measure_widest,
    pad_to_width,
    truncate_to_width,
)
from reconciler.reports.plan.wording import (
    ACTION_PHRASES,
    NOUNS,
    describe_document_impact,
    describe_impact,
    describe_kept_properties,
    describe_manager,
    describe_match,
    describe_reason,
    format_count,
    format_field_change,
    reveal_values,
)

# One change as a line of a terminal table.

MARKS = {
    changes.Action.DELETE: "-",
    changes.Action.SUSPEND: "-",
    changes.Action.CONCLUDE: "-",
    changes.Action.REKEY: ">",
    changes.Action.RESTORE: "+",
    changes.Action.RESUME: "+",
    changes.Action.ADOPT: ">",
    changes.Action.MOVE: ">",
    changes.Action.UPDATE: "~",
    changes.Action.CREATE: "+",
}


@dataclass(frozen=True, slots=True)
class TableLine:
    #: one character
    mark: str
    kind: str
    key: str
    label: str = ""
    #: reason or origin
    note: str = ""
    held: bool = False
    #: shown after the note, or below if they do not fit
    details: tuple[str, ...] = ()
    #: empty if unknown
    cause: str = ""


def build_table_line(change: changes.Change) -> TableLine:
    former = changes.get_former_key(change)
    fields = tuple(_format_field(field, change) for field in change.fields if former is None or field.path != "id")
    reason = describe_reason(change.reason, change.origin, former)
    match change:
        case changes.Delete(into=str(into)):
            return _create_line(
                change,
                f"merged into {into}",
                (*_omit_empty(describe_impact(change.kind, change.impact)), *_omit_empty(reason)),
            )
        case changes.Delete():
            return _create_line(change, reason, _omit_empty(describe_impact(change.kind, change.impact)))
        case changes.Suspend():
            return _create_line(change, f"suspend: {reason}", _omit_empty(describe_impact(change.kind, change.impact)))
        case changes.Conclude():
            return _create_line(change, f"conclude: {reason}", _omit_empty(describe_impact(change.kind, change.impact)))
        case changes.Rekey():
            moved = " → ".join(clean_text(str(key)) for key in reveal_values(change.former_key, change.key))
            return replace(
                _create_line(
                    change, describe_match(change.same), _omit_empty(describe_kept_properties(change.impact)) + fields
                ),
                key=moved,
            )
        case changes.Adopt():
            details = (describe_manager(change.manager), *_omit_empty(describe_kept_properties(change.impact)), *fields)
            return _create_line(change, describe_match(change.same), details)
        case changes.Move():
            return _create_line(change, reason, fields)
        case changes.Restore():
            return _create_line(change, reason, fields)
        case changes.Resume():
            return _create_line(change, reason, fields)
        case changes.Update():
            return _create_line(
                change, reason, _omit_empty(describe_document_impact(change.kind, change.impact)) + fields
            )
        case changes.Create():
            return _create_line(change, reason, ())
        case _:
            assert_never(change)


def _create_line(change: changes.Change, note: str, details: tuple[str, ...]) -> TableLine:
    """Create a line without the label of a customer, which the header shows, and of a masked person."""
    unnamed = change.kind is Kind.CUSTOMER or change.label == change.key
    label = "" if unnamed else clean_text(change.label)
    mark = MARKS[changes.get_action(change)]
    return TableLine(
        mark, change.kind, clean_text(change.key), label, clean_text(note), change.held, details, change.cause or ""
    )


def _format_field(field: changes.FieldChange, change: changes.Change) -> str:
    """Return a changed field, with its cause if that differs from the change's."""
    words = format_field_change(field)
    return f"{words} ({field.cause})" if field.cause and field.cause != change.cause else words


def _omit_empty(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


#: most cells of a name; sourcedIds are never cut, because `explain` takes them
_LONGEST_LABEL = 32
_GAP = "  "
_HELD = "HELD"

#: most cells of the note's column; a longer note shifts only its own line
_WIDEST_NOTE = 20


def format_change_table(customer: CustomerPlan, groups: Iterable[ChangeGroup], layout: TerminalLayout) -> list[str]:
    """Return one line per change. Enrollments and rows that a roster adds are counted, and their first is shown."""
    sections = list(groups)
    listed = [group for group in sections if not is_counted(group)]
    columns = _measure_columns(
        [build_table_line(change) for group in listed for change in group.changes], sections, layout
    )
    text: list[str] = []
    for group in sections:
        if is_counted(group):
            text += _format_counted_lines(customer.roster[group.kind], group, columns, layout)
            continue
        for change in group.changes:
            text += _format_listed_lines(build_table_line(change), columns, layout)
        if group.left_out:
            noun = NOUNS[group.kind][group.left_out != 1]
            text.append(
                f"{columns.beneath}… {group.left_out:,} more {noun} {ACTION_PHRASES[group.action]}; "
                f"to list all: --rows {group.total} or --format json"
            )
    return text


def is_counted(group: ChangeGroup) -> bool:
    """Return whether a report shows only the number of a group: enrollments and rows that a roster adds."""
    added = group.action is changes.Action.CREATE and group.kind not in DECLARED_KINDS
    return added or group.kind is Kind.ENROLLMENT


@dataclass(frozen=True, slots=True)
class _ColumnWidths:
    """Cells of each column; 0 for an empty column."""

    kind: int
    key: int
    label: int
    cause: int
    held: int
    note: int

    @property
    def beneath(self) -> str:
        """Indent of text below a line, up to the column of keys."""
        return " " * (2 + self.kind + len(_GAP))


def _measure_columns(lines: list[TableLine], groups: list[ChangeGroup], layout: TerminalLayout) -> _ColumnWidths:
    return _ColumnWidths(
        kind=measure_widest([group.kind for group in groups if group.kind is not Kind.ENROLLMENT or not lines]),
        key=measure_widest([each.key for each in lines]),
        label=measure_widest([truncate_to_width(each.label, _LONGEST_LABEL) for each in lines]),
        cause=measure_widest([each.cause for each in lines]) if layout.causes else 0,
        held=len(_HELD) if any(each.held for each in lines) else 0,
        note=min(_WIDEST_NOTE, measure_widest([each.note for each in lines])),
    )


def _format_listed_lines(line: TableLine, columns: _ColumnWidths, layout: TerminalLayout) -> list[str]:
    """Return the line of a change; details, and then the note, move below if they do not fit."""
    label = truncate_to_width(line.label, _LONGEST_LABEL)
    cells = [pad_to_width(line.key, columns.key)]
    cells += [pad_to_width(label, columns.label)] if columns.label else []
    cells += [pad_to_width(line.cause, columns.cause)] if columns.cause else []
    before = _GAP.join(cells)
    held = pad_to_width(_HELD if line.held else "", columns.held) + _GAP if columns.held else ""
    note = pad_to_width(line.note, columns.note)
    details = " · ".join(line.details)
    start = f"{_format_mark(line.mark, layout.paint)} {pad_to_width(line.kind, columns.kind)}{_GAP}"
    painted = f"{start}{before}{_GAP}{held.replace(_HELD, layout.paint.format_held(_HELD))}"
    fixed = cell_len(f"{columns.beneath}{before}{_GAP}{held}")
    if fixed + cell_len(f"{note}{_GAP}{details}".rstrip()) <= layout.width:
        return [f"{painted}{note}{_GAP}{details}".rstrip()]
    beneath = [f"{columns.beneath}{detail}" for detail in line.details]
    if fixed + cell_len(line.note) <= layout.width:
        return [f"{painted}{line.note}".rstrip(), *beneath]
    return [painted.rstrip(), f"{columns.beneath}{line.note}", *beneath]


def _format_mark(mark: str, paint: Paint) -> str:
    if mark == "-":
        return paint.format_red(mark)
    return paint.format_green(mark) if mark == "+" else paint.format_yellow(mark)


def _format_counted_lines(
    frame: pl.DataFrame, group: ChangeGroup, columns: _ColumnWidths, layout: TerminalLayout
) -> list[str]:
    """Return one line for all rows of a kind and action, followed by the first of them unless they are removed."""
    mine = frame.filter(pl.col("action") == group.action.value)
    text = _format_count(mine, group)
    held = " · " + f"{format_held_share(group)} {_HELD}".lstrip() if group.held else ""
    kind = pad_to_width(group.kind, columns.kind)
    text += _format_cause_counts(mine) if layout.causes else ""
    lines = [f"{_format_mark(MARKS[group.action], layout.paint)} {kind}{_GAP}{text}{layout.paint.format_held(held)}"]
    if group.action is changes.Action.DELETE:
        return lines
    for first in map(build_table_line, group.changes[:1]):
        name = first.label if group.kind is Kind.ENROLLMENT else f"{first.key} {first.label}".rstrip()
        words = ", ".join(part for part in (name, first.note, *first.details) if part)
        if cell_len(f"  {kind}{_GAP}{text}{held} · first: {words}") <= layout.width:
            lines[0] += f" · first: {words}"
        else:
            lines.append(f"{columns.beneath}first: {words}")
    return lines


def format_held_share(group: ChangeGroup) -> str:
    """Return `14 of them` to precede HELD, or nothing if all or none of a group are held."""
    return f"{group.held:,} of them" if 0 < group.held < group.total else ""


def format_group_count(customer: CustomerPlan, group: ChangeGroup) -> str:
    """Return `20 to add: 19 students, 1 teacher` for a counted group."""
    frame = customer.roster[group.kind]
    return _format_count(frame.filter(pl.col("action") == group.action.value), group)


def _format_count(rows: pl.DataFrame, group: ChangeGroup) -> str:
    return f"{group.total:,} {ACTION_PHRASES[group.action]}{_describe_breakdown(rows, group)}"


def _describe_breakdown(rows: pl.DataFrame, group: ChangeGroup) -> str:
    if group.kind is Kind.USER:
        return f": {_format_role_counts(rows)}"
    if group.kind is Kind.ENROLLMENT and group.action is changes.Action.DELETE:
        return _describe_dependents(rows)
    return ""


def _format_cause_counts(rows: pl.DataFrame) -> str:
    """Return ` · 18 pr · 2 pending`, the most frequent first."""
    if CAUSE_COLUMN not in rows.columns:
        return ""
    numbers = rows[CAUSE_COLUMN].drop_nulls().value_counts(name="number")
    sorted_ = numbers.sort(["number", CAUSE_COLUMN], descending=[True, False])
    return "".join(f" · {number:,} {cause}" for cause, number in sorted_.iter_rows())


def _format_role_counts(rows: pl.DataFrame) -> str:
    """Return `18 students, 2 teachers`, the most frequent first."""
    numbers = (
        rows["role"].fill_null("person").value_counts(name="number").sort(["number", "role"], descending=[True, False])
    )
    words = ((role.replace("_", " "), number) for role, number in numbers.iter_rows())
    return ", ".join(format_count(number, role, "people" if role == "person" else f"{role}s") for role, number in words)


def _describe_dependents(rows: pl.DataFrame) -> str:
    """Return how many of the enrollments are removed only because their person or class is."""
    along = rows.filter(pl.col("reason") == Reason.PARENT_REMOVED.value).height
    if not along:
        return ""
    if along == rows.height:
        return ", with the people and classes above"
    return f": {along:,} with the above, {rows.height - along:,} others"
