"""The same change in many customers, told once: how many, which, from where, and who departs from it.

Only what files declare folds, field by field: roster rows are people and things of their own. Nothing folds that takes
something away, is held, or names a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import is_
from typing import TypeAlias

from reconciler.model.cause import Cause
from reconciler.model.change import Action, Change, Create, FieldChange, Update, action_of
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE, CustomerPlan
from reconciler.model.reason import Reason
from reconciler.reports.plan.json import canonical
from reconciler.reports.plan.people import names_people

#: The same in fewer customers stays with each of them.
FEWEST = 3
#: More who depart from the rest than this stay with their customers.
MOST_EXCEPTIONS = 10


@dataclass(frozen=True, slots=True)
class Departing:
    """A customer's thing whose field changes as well, but from or to something else."""

    customer: str
    key: str
    field: FieldChange
    origin: Span | None


@dataclass(frozen=True, slots=True)
class Fold:
    """One change of many customers. field: None for things that are new. customers: ids, in the plan's order; things:
    how many documents of theirs. origin: where most of them have it from; elsewhere: how many have it from other
    places. exceptions: in the plan's order."""

    action: Action
    kind: Kind
    reason: Reason
    cause: Cause | None
    field: FieldChange | None
    customers: tuple[str, ...]
    things: int
    origin: Span | None
    elsewhere: int
    exceptions: tuple[Departing, ...] = ()


#: one field of one document of one customer; no path where the document is new
_Place: TypeAlias = tuple[str, Kind, str, str | None]


@dataclass(frozen=True, slots=True)
class Folded:
    """folds: those of most customers first. rest: the customers with what is left of their changes, in their order."""

    folds: tuple[Fold, ...]
    rest: tuple[CustomerPlan, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """What may fold: a field of an update, or a creation."""

    customer: str
    change: Change
    field: FieldChange | None

    @property
    def path(self) -> str | None:
        return self.field.path if self.field else None

    @property
    def cause(self) -> Cause | None:
        return (self.field.cause if self.field else None) or self.change.cause

    @property
    def place(self) -> _Place:
        return (self.customer, self.change.kind, self.change.key, self.path)

    @property
    def topic(self) -> tuple[Action, Kind, str | None]:
        return (action_of(self.change), self.change.kind, self.path)

    @property
    def sameness(self) -> tuple[object, ...]:
        values = (canonical(self.field.before), canonical(self.field.after)) if self.field else ()
        return (*self.topic, self.change.reason, self.cause, *values)


def fold(customers: Sequence[CustomerPlan]) -> Folded:
    """One pass over what is declared, and one over what is the same: linear in the number of changes."""
    alike: dict[tuple[object, ...], list[_Part]] = {}
    for customer in customers:
        for part in _parts(customer):
            alike.setdefault(part.sameness, []).append(part)
    topics: dict[tuple[Action, Kind, str | None], list[list[_Part]]] = {}
    for parts in alike.values():
        topics.setdefault(parts[0].topic, []).append(parts)
    folds: list[Fold] = []
    told: set[_Place] = set()
    for several in topics.values():
        many = [parts for parts in several if len(_customers(parts)) >= FEWEST]
        if not many:
            continue
        many.sort(key=lambda parts: -len(_customers(parts)))
        others = [part for parts in several if len(_customers(parts)) < FEWEST for part in parts]
        if len(others) > min(MOST_EXCEPTIONS, len(many[0])) or many[0][0].path is None:
            others = []
        told.update(part.place for parts in many for part in parts)
        told.update(part.place for part in others)
        folds += [_fold(parts, () if place else others) for place, parts in enumerate(many)]
    folds.sort(key=lambda each: (-len(each.customers), each.kind, each.field.path if each.field else ""))
    return Folded(tuple(folds), tuple(_rest(customer, told) for customer in customers))


def _parts(customer: CustomerPlan) -> Iterable[_Part]:
    if customer.id == CATALOGUE:
        return
    for change in customer.declared:
        if change.held:
            continue
        if isinstance(change, Create):
            yield _Part(customer.id, change, None)
        elif isinstance(change, Update):
            for field in change.fields:
                if not names_people(field):
                    yield _Part(customer.id, change, field)


def _customers(parts: Iterable[_Part]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.customer for part in parts))


def _fold(parts: Sequence[_Part], others: Sequence[_Part]) -> Fold:
    first = parts[0]
    places: dict[Span | None, int] = {}
    for part in parts:
        origin = part.change.origin
        place = Span(origin.file, origin.line) if origin else None
        places[place] = places.get(place, 0) + 1
    commonest = max(places, key=lambda place: places[place])
    return Fold(
        action=action_of(first.change),
        kind=first.change.kind,
        reason=first.change.reason,
        cause=first.cause,
        field=first.field,
        customers=_customers(parts),
        things=len(parts),
        origin=commonest if places[commonest] > 1 else None,
        elsewhere=len(parts) - places[commonest] if places[commonest] > 1 else 0,
        exceptions=tuple(
            Departing(part.customer, part.change.key, part.field, part.change.origin)
            for part in others
            if part.field is not None
        ),
    )


def _rest(customer: CustomerPlan, told: set[_Place]) -> CustomerPlan:
    """The customer without what a fold tells; the same value where no fold does."""
    left: list[Change] = []
    for change in customer.declared:
        place = (customer.id, change.kind, change.key)
        if (*place, None) in told:
            continue
        fields = tuple(field for field in change.fields if (*place, field.path) not in told)
        if change.fields and not fields:
            continue
        left.append(change if len(fields) == len(change.fields) else replace(change, fields=fields))
    same = len(left) == len(customer.declared) and all(map(is_, left, customer.declared))
    return customer if same else replace(customer, declared=tuple(left))
