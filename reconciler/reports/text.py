"""A plan for a terminal: totals on the first line, removals first in every customer."""

from __future__ import annotations

from itertools import chain

from reconciler.model.plan import CustomerPlan, Outcome, Plan
from reconciler.reports.blocks import TAKING, block
from reconciler.reports.cells import Paint
from reconciler.reports.layout import Layout
from reconciler.reports.people import Mask, People, View
from reconciler.reports.rows import Group, groups
from reconciler.reports.totals import totals
from reconciler.reports.wording import counted


def render(
    plan: Plan,
    people: People,
    mask: Mask,
    rows: int = 20,
    *,
    width: int = 100,
    color: bool = False,
    command: str = "",
    closing: str = "",
) -> str:
    """rows: most lines per customer, kind and action; a cut list says how many more and where to read them.
    command: the words that would apply this plan, put before `--approve HOLD`. closing: the last line."""
    layout = Layout(rows, width, Paint(color), command, plan.created_at)
    everything = [
        (customer, groups(customer, View(people, mask, customer.id), rows, cut_deletions=True))
        for customer in plan.customers
    ]
    first = totals(plan.customers, chain.from_iterable(each for _, each in everything))
    text = [layout.paint.bold(first)]
    alone = len(everything) == 1
    quiet = 0
    was_quiet = False
    for customer, changing in sorted(everything, key=_urgency):
        is_quiet = not alone and _urgency((customer, changing)) == _QUIET and not customer.diagnostics
        if is_quiet:
            quiet += 1
            if quiet > rows:
                continue
        if not (is_quiet and was_quiet):
            text.append("")
        text += block(customer, changing, View(people, mask, customer.id), layout)
        was_quiet = is_quiet
    if quiet > rows:
        text.append(f"… {counted(quiet - rows, 'more customer', 'more customers')} with nothing to change")
    return "\n".join([*text, *([closing] if closing else [])]) + "\n"


_QUIET = 3


def _urgency(entry: tuple[CustomerPlan, tuple[Group, ...]]) -> int:
    """Who loses something comes first, then what could not be planned, then other changes."""
    customer, changing = entry
    if any(group.action in TAKING for group in changing):
        return 0
    if customer.outcome in (Outcome.REFUSED, Outcome.FAILED):
        return 1
    return 2 if changing else _QUIET
