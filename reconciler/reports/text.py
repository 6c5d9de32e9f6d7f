"""A plan for a terminal: totals on the first line, then weakened protections, then who loses something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconciler.model.plan import Plan
from reconciler.reports.blocks import block, losses, other_changes, remarks_alone
from reconciler.reports.cells import Paint, clean
from reconciler.reports.compared import elsewhere_words, short_commit
from reconciler.reports.layout import Layout
from reconciler.reports.lines import MARKS
from reconciler.reports.people import Mask, People
from reconciler.reports.shared import folded_lines, weakened_lines
from reconciler.reports.survey import Told, survey
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
    approved: Iterable[str] = (),
) -> str:
    """rows: most lines per customer, kind and action; a cut list says how many more and where to read them. wrap: no
    line is longer than the width; else tables keep to it, and sentences stay whole for a log or a search.
    command: the words that would apply this plan, put before `--approve HOLD`. closing: the last line.
    approved: ids of holds that this apply lets through."""
    layout = Layout(
        rows, width, Paint(color), command, plan.created_at, causes=plan.base is not None, approved=frozenset(approved)
    )
    told_of = survey(plan, people, mask, rows, removals=rows)
    told = told_of.customers
    parts: list[list[str]] = [
        [layout.paint.bold(told_of.headline), *_compared(plan)],
        weakened_lines(told_of.weakened, layout),
    ]
    if len(told) == 1:
        parts += [block(each.customer, each.groups, each.view, layout) for each in told]
    else:
        parts += _several(told, folded_lines(told_of.folds, layout), layout)
    ending = [_signs(told)] if (wrap or plan.base) and any(each.everything for each in told) else []
    ending += [f"plan {plan.plan_id}"] if plan.base else []
    ending += [closing] if closing else []
    text = [line for place, part in enumerate(filter(None, parts)) for line in (["", *part] if place else part)]
    lines = [*text, "", *ending] if len(ending) > 1 else [*text, *ending]
    return "\n".join(wrapped(lines, width, command) if wrap else lines) + "\n"


def _several(told: Sequence[Told], shared: list[str], layout: Layout) -> Iterator[list[str]]:
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


def _quiet(told: Sequence[Told], layout: Layout) -> Iterator[list[str]]:
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


def _signs(told: Sequence[Told]) -> str:
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
