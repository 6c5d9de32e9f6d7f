"""The rows of a plan that a report shows, as Change values in the order of every report.

Everything else stays rows of a frame: a first load of a million people makes a few thousand values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

import polars as pl

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
)
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CAUSE_COLUMN, CustomerPlan
from reconciler.model.reason import Reason
from reconciler.model.roster import FIELDS
from reconciler.reports.plan.people import View

IMPACT = "impact_"
_FEW = 1_000

#: Declared kinds first, then what contains before what is contained.
KIND_ORDER = tuple(Kind)

#: Fields that tell who somebody is: equal before and after, they are why a row was taken for the same person.
EVIDENCE = ("identifier", "roster_username", "email")
#: What a person compares who has to say whether two rows mean one person: shown of both, equal or not.
WHO_IS_WHO = ("given_name", "family_name", "grades", "roles")


@dataclass(frozen=True, slots=True)
class Group:
    """All changes of one customer, kind and action. changes: those shown, by key. total, held: of all."""

    action: Action
    kind: Kind
    total: int
    held: int
    changes: tuple[Change, ...]

    @property
    def left_out(self) -> int:
        return self.total - len(self.changes)


def groups(customer: CustomerPlan, view: View, rows: int, removals: int | None = None) -> tuple[Group, ...]:
    """By action, then kind. At most `rows` changes each; deletions of everything except enrollments at most `removals`,
    None: all of them."""
    if not customer.declared and not customer.roster:
        return ()
    declared: dict[tuple[Action, Kind], list[Change]] = {}
    for change in customer.declared:
        declared.setdefault((action_of(change), change.kind), []).append(change)
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
                found.append(_declared_group(declared[action, kind], view, action, kind, most))
            elif (action, kind) in roster:
                found.append(_roster_group(roster[action, kind], view, action, kind, most))
    return tuple(found)


def _declared_group(declared: list[Change], view: View, action: Action, kind: Kind, most: int | None) -> Group:
    held = sum(change.held for change in declared)
    shown = sorted(declared, key=lambda change: change.key)[:most]
    return Group(action, kind, len(declared), held, tuple(view.declared(each) for each in shown))


def _roster_group(mine: pl.DataFrame, view: View, action: Action, kind: Kind, most: int | None) -> Group:
    changes = tuple(change_of(view, kind, action, row) for row in _first(mine, most))
    return Group(action, kind, mine.height, int(mine["held"].sum()), changes)


def declared_totals(customer: CustomerPlan) -> tuple[Group, ...]:
    """The groups of declared kinds by their numbers alone, none of their changes shown."""
    held: dict[tuple[Action, Kind], list[bool]] = {}
    for change in customer.declared:
        held.setdefault((action_of(change), change.kind), []).append(change.held)
    return tuple(Group(action, kind, len(each), sum(each), ()) for (action, kind), each in held.items())


def _first(mine: pl.DataFrame, most: int | None) -> Iterable[dict[str, Any]]:
    """By key. Few rows are sorted as values: a plan of thousands of customers has tens of thousands of small frames,
    and a query on each costs more than its rows."""
    if mine.height <= (_FEW if most is None else min(most, _FEW)):
        return sorted(mine.iter_rows(named=True), key=lambda row: row["key"] or "")
    return mine.lazy().sort("key").head(mine.height if most is None else most).collect().iter_rows(named=True)


def change_of(view: View, kind: Kind, action: Action, row: Mapping[str, Any]) -> Change:
    """One row of a change frame as a value."""
    reason = Reason(row["reason"])
    facts: dict[str, Any] = {
        "kind": kind,
        "key": view.key(kind, row["key"]),
        "label": _label(view, kind, row),
        "reason": reason,
        "origin": Span(row["file"], row["line"] or 0) if row["file"] else None,
        "held": row["held"],
        "cause": _cause(row, reason),
        "impact": {
            name.removeprefix(IMPACT): value
            for name, value in row.items()
            if name.startswith(IMPACT) and value is not None
        },
    }
    fields = _fields(view, kind, row)
    match action:
        case Action.DELETE:
            return Delete(**facts, into=view.key(kind, row["into"]) if row["into"] else None)
        case Action.CREATE:
            return Create(**facts)
        case Action.REKEY:
            former = view.key(kind, row["former_key"])
            return Rekey(**facts, fields=fields, former_key=former, same=_same(row))
        case Action.ADOPT:
            return Adopt(**facts, fields=fields, manager=row["manager"] or "", same=_same(row))
        case Action.RESTORE:
            return Restore(**facts, fields=_former_key(view, kind, row) + fields)
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


def _cause(row: Mapping[str, Any], reason: Reason) -> Cause | None:
    known = row.get(CAUSE_COLUMN)
    return Cause(known) if known else Cause.DRIFT if reason is Reason.DRIFT else None


def _label(view: View, kind: Kind, row: Mapping[str, Any]) -> str:
    """An enrollment is named by sourcedIds, so its label follows the view's keys."""
    if kind is not Kind.ENROLLMENT:
        return view.label(kind, row["key"], row["label"] or row["key"])
    user, class_ = row["user"] or row["before_user"], row["class"] or row["before_class"]
    return f"{view.key(Kind.USER, user) if user else 'somebody'} in {class_ or 'a class'}"


def _fields(view: View, kind: Kind, row: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    changed = []
    doubtful = _doubtful(kind, row)
    for field in FIELDS[kind]:
        before, after = row[f"before_{field.name}"], row[field.name]
        if field.name == "bound":
            changed += _binding(view, kind, row)
        elif before != after or (doubtful and field.name in WHO_IS_WHO):
            change = FieldChange(field.name, _listed(before), _listed(after), field.personal)
            changed.append(view.field(change, field.reference))
    return tuple(changed)


def _doubtful(kind: Kind, row: Mapping[str, Any]) -> bool:
    """Somebody waits to get the account of a person with another name."""
    found = kind is Kind.USER and row["held"] and row["action"] in (Action.REKEY, Action.ADOPT)
    return found and any(row[name] != row[f"before_{name}"] for name in ("given_name", "family_name"))


def _binding(view: View, kind: Kind, row: Mapping[str, Any]) -> list[FieldChange]:
    """A sourcedId that an account gets which had none, or that it loses."""
    before, after = row["before_bound"], row["bound"]
    if before is None or after is None or before == after:
        return []
    key = row["key"]
    return [view.field(FieldChange("sourced_id", key if before else None, key if after else None, True), kind)]


def _former_key(view: View, kind: Kind, row: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """A person who comes back under another sourcedId."""
    former, key = row["former_key"], row["key"]
    if former is None or former == key:
        return ()
    return (view.field(FieldChange("sourced_id", former, key, personal=True), kind),)


def _same(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in EVIDENCE if row[name] is not None and row[name] == row[f"before_{name}"])


def _listed(value: object) -> object:
    return value.replace("\n", ", ") if isinstance(value, str) else value
