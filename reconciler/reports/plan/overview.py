"""Summarize a plan for people: the headline, changes that several customers share, and the rest of each customer."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TypeAlias

from reconciler.model.change import Action, Update, count_affected_people
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import DECLARED_KINDS, ROSTER_KINDS, Kind
from reconciler.model.plan import CATALOG, CustomerPlan, Outcome, Plan
from reconciler.model.reason import Reason
from reconciler.model.weakening import Weakening
from reconciler.reports.plan.folding import Fold, group_into_folds
from reconciler.reports.plan.people import CustomerView, Mask, PeopleVisibility
from reconciler.reports.plan.protections import WeakeningRow, build_weakening_rows
from reconciler.reports.plan.rows import ChangeGroup, count_declared_changes, group_changes
from reconciler.reports.plan.wording import ACTION_PHRASES, format_count, format_kind_count

# The first line of every report for people: removals, then other changes.

_OTHER_KINDS = tuple(kind for kind in ROSTER_KINDS if kind is not Kind.USER)


@dataclass(frozen=True, slots=True)
class _Sum:
    total: int = 0
    held: int = 0

    def __add__(self, other: "_Sum") -> "_Sum":
        return _Sum(self.total + other.total, self.held + other.held)


_Sums: TypeAlias = dict[tuple[Action, Kind], _Sum]


def build_headline(
    customers: Sequence[CustomerPlan], groups: Iterable[ChangeGroup], weakenings: Sequence[Weakening] = ()
) -> str:
    """Return the first line of a report: removals first, people before classes.

    If people change, other rows that a roster adds or updates are left to the tables. groups: of all customers.
    weakenings: of all customers and reconciler.yaml; they follow the removals."""
    sums: _Sums = {}
    for group in groups:
        place = (group.action, group.kind)
        sums[place] = sums.get(place, _Sum()) + _Sum(group.total, group.held)
    later = tuple(action for action in Action if action is not Action.DELETE)
    removed = _describe_people(sums, (Action.DELETE,), omit_noun=False)
    removed_too = _describe_other_kinds(sums, DECLARED_KINDS, Action.DELETE) + _describe_other_kinds(
        sums, _OTHER_KINDS, Action.DELETE
    )
    changed = _describe_people(sums, later, omit_noun=bool(removed) and not removed_too and not weakenings)
    declared = [part for action in later for part in _describe_other_kinds(sums, DECLARED_KINDS, action)]
    others = [part for action in later for part in _describe_other_kinds(sums, _OTHER_KINDS, action)]
    rest = [*_describe_settings(customers), *declared, *([] if removed or changed else others)]
    who = _describe_customers(customers)
    lockouts = _describe_lockouts(customers)
    changes = [*removed, *removed_too, *lockouts, *_describe_weakenings(weakenings), *changed, *rest]
    if not changes and len(who) == 1:
        changes = ["nothing to change"]
    return " · ".join([*who, *changes, *_describe_quarantined(customers)])


def _describe_lockouts(customers: Sequence[CustomerPlan]) -> list[str]:
    lockouts = [
        change for customer in customers for change in customer.document_changes if change.reason is Reason.LOCKS_OUT
    ]
    people = sum(map(count_affected_people, lockouts))
    held = ", HELD" if any(change.held for change in lockouts) else ""
    return [f"{format_kind_count(people, Kind.USER)} to lock out{held}"] if lockouts else []


def _describe_weakenings(weakenings: Sequence[Weakening]) -> list[str]:
    access = sum(each.protection.is_access for each in weakenings)
    weakened = len(weakenings) - access
    less = [format_count(weakened, "protection", "protections") + " weakened"] if weakened else []
    return [*less, format_count(access, "change of access", "changes of access")] if access else less


def _describe_quarantined(customers: Sequence[CustomerPlan]) -> list[str]:
    number = sum(counts.quarantined for customer in customers for counts in customer.counts.values())
    return [f"{format_count(number, 'row', 'rows')} quarantined"] if number else []


def _describe_customers(customers: Sequence[CustomerPlan]) -> list[str]:
    number = sum(customer.id != CATALOG for customer in customers)
    has_catalog = any(customer.id == CATALOG for customer in customers)
    who = format_kind_count(number, Kind.CUSTOMER)
    if has_catalog:
        who = f"{who} and the catalog" if number else "the catalog"
    refused = sum(customer.outcome is Outcome.REFUSED for customer in customers)
    failed = sum(customer.outcome is Outcome.FAILED for customer in customers)
    return [who, *([f"{refused:,} refused"] if refused else []), *([f"{failed:,} failed"] if failed else [])]


def _describe_people(sums: _Sums, actions: tuple[Action, ...], *, omit_noun: bool) -> list[str]:
    """Return the parts about people. omit_noun: an earlier part already says that people are counted."""
    parts: list[str] = []
    for action in actions:
        found = sums.get((action, Kind.USER))
        if found is None:
            continue
        number = f"{found.total:,}" if omit_noun or parts else format_kind_count(found.total, Kind.USER)
        parts.append(f"{number} {ACTION_PHRASES[action]}{_describe_held(found)}")
    return parts


def _describe_other_kinds(sums: _Sums, kinds: tuple[Kind, ...], action: Action) -> list[str]:
    """Return several kinds in one part: `5 orgs, 40 classes to add`. Changed settings are counted elsewhere.

    Does not repeat HELD for rows that are held together with people.
    """
    settings = kinds == DECLARED_KINDS and action is Action.UPDATE
    found = [(kind, sums[action, kind]) for kind in kinds if (action, kind) in sums and not settings]
    if not found:
        return []
    implied = kinds == _OTHER_KINDS and sums.get((action, Kind.USER), _Sum()).held
    whole = _Sum() if implied else sum((each for _, each in found), _Sum())
    listed = ", ".join(format_kind_count(each.total, kind) for kind, each in found)
    return [f"{listed} {ACTION_PHRASES[action]}{_describe_held(whole)}"]


def _describe_settings(customers: Sequence[CustomerPlan]) -> list[str]:
    number = sum(
        len(change.fields)
        for customer in customers
        for change in customer.document_changes
        if isinstance(change, Update)
    )
    return [f"{format_count(number, 'setting', 'settings')} to change"] if number else []


def _describe_held(sums: _Sum) -> str:
    if not sums.held:
        return ""
    return ", HELD" if sums.held == sums.total == 1 else f", {sums.held:,} of them HELD"


#: actions that remove something
REMOVAL_ACTIONS = (Action.DELETE, Action.SUSPEND, Action.CONCLUDE)


class CustomerReport:
    """One customer, with all its changes and those that no fold contains."""

    def __init__(
        self, customer: CustomerPlan, rest: CustomerPlan, view: CustomerView, rows: int, removals: int
    ) -> None:
        self.customer, self.view = customer, view
        self.groups = group_changes(rest, view, rows, removals)
        roster = (group for group in self.groups if group.kind in ROSTER_KINDS)
        self.everything = self.groups if rest is customer else (*count_declared_changes(customer), *roster)

    @property
    def name(self) -> str:
        return "catalog" if self.customer.id == CATALOG else self.customer.id

    @property
    def removals(self) -> tuple[ChangeGroup, ...]:
        return () if self.is_stopped else tuple(group for group in self.groups if group.action in REMOVAL_ACTIONS)

    @property
    def others(self) -> tuple[ChangeGroup, ...]:
        return () if self.is_stopped else tuple(group for group in self.groups if group.action not in REMOVAL_ACTIONS)

    @property
    def is_stopped(self) -> bool:
        return self.customer.outcome in (Outcome.REFUSED, Outcome.FAILED)

    @property
    def loses(self) -> bool:
        return bool(self.removals)

    @property
    def is_folded(self) -> bool:
        """Whether folds contain all its changes."""
        return bool(self.everything) and not self.groups and not self.is_stopped

    @property
    def is_quiet(self) -> bool:
        return not self.everything and not self.is_stopped

    @cached_property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(self.view.mask_diagnostic(each) for each in self.customer.diagnostics)


@dataclass(frozen=True)
class PlanOverview:
    plan: Plan
    #: totals
    headline: str
    #: rows, each of one or several weakened protections
    weakened: tuple[WeakeningRow, ...]
    #: rows, each of one or several settings that give or move access
    access: tuple[WeakeningRow, ...]
    folds: tuple[Fold, ...]
    customers: tuple[CustomerReport, ...]

    @property
    def removes_people(self) -> bool:
        return any(group.action is Action.DELETE for each in self.customers for group in each.removals)

    @property
    def shown_only(self) -> tuple[CustomerReport, ...]:
        """Customers whose roster is the last good one: a preview of changes that apply skips."""
        return tuple(each for each in self.customers if not each.customer.roster_applies and each.customer.roster)


def build_plan_overview(plan: Plan, people: PeopleVisibility, mask: Mask, rows: int, removals: int) -> PlanOverview:
    """Return the overview. rows: most changes of one customer, kind and action; removals: the same for deletions."""
    folded = group_into_folds(plan.customers)
    reports = tuple(
        CustomerReport(customer, rest, CustomerView(people, mask, customer.id), rows, removals)
        for customer, rest in zip(plan.customers, folded.rest, strict=True)
    )
    weakenings = [*plan.weakenings, *chain.from_iterable(customer.weakenings for customer in plan.customers)]
    headline = build_headline(plan.customers, chain.from_iterable(each.everything for each in reports), weakenings)
    rows_of_weakenings = build_weakening_rows(plan, people, mask)
    access = tuple(row for row in rows_of_weakenings if row.protection.is_access)
    weakened = tuple(row for row in rows_of_weakenings if not row.protection.is_access)
    return PlanOverview(plan, headline, weakened, access, folded.folds, reports)
