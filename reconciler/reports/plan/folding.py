"""Fold the same change in several customers into one entry, with its customers, origin and exceptions.

Only changes of documents fold, field by field, since roster rows are individual people and things. A change that
removes something, is held or names a person never folds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from operator import is_
from typing import TypeAlias

from reconciler.model.cause import ChangeCause
from reconciler.model.change import Action, Change, Create, FieldChange, Update, get_action
from reconciler.model.diagnostic import Span
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, CustomerPlan
from reconciler.model.reason import Reason
from reconciler.reports.plan.json import dump_canonical_json
from reconciler.reports.plan.people import is_personal_field, mask_webhook_urls
from reconciler.reports.plan.wording import reveal_field

#: least customers with the same change
FEWEST = 3
#: most exceptions of a fold; if there are more, each is shown with its customer
MOST_EXCEPTIONS = 10


@dataclass(frozen=True, slots=True)
class FoldOutlier:
    """A document whose same field also changes, but from or to another value."""

    customer: CustomerId
    key: str
    field: FieldChange
    origin: Span | None


@dataclass(frozen=True, slots=True)
class Fold:
    """One change of several customers."""

    action: Action
    kind: Kind
    reason: Reason
    cause: ChangeCause | None
    #: None for new documents
    field: FieldChange | None
    #: IDs, in the plan's order
    customers: tuple[CustomerId, ...]
    #: number of documents
    things: int
    #: origin of most of them; None if they have none in common
    origin: Span | None
    #: number of documents with another origin
    other_places: int
    #: in the plan's order
    exceptions: tuple[FoldOutlier, ...] = ()


#: customer, kind, key and field of a document; the field is None for a new document
_Place: TypeAlias = tuple[str, Kind, str, str | None]


@dataclass(frozen=True, slots=True)
class FoldResult:
    #: folds of most customers first
    folds: tuple[Fold, ...]
    #: the customers with their remaining changes, in the plan's order
    rest: tuple[CustomerPlan, ...]


@dataclass(frozen=True, slots=True)
class _FoldCandidate:
    """A change that may fold: a field of an update, or a creation."""

    customer: CustomerId
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
    """Fold the changes of documents. Takes time linear in the number of changes."""
    alike: dict[tuple[object, ...], list[_FoldCandidate]] = {}
    for customer in customers:
        for part in _list_fold_candidates(customer):
            alike.setdefault(part.sameness, []).append(part)
    topics: dict[tuple[Action, Kind, str | None], list[list[_FoldCandidate]]] = {}
    for parts in alike.values():
        topics.setdefault(parts[0].topic, []).append(parts)
    folds: list[Fold] = []
    folded_places: set[_Place] = set()
    for several in topics.values():
        many = [parts for parts in several if len(_list_customers(parts)) >= FEWEST]
        if not many:
            continue
        many.sort(key=lambda parts: -len(_list_customers(parts)))
        others = [part for parts in several if len(_list_customers(parts)) < FEWEST for part in parts]
        if len(others) > min(MOST_EXCEPTIONS, len(many[0])) or many[0][0].path is None:
            others = []
        folded_places.update(part.place for parts in many for part in parts)
        folded_places.update(part.place for part in others)
        folds += [_build_fold(parts, () if place else others) for place, parts in enumerate(many)]
    folds.sort(key=lambda each: (-len(each.customers), each.kind, each.field.path if each.field else ""))
    return FoldResult(tuple(folds), tuple(_remove_folded_changes(customer, folded_places) for customer in customers))


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


def _list_customers(parts: Iterable[_FoldCandidate]) -> tuple[CustomerId, ...]:
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
        field=first.field and reveal_field(mask_webhook_urls(first.field)),
        customers=_list_customers(parts),
        things=len(parts),
        origin=commonest if places[commonest] > 1 else None,
        other_places=len(parts) - places[commonest] if places[commonest] > 1 else 0,
        exceptions=tuple(
            FoldOutlier(part.customer, part.change.key, reveal_field(mask_webhook_urls(part.field)), part.change.origin)
            for part in outliers
            if part.field is not None
        ),
    )


def _remove_folded_changes(customer: CustomerPlan, folded_places: set[_Place]) -> CustomerPlan:
    """Return the customer without the folded changes; the same object if there are none."""
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
