"""Convert the rows of a plan that a report shows to Change values, in the order of every report.

All other rows stay in their frame: a first load of a million people makes a few thousand values.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

import polars as pl

from reconciler.model.cause import ChangeCause
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
    get_action,
)
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan
from reconciler.model.reason import Reason
from reconciler.model.roster import ROSTER_FIELDS
from reconciler.planning.frames import BEFORE_PREFIX, CAUSE_COLUMN, IMPACT_PREFIX
from reconciler.reports.plan.people import CustomerView

_FEW = 1_000

#: documents first, then containers before their contents
KIND_ORDER = tuple(Kind)

#: fields that identify a person: if equal before and after, they are the reason why a row was matched
EVIDENCE = ("identifier", "roster_username", "email")
#: fields to compare when deciding whether two rows mean one person: shown of both, equal or not
IDENTITY_FIELDS = ("given_name", "family_name", "grades", "roles")


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """All changes of one customer, kind and action."""

    action: Action
    kind: Kind
    #: number of all changes
    total: int
    #: number of held ones
    held: int
    #: the changes to show, by key
    changes: tuple[Change, ...]

    @property
    def left_out(self) -> int:
        return self.total - len(self.changes)


def group_changes(
    customer: CustomerPlan, view: CustomerView, rows: int, removals: int | None = None
) -> tuple[ChangeGroup, ...]:
    """Return the groups by action, then kind, with at most `rows` changes each.

    removals: the most deletions of a group, except of enrollments; None for all."""
    if not customer.document_changes and not customer.roster:
        return ()
    declared: dict[tuple[Action, Kind], list[Change]] = {}
    for change in customer.document_changes:
        declared.setdefault((get_action(change), change.kind), []).append(change)
    roster = {
        (Action(action), kind): mine
        for kind, frame in customer.roster.items()
        for (action,), mine in frame.partition_by("action", as_dict=True).items()
    }
    found = []
    for action in Action:
        for kind in KIND_ORDER:
            most = removals if action is Action.DELETE and kind is not Kind.ENROLLMENT else rows
            if (action, kind) in declared:
                found.append(_build_declared_group(declared[action, kind], view, action, kind, most))
            elif (action, kind) in roster:
                found.append(_build_roster_group(roster[action, kind], view, action, kind, most))
    return tuple(found)


def _build_declared_group(
    changes: list[Change], view: CustomerView, action: Action, kind: Kind, most: int | None
) -> ChangeGroup:
    held = sum(change.held for change in changes)
    shown = sorted(changes, key=lambda change: change.key)[:most]
    return ChangeGroup(action, kind, len(changes), held, tuple(view.mask_change(each) for each in shown))


def _build_roster_group(
    frame: pl.DataFrame, view: CustomerView, action: Action, kind: Kind, most: int | None
) -> ChangeGroup:
    changes = tuple(build_change(view, kind, action, row) for row in _select_first_rows(frame, most))
    return ChangeGroup(action, kind, frame.height, int(frame["held"].sum()), changes)


def count_declared_changes(customer: CustomerPlan) -> tuple[ChangeGroup, ...]:
    """Return the groups of documents with their numbers only, without changes."""
    held: dict[tuple[Action, Kind], list[bool]] = {}
    for change in customer.document_changes:
        held.setdefault((get_action(change), change.kind), []).append(change.held)
    return tuple(ChangeGroup(action, kind, len(each), sum(each), ()) for (action, kind), each in held.items())


def _select_first_rows(frame: pl.DataFrame, most: int | None) -> Iterable[dict[str, Any]]:
    """Return the first rows by key.

    Few rows are sorted as values: a plan of thousands of customers has tens of thousands of small frames, and a query
    on each costs more than its rows."""
    if frame.height <= (_FEW if most is None else min(most, _FEW)):
        return sorted(frame.iter_rows(named=True), key=lambda row: row["key"] or "")
    return frame.lazy().sort("key").head(frame.height if most is None else most).collect().iter_rows(named=True)


def build_change(view: CustomerView, kind: Kind, action: Action, row: Mapping[str, Any]) -> Change:
    """Convert one row of a change frame to a value, masked by the view."""
    reason = Reason(row["reason"])
    facts: dict[str, Any] = {
        "kind": kind,
        "key": view.mask_key(kind, row["key"]),
        "label": _format_label(view, kind, row),
        "reason": reason,
        "origin": Span(row["file"], row["line"] or 0) if row["file"] else None,
        "held": row["held"],
        "cause": _determine_cause(row, reason),
        "impact": {
            name.removeprefix(IMPACT_PREFIX): value
            for name, value in row.items()
            if name.startswith(IMPACT_PREFIX) and value is not None
        },
    }
    fields = _list_changed_fields(view, kind, row)
    match action:
        case Action.DELETE:
            return Delete(**facts, into=view.mask_key(kind, row["into"]) if row["into"] else None)
        case Action.CREATE:
            return Create(**facts)
        case Action.REKEY:
            former = view.mask_key(kind, row["former_key"])
            return Rekey(**facts, fields=fields, former_key=former, same=_find_matching_fields(kind, row))
        case Action.ADOPT:
            return Adopt(**facts, fields=fields, manager=row["manager"] or "", same=_find_matching_fields(kind, row))
        case Action.RESTORE:
            return Restore(**facts, fields=_compare_former_key(view, kind, row) + fields)
        case Action.SUSPEND:
            return Suspend(**facts, fields=fields)
        case Action.CONCLUDE:
            return Conclude(**facts, fields=fields)
        case Action.RESUME:
            return Resume(**facts, fields=fields)
        case Action.MOVE:
            return Move(**facts, fields=fields)
        case Action.UPDATE:
            return Update(**facts, fields=fields)
        case _:
            assert_never(action)


def _determine_cause(row: Mapping[str, Any], reason: Reason) -> ChangeCause | None:
    known = row.get(CAUSE_COLUMN)
    return ChangeCause(known) if known else ChangeCause.DRIFT if reason is Reason.DRIFT else None


def _format_label(view: CustomerView, kind: Kind, row: Mapping[str, Any]) -> str:
    """An enrollment is named by sourcedIds, so its label follows the view's keys."""
    if kind is not Kind.ENROLLMENT:
        return view.mask_label(kind, row["key"], row["label"] or row["key"])
    user, class_ = row["user"] or row["before_user"], row["class"] or row["before_class"]
    return f"{view.mask_key(Kind.USER, user) if user else 'somebody'} in {class_ or 'a class'}"


def _list_changed_fields(view: CustomerView, kind: Kind, row: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    changed = []
    doubtful = _is_doubtful(kind, row)
    for field in ROSTER_FIELDS[kind]:
        before, after = row[f"{BEFORE_PREFIX}{field.name}"], row[field.name]
        if field.name == "bound":
            changed += _compare_binding(view, kind, row)
        elif before != after or (doubtful and field.name in IDENTITY_FIELDS):
            change = FieldChange(field.name, _join_lines(before), _join_lines(after), field.personal)
            changed.append(view.mask_field(change, field.reference))
    return tuple(changed)


def _is_doubtful(kind: Kind, row: Mapping[str, Any]) -> bool:
    """Return whether a held change gives an account to a person with a different name."""
    found = kind is Kind.USER and row["held"] and row["action"] in (Action.REKEY, Action.ADOPT)
    return found and any(row[name] != row[f"{BEFORE_PREFIX}{name}"] for name in ("given_name", "family_name"))


def _compare_binding(view: CustomerView, kind: Kind, row: Mapping[str, Any]) -> list[FieldChange]:
    """Return the sourcedId that an account without one gets, or that it loses."""
    before, after = row["before_bound"], row["bound"]
    if before is None or after is None or before == after:
        return []
    key = row["key"]
    return [view.mask_field(FieldChange("sourced_id", key if before else None, key if after else None, True), kind)]


def _compare_former_key(view: CustomerView, kind: Kind, row: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """Return the sourcedIds of a person who returns under another one."""
    former, key = row["former_key"], row["key"]
    if former is None or former == key:
        return ()
    return (view.mask_field(FieldChange("sourced_id", former, key, personal=True), kind),)


def _find_matching_fields(kind: Kind, row: Mapping[str, Any]) -> tuple[str, ...]:
    if kind is not Kind.USER:
        return ()
    return tuple(name for name in EVIDENCE if row[name] is not None and row[name] == row[f"{BEFORE_PREFIX}{name}"])


def _join_lines(value: object) -> object:
    return value.replace("\n", ", ") if isinstance(value, str) else value
