"""Protections that a plan weakens, as rows of a report: by protection, the same in many customers once."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import Plan
from reconciler.model.weakening import Protection, Weakening
from reconciler.reports.plan.folding import FEWEST
from reconciler.reports.plan.json import canonical
from reconciler.reports.plan.people import Mask, People, View

_ORDER = {protection: place for place, protection in enumerate(Protection)}


@dataclass(frozen=True, slots=True)
class WeakenedRow:
    """One setting in one or many customers. customers: ids in the plan's order; none for reconciler.yaml. key: the
    document's id, where it is one customer's and not the customer itself."""

    protection: Protection
    customers: tuple[str, ...]
    key: str
    path: str
    before: object
    after: object
    origin: Span | None


def weakened_rows(plan: Plan, people: People, mask: Mask) -> tuple[WeakenedRow, ...]:
    """What reconciler.yaml weakens first, then by protection; of one protection, what most customers share first."""
    whole = [_row((), each) for each in plan.weakened]
    alike: dict[tuple[object, ...], list[tuple[str, Weakening]]] = {}
    for customer in plan.customers:
        view = View(people, mask, customer.id)
        for each in customer.weakened:
            own = customer.id if each.protection is Protection.PROTECT else None
            values = (canonical(each.before), canonical(each.after))
            same = (own, each.protection, each.kind, each.path, *values)
            alike.setdefault(same, []).append((customer.id, view.weakening(each)))
    rows = [row for several in alike.values() for row in _rows(several)]
    rows.sort(key=lambda row: (_ORDER[row.protection], -len(row.customers)))
    return (*sorted(whole, key=lambda row: _ORDER[row.protection]), *rows)


def _rows(several: list[tuple[str, Weakening]]) -> list[WeakenedRow]:
    customers = tuple(dict.fromkeys(customer for customer, _ in several))
    if len(customers) < FEWEST:
        return [_row((customer,), each) for customer, each in several]
    places: dict[Span | None, int] = {}
    for _, each in several:
        place = Span(each.origin.file, each.origin.line) if each.origin else None
        places[place] = places.get(place, 0) + 1
    commonest = max(places, key=lambda place: places[place])
    first = several[0][1]
    origin = commonest if places[commonest] > 1 else None
    return [WeakenedRow(first.protection, customers, "", first.path, first.before, first.after, origin)]


def _row(customers: tuple[str, ...], each: Weakening) -> WeakenedRow:
    key = each.key if each.kind not in (None, Kind.CUSTOMER) else ""
    return WeakenedRow(each.protection, customers, key, each.path, each.before, each.after, each.origin)
