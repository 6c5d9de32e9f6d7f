"""The first line of every report for people: what is taken away, then what else changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from reconciler.model.change import Action, Update
from reconciler.model.kind import DECLARED_KINDS, ROSTER_KINDS, Kind
from reconciler.model.plan import CATALOGUE, CustomerPlan, Outcome
from reconciler.reports.rows import Group
from reconciler.reports.wording import TO_DO, counted, things

_OTHER_KINDS = tuple(kind for kind in ROSTER_KINDS if kind is not Kind.USER)


@dataclass(frozen=True, slots=True)
class _Sum:
    total: int = 0
    held: int = 0

    def __add__(self, other: _Sum) -> _Sum:
        return _Sum(self.total + other.total, self.held + other.held)


_Sums: TypeAlias = dict[tuple[Action, Kind], _Sum]


def totals(customers: Sequence[CustomerPlan], groups: Iterable[Group], weakened: int = 0) -> str:
    """groups: of all customers. Removals before everything else, people before everybody's classes. Where people
    change, what else a roster adds or updates is left to the tables. weakened: protections, told with the removals."""
    sums: _Sums = {}
    for group in groups:
        place = (group.action, group.kind)
        sums[place] = sums.get(place, _Sum()) + _Sum(group.total, group.held)
    later = tuple(action for action in Action if action is not Action.DELETE)
    removed = _people(sums, (Action.DELETE,), named=False)
    removed_too = _others(sums, DECLARED_KINDS, Action.DELETE) + _others(sums, _OTHER_KINDS, Action.DELETE)
    changed = _people(sums, later, named=bool(removed) and not removed_too and not weakened)
    declared = [part for action in later for part in _others(sums, DECLARED_KINDS, action)]
    others = [part for action in later for part in _others(sums, _OTHER_KINDS, action)]
    rest = [*_settings(customers), *declared, *([] if removed or changed else others)]
    who = _who(customers)
    less = [counted(weakened, "protection", "protections") + " weakened"] if weakened else []
    changes = [*removed, *removed_too, *less, *changed, *rest]
    if not changes and len(who) == 1:
        changes = ["nothing to change"]
    return " · ".join([*who, *changes])


def _who(customers: Sequence[CustomerPlan]) -> list[str]:
    number = sum(customer.id != CATALOGUE for customer in customers)
    catalogue = any(customer.id == CATALOGUE for customer in customers)
    who = things(number, Kind.CUSTOMER)
    if catalogue:
        who = f"{who} and the catalogue" if number else "the catalogue"
    refused = sum(customer.outcome is Outcome.REFUSED for customer in customers)
    failed = sum(customer.outcome is Outcome.FAILED for customer in customers)
    return [who, *([f"{refused:,} refused"] if refused else []), *([f"{failed:,} failed"] if failed else [])]


def _people(sums: _Sums, actions: tuple[Action, ...], *, named: bool) -> list[str]:
    """named: what stands before says already that people are counted; so does the first part for the next."""
    parts: list[str] = []
    for action in actions:
        found = sums.get((action, Kind.USER))
        if found is None:
            continue
        number = f"{found.total:,}" if named or parts else things(found.total, Kind.USER)
        parts.append(f"{number} {TO_DO[action]}{_held(found)}")
    return parts


def _others(sums: _Sums, kinds: tuple[Kind, ...], action: Action) -> list[str]:
    """Several kinds in one part: `5 orgs, 40 classes to add`. Changed settings are counted one by one elsewhere.

    What is held with held people goes without saying.
    """
    settings = kinds == DECLARED_KINDS and action is Action.UPDATE
    found = [(kind, sums[action, kind]) for kind in kinds if (action, kind) in sums and not settings]
    if not found:
        return []
    implied = kinds == _OTHER_KINDS and sums.get((action, Kind.USER), _Sum()).held
    whole = _Sum() if implied else sum((each for _, each in found), _Sum())
    listed = ", ".join(things(each.total, kind) for kind, each in found)
    return [f"{listed} {TO_DO[action]}{_held(whole)}"]


def _settings(customers: Sequence[CustomerPlan]) -> list[str]:
    number = sum(
        len(change.fields) for customer in customers for change in customer.declared if isinstance(change, Update)
    )
    return [f"{counted(number, 'setting', 'settings')} to change"] if number else []


def _held(found: _Sum) -> str:
    if not found.held:
        return ""
    return ", HELD" if found.held == found.total == 1 else f", {found.held:,} of them HELD"
