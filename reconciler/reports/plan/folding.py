"""The same change in many customers, told once: how many, which, from where, and who departs from it.

Only what files declare folds, field by field: roster rows are people and things of their own. Nothing folds that takes
something away, is held, or names a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import is_
from typing import TypeAlias

from reconciler.model.cause import ChangeCause
from reconciler.model.change import Action, Change, Create, FieldChange, Update, get_action
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, CustomerPlan
from reconciler.model.reason import Reason
from reconciler.reports.plan.json import dump_canonical_json
from reconciler.reports.plan.people import is_personal_field

#: The same in fewer customers stays with each of them.
FEWEST = 3
#: More who depart from the rest than this stay with their customers.
MOST_EXCEPTIONS = 10


@dataclass(frozen=True, slots=True)
class FoldOutlier:
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
    cause: ChangeCause | None
    field: FieldChange | None
    customers: tuple[str, ...]
    things: int
    origin: Span | None
    other_places: int
    exceptions: tuple[FoldOutlier, ...] = ()


#: one field of one document of one customer; no path where the document is new
_Place: TypeAlias = tuple[str, Kind, str, str | None]


@dataclass(frozen=True, slots=True)
class FoldResult:
    """folds: those of most customers first. rest: the customers with what is left of their changes, in their order."""

    folds: tuple[Fold, ...]
    rest: tuple[CustomerPlan, ...]


@dataclass(frozen=True, slots=True)
class _FoldCandidate:
    """What may fold: a field of an update, or a creation."""

    customer: str
    change: Change
    field: FieldChange | None

    @property
    def path(self) -> str | None:
        return self.field.path if self.field else None

    @property
    def cause(self) -> ChangeCause | None:
        return (self.field.cause if self.field else None) or self.change.cause

    @property
    def place(self) -> _Place:
        return (self.customer, self.change.kind, self.change.key, self.path)

    @property
    def topic(self) -> tuple[Action, Kind, str | None]:
        return (get_action(self.change), self.change.kind, self.path)

    @property
    def sameness(self) -> tuple[object, ...]:
        values = (dump_canonical_json(self.field.before), dump_canonical_json(self.field.after)) if self.field else ()
        return (*self.topic, self.change.reason, self.cause, *values)


def group_into_folds(customers: Sequence[CustomerPlan]) -> FoldResult:
    """One pass over what is declared, and one over what is the same: linear in the number of changes."""
    alike: dict[tuple[object, ...], list[_FoldCandidate]] = {}
    for customer in customers:
        for part in _list_fold_candidates(customer):
            alike.setdefault(part.sameness, []).append(part)
    topics: dict[tuple[Action, Kind, str | None], list[list[_FoldCandidate]]] = {}
    for parts in alike.values():
        topics.setdefault(parts[0].topic, []).append(parts)
    folds: list[Fold] = []
    told: set[_Place] = set()
    for several in topics.values():
        many = [parts for parts in several if len(_list_customers(parts)) >= FEWEST]
        if not many:
            continue
        many.sort(key=lambda parts: -len(_list_customers(parts)))
        others = [part for parts in several if len(_list_customers(parts)) < FEWEST for part in parts]
        if len(others) > min(MOST_EXCEPTIONS, len(many[0])) or many[0][0].path is None:
            others = []
        told.update(part.place for parts in many for part in parts)
        told.update(part.place for part in others)
        folds += [_build_fold(parts, () if place else others) for place, parts in enumerate(many)]
    folds.sort(key=lambda each: (-len(each.customers), each.kind, each.field.path if each.field else ""))
    return FoldResult(tuple(folds), tuple(_remove_folded_changes(customer, told) for customer in customers))


def _list_fold_candidates(customer: CustomerPlan) -> Iterable[_FoldCandidate]:
    if customer.id == CATALOG:
        return
    for change in customer.document_changes:
        if change.held:
            continue
        if isinstance(change, Create):
            yield _FoldCandidate(customer.id, change, None)
        elif isinstance(change, Update):
            for field in change.fields:
                if not is_personal_field(field):
                    yield _FoldCandidate(customer.id, change, field)


def _list_customers(parts: Iterable[_FoldCandidate]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.customer for part in parts))


def _build_fold(parts: Sequence[_FoldCandidate], outliers: Sequence[_FoldCandidate]) -> Fold:
    first = parts[0]
    places: dict[Span | None, int] = {}
    for part in parts:
        origin = part.change.origin
        place = Span(origin.file, origin.line) if origin else None
        places[place] = places.get(place, 0) + 1
    commonest = max(places, key=lambda place: places[place])
    return Fold(
        action=get_action(first.change),
        kind=first.change.kind,
        reason=first.change.reason,
        cause=first.cause,
        field=first.field,
        customers=_list_customers(parts),
        things=len(parts),
        origin=commonest if places[commonest] > 1 else None,
        other_places=len(parts) - places[commonest] if places[commonest] > 1 else 0,
        exceptions=tuple(
            FoldOutlier(part.customer, part.change.key, part.field, part.change.origin)
            for part in outliers
            if part.field is not None
        ),
    )


def _remove_folded_changes(customer: CustomerPlan, folded_places: set[_Place]) -> CustomerPlan:
    """The customer without what a fold tells; the same value where no fold does."""
    left: list[Change] = []
    for change in customer.document_changes:
        place = (customer.id, change.kind, change.key)
        if (*place, None) in folded_places:
            continue
        fields = tuple(field for field in change.fields if (*place, field.path) not in folded_places)
        if change.fields and not fields:
            continue
        left.append(change if len(fields) == len(change.fields) else replace(change, fields=fields))
    same = len(left) == len(customer.document_changes) and all(map(is_, left, customer.document_changes))
    return customer if same else replace(customer, document_changes=tuple(left))
