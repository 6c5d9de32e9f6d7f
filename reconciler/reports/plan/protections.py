"""List the protections that a plan weakens, as rows of a report; a row may cover several customers."""

from dataclasses import dataclass

from reconciler.model.diagnostic import Span
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.model.plan import Plan
from reconciler.model.weakening import Protection, Weakening
from reconciler.reports.plan.folding import FEWEST
from reconciler.reports.plan.json import dump_canonical_json
from reconciler.reports.plan.people import CustomerView, Mask, PeopleVisibility
from reconciler.reports.plan.wording import reveal_values

#: the protections whose values name people, so that they are masked for each customer
NAMES_PEOPLE = frozenset({Protection.PROTECT, Protection.ADMINISTRATORS, Protection.MERGES})

_ORDER = {protection: place for place, protection in enumerate(Protection)}


@dataclass(frozen=True, slots=True)
class WeakeningRow:
    """One setting in one or several customers."""

    protection: Protection
    #: IDs in the plan's order; empty for reconciler.yaml
    customers: tuple[CustomerId, ...]
    #: ID of a single document that is not the customer itself; else empty
    key: str
    path: str
    before: object
    after: object
    origin: Span | None


def build_weakening_rows(plan: Plan, people: PeopleVisibility, mask: Mask) -> tuple[WeakeningRow, ...]:
    """Return the rows: those of reconciler.yaml first, then by protection, those of most customers first."""
    whole = [_build_row((), each) for each in plan.weakenings]
    alike: dict[tuple[object, ...], list[tuple[CustomerId, Weakening]]] = {}
    for customer in plan.customers:
        view = CustomerView(people, mask, customer.id)
        for each in customer.weakenings:
            own = customer.id if each.protection in NAMES_PEOPLE else None
            values = (dump_canonical_json(each.before), dump_canonical_json(each.after))
            same = (own, each.protection, each.kind, each.path, *values)
            alike.setdefault(same, []).append((customer.id, view.mask_weakening(each)))
    rows = [row for several in alike.values() for row in _build_rows(several)]
    rows.sort(key=lambda row: (_ORDER[row.protection], -len(row.customers)))
    return (*sorted(whole, key=lambda row: _ORDER[row.protection]), *rows)


def _build_rows(weakenings: list[tuple[CustomerId, Weakening]]) -> list[WeakeningRow]:
    customers = tuple(dict.fromkeys(customer for customer, _ in weakenings))
    if len(customers) < FEWEST:
        return [_build_row((customer,), each) for customer, each in weakenings]
    places: dict[Span | None, int] = {}
    for _, each in weakenings:
        place = Span(each.origin.file, each.origin.line) if each.origin else None
        places[place] = places.get(place, 0) + 1
    commonest = max(places, key=lambda place: places[place])
    first = weakenings[0][1]
    origin = commonest if places[commonest] > 1 else None
    before, after = reveal_values(first.before, first.after)
    return [WeakeningRow(first.protection, customers, "", first.path, before, after, origin)]


def _build_row(customers: tuple[CustomerId, ...], each: Weakening) -> WeakeningRow:
    key = each.key if each.kind not in (None, Kind.CUSTOMER) else ""
    before, after = reveal_values(each.before, each.after)
    return WeakeningRow(each.protection, customers, key, each.path, before, after, each.origin)
