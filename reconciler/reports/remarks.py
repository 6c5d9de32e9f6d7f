"""Limits and diagnostics of one customer: what stands beneath its changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.plan import CustomerPlan, LimitUse
from reconciler.reports.cells import clean, pad, widest
from reconciler.reports.layout import Layout
from reconciler.reports.wording import NOUNS, TO_DO, counted

_COLUMN = 8


def limit_lines(limits: Iterable[LimitUse], layout: Layout) -> list[str]:
    """What is used of them. Of schools only those over their limit; the others are counted."""
    used = [limit for limit in limits if limit.seen]
    shown = [limit for limit in used if limit.exceeded or limit.scope == "customer"]
    names = [_limit_name(limit) for limit in shown]
    seen = widest([f"{limit.seen:,}" for limit in shown])
    column = widest(names)
    lines = []
    for limit, name in zip(shown, names, strict=True):
        over = f"  {layout.paint.red('✗')}" if limit.exceeded else ""
        lines.append(
            f"{pad(name, column)}  {limit.seen:>{seen},} of {limit.allowed:,} allowed, {limit.of:,} live{over}"
        )
    if within := len(used) - len(shown):
        lines.append(counted(within, "more school is within its limit", "more schools are within their limits"))
    return _beneath("limits", lines)


def _limit_name(limit: LimitUse) -> str:
    if limit.scope == "customer":
        return f"{NOUNS[limit.kind][1]} {TO_DO[limit.action]}"
    org = limit.scope.removeprefix("org:")
    return clean(f"{limit.label} ({org})" if limit.label and limit.label != org else org)


def remark_lines(customer: CustomerPlan, diagnostics: Sequence[Diagnostic], layout: Layout) -> list[str]:
    """Rows set aside, then every other thing that was noticed."""
    aside = sum(counts.quarantined for counts in customer.counts.values())
    errors = [each for each in diagnostics if each.is_error]
    others = [each for each in diagnostics if not each.is_error]
    lines: list[str] = []
    if aside:
        what = f"{aside:,} set aside; what {'it names' if aside == 1 else 'they name'} stays as it is"
        lines += _beneath("rows", [what, *diagnostic_lines(errors, layout)])
    elif errors:
        lines += _beneath("errors", diagnostic_lines(errors, layout))
    lines += _beneath("notes", diagnostic_lines(others, layout))
    return lines


def diagnostic_lines(diagnostics: Sequence[Diagnostic], layout: Layout) -> list[str]:
    """In the form of the contract; no more than `rows`, and how many more there are. A hint that several in a
    row share stands once, under the last of them."""
    lines = []
    shown = diagnostics[: layout.rows]
    for each, following in zip_longest(shown, shown[1:]):
        first, *hint = str(each).splitlines()
        lines.append(clean(first))
        if following is None or following.hint != each.hint:
            lines += [f"    {clean(text.strip())}" for text in hint]
    more = len(diagnostics) - layout.rows
    if more > 0:
        lines.append(f"… {more:,} more; all of them: --rows {len(diagnostics)} or --format json")
    return lines


def _beneath(title: str, lines: Sequence[str]) -> list[str]:
    return [f"{pad('' if place else title, _COLUMN)}{line}" for place, line in enumerate(lines)]
