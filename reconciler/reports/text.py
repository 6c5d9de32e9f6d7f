"""A plan for a terminal: totals on the first line, then weakened protections, then who loses something."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from reconciler.model.plan import CustomerPlan, Outcome, Plan
from reconciler.reports.blocks import TAKING, block, losses, other_changes, remarks_alone
from reconciler.reports.cells import Paint, clean
from reconciler.reports.compared import elsewhere_words, short_commit
from reconciler.reports.folding import fold
from reconciler.reports.layout import Layout
from reconciler.reports.lines import MARKS
from reconciler.reports.people import Mask, People, View
from reconciler.reports.rows import groups
from reconciler.reports.shared import folded_lines, weakened_lines
from reconciler.reports.totals import totals
from reconciler.reports.weakening import weakened_rows
from reconciler.reports.wording import counted
from reconciler.reports.wrapping import wrapped


def render(
    plan: Plan,
    people: People,
    mask: Mask,
    rows: int = 20,
    *,
    width: int = 100,
    color: bool = False,
    wrap: bool = False,
    command: str = "",
    closing: str = "",
) -> str:
    """rows: most lines per customer, kind and action; a cut list says how many more and where to read them. wrap: no
    line is longer than the width; else tables keep to it, and sentences stay whole for a log or a search.
    command: the words that would apply this plan, put before `--approve HOLD`. closing: the last line."""
    layout = Layout(rows, width, Paint(color), command, plan.created_at, causes=plan.base is not None)
    folded = fold(plan.customers)
    told = [
        _Told(customer, rest, View(people, mask, customer.id), rows)
        for customer, rest in zip(plan.customers, folded.rest, strict=True)
    ]
    weakened = weakened_rows(plan, people, mask)
    number = len(plan.weakened) + sum(len(customer.weakened) for customer in plan.customers)
    first = totals(plan.customers, chain.from_iterable(each.everything for each in told), number)
    parts: list[list[str]] = [[layout.paint.bold(first), *_compared(plan)], weakened_lines(weakened, layout)]
    if len(told) == 1:
        parts += [block(each.customer, each.groups, each.view, layout) for each in told]
    else:
        parts += _several(told, folded_lines(folded.folds, layout), layout)
    ending = [_signs(told)] if (wrap or plan.base) and any(each.everything for each in told) else []
    ending += [f"plan {plan.plan_id}"] if plan.base else []
    ending += [closing] if closing else []
    text = [line for place, part in enumerate(filter(None, parts)) for line in (["", *part] if place else part)]
    lines = [*text, "", *ending] if len(ending) > 1 else [*text, *ending]
    return "\n".join(wrapped(lines, width, command) if wrap else lines) + "\n"


class _Told:
    """One customer: all its changes, and those that are told under its own name."""

    def __init__(self, customer: CustomerPlan, rest: CustomerPlan, view: View, rows: int) -> None:
        self.customer, self.view = customer, view
        self.groups = groups(rest, view, rows, cut_deletions=True)
        self.everything = self.groups if rest is customer else groups(customer, view, 0, cut_deletions=True)

    @property
    def is_stopped(self) -> bool:
        return self.customer.outcome in (Outcome.REFUSED, Outcome.FAILED)

    @property
    def loses(self) -> bool:
        return not self.is_stopped and any(group.action in TAKING for group in self.groups)

    @property
    def is_folded(self) -> bool:
        """Everything that changes of it is told with other customers' changes."""
        return bool(self.everything) and not self.groups and not self.is_stopped

    @property
    def is_quiet(self) -> bool:
        return not self.everything and not self.is_stopped


def _several(told: list[_Told], shared: list[str], layout: Layout) -> Iterator[list[str]]:
    """Who loses something, what could not be planned, then other changes, then nothing at all."""
    losing = [each for each in told if each.loses]
    yield from (losses(each.customer, each.groups, each.view, layout) for each in losing)
    yield from (block(each.customer, (), each.view, layout) for each in told if each.is_stopped)
    yield shared
    for each in told:
        if each.loses:
            yield other_changes(each.customer, each.groups, layout)
        elif each.is_folded:
            yield remarks_alone(each.customer, each.view, layout)
        elif each.groups and not each.is_stopped:
            yield block(each.customer, each.groups, each.view, layout)
    yield from _quiet([each for each in told if each.is_quiet], layout)


def _quiet(told: list[_Told], layout: Layout) -> Iterator[list[str]]:
    """Customers with something noticed each by themselves, the others one line each."""
    noticed = [each for each in told if each.customer.diagnostics]
    yield from (block(each.customer, (), each.view, layout) for each in noticed)
    plain = [each for each in told if not each.customer.diagnostics]
    lines = [line for each in plain[: layout.rows] for line in block(each.customer, (), each.view, layout)]
    more = len(plain) - layout.rows
    if more > 0:
        lines.append(f"… {counted(more, 'more customer', 'more customers')} with nothing to change")
    yield lines


_SIGNS = {"-": "taken away", ">": "kept in another way", "~": "changed", "+": "added or brought back"}


def _signs(told: list[_Told]) -> str:
    """What the marks before changes mean, for whoever does not see them as signs."""
    used = {MARKS[group.action] for each in told for group in each.everything}
    return "signs: " + " · ".join(f"{sign} {words}" for sign, words in _SIGNS.items() if sign in used)


def _compared(plan: Plan) -> list[str]:
    if plan.base is None:
        return []
    commit = short_commit(plan.base)
    lines = [f"compared with {clean(plan.base.ref)}{f' ({clean(commit)})' if commit else ''}"]
    if plan.elsewhere:
        lines.append(f"elsewhere: {elsewhere_words(plan.elsewhere)}")
    return lines
