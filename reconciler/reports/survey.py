"""A plan as every report for people tells it: what comes first, what is told once for many, what is left of each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import ROSTER_KINDS
from reconciler.model.plan import CATALOGUE, CustomerPlan, Outcome, Plan
from reconciler.reports.folding import Fold, fold
from reconciler.reports.people import Mask, People, View
from reconciler.reports.rows import Group, declared_totals, groups
from reconciler.reports.totals import totals
from reconciler.reports.weakening import WeakenedRow, weakened_rows

#: what takes something away
TAKING = (Action.DELETE, Action.SUSPEND, Action.CONCLUDE)


class Told:
    """One customer: all its changes, and those that are told under its own name."""

    def __init__(self, customer: CustomerPlan, rest: CustomerPlan, view: View, rows: int, removals: int) -> None:
        self.customer, self.view = customer, view
        self.groups = groups(rest, view, rows, removals)
        roster = (group for group in self.groups if group.kind in ROSTER_KINDS)
        self.everything = self.groups if rest is customer else (*declared_totals(customer), *roster)

    @property
    def name(self) -> str:
        return "catalogue" if self.customer.id == CATALOGUE else self.customer.id

    @property
    def removals(self) -> tuple[Group, ...]:
        return () if self.is_stopped else tuple(group for group in self.groups if group.action in TAKING)

    @property
    def others(self) -> tuple[Group, ...]:
        return () if self.is_stopped else tuple(group for group in self.groups if group.action not in TAKING)

    @property
    def is_stopped(self) -> bool:
        return self.customer.outcome in (Outcome.REFUSED, Outcome.FAILED)

    @property
    def loses(self) -> bool:
        return bool(self.removals)

    @property
    def is_folded(self) -> bool:
        """Everything that changes of it is told with other customers' changes."""
        return bool(self.everything) and not self.groups and not self.is_stopped

    @property
    def is_quiet(self) -> bool:
        return not self.everything and not self.is_stopped

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(self.view.diagnostic(each) for each in self.customer.diagnostics)


@dataclass(frozen=True)
class Survey:
    """headline: the totals, in our own words. weakened: rows; how many protections these are is in the headline."""

    plan: Plan
    headline: str
    weakened: tuple[WeakenedRow, ...]
    folds: tuple[Fold, ...]
    customers: tuple[Told, ...]

    @property
    def removes_people(self) -> bool:
        return any(group.action is Action.DELETE for each in self.customers for group in each.removals)

    @property
    def shown_only(self) -> tuple[Told, ...]:
        """Whose roster is the last good one: what it would change is told, and no apply does it."""
        return tuple(each for each in self.customers if not each.customer.roster_applies and each.customer.roster)


def survey(plan: Plan, people: People, mask: Mask, rows: int, removals: int) -> Survey:
    """rows: most changes of one customer, kind and action; removals: the same for deletions."""
    folded = fold(plan.customers)
    told = tuple(
        Told(customer, rest, View(people, mask, customer.id), rows, removals)
        for customer, rest in zip(plan.customers, folded.rest, strict=True)
    )
    weakened = len(plan.weakened) + sum(len(customer.weakened) for customer in plan.customers)
    headline = totals(plan.customers, chain.from_iterable(each.everything for each in told), weakened)
    return Survey(plan, headline, weakened_rows(plan, people, mask), folded.folds, told)
