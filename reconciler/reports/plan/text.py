"""A plan for a terminal: totals on the first line, then weakened protections, then who loses something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE, CustomerPlan, Freshness, Outcome, Plan, SourceSummary
from reconciler.reports.plan.entries import elsewhere_words, short_commit
from reconciler.reports.plan.folding import Fold
from reconciler.reports.plan.overview import TAKING, Told, survey
from reconciler.reports.plan.people import Mask, People, View
from reconciler.reports.plan.protections import WeakenedRow
from reconciler.reports.plan.remarks import diagnostic_lines, limit_lines, remark_lines
from reconciler.reports.plan.rows import Group
from reconciler.reports.plan.tables import MARKS, change_table
from reconciler.reports.plan.terminal import Layout, Paint, clean, pad, wrapped
from reconciler.reports.plan.wording import (
    TO_DO,
    before_and_after,
    counted,
    from_to,
    moment,
    named,
    source_words,
    things,
)

# One customer of a plan on a terminal: what it is, what is held, removals, other changes, remarks.


#: Of what is taken away; enrollments are counted at its end.
_REMOVALS_ORDER = (
    Kind.CUSTOMER,
    Kind.COMMUNITY,
    Kind.LESSON,
    Kind.USER,
    Kind.CLASS,
    Kind.ORG,
    Kind.ENROLLMENT,
)


def block(customer: CustomerPlan, groups: Sequence[Group], view: View, layout: Layout) -> list[str]:
    """groups: all that change of this customer. One line, with its remarks, where nothing does."""
    if customer.outcome in (Outcome.REFUSED, Outcome.FAILED):
        diagnostics = [view.diagnostic(each) for each in customer.diagnostics]
        stopped = layout.paint.red(customer.outcome)
        first = f"{layout.paint.bold(_name(customer))}  {stopped}: nothing was compared, nothing was changed"
        return [first, *(f"  {text}" for text in diagnostic_lines(diagnostics, layout))]
    remarks = _remarks(customer, view, layout)
    if not groups:
        return [_unchanged(customer, layout), *(f"  {text}" for text in remarks)]
    removals, others = _removals(customer, groups, layout), _others(customer, groups, layout)
    return _spaced(_header(customer, layout), _hold(customer, layout), removals, others, remarks)


def losses(customer: CustomerPlan, groups: Sequence[Group], view: View, layout: Layout) -> list[str]:
    """What is taken away, and what keeps it back: the first part of a block, where a report has several."""
    remarks = _remarks(customer, view, layout)
    return _spaced(_header(customer, layout), _hold(customer, layout), _removals(customer, groups, layout), remarks)


def other_changes(customer: CustomerPlan, groups: Sequence[Group], layout: Layout) -> list[str]:
    """The second part; empty where a customer only loses."""
    others = _others(customer, groups, layout)
    return [f"{layout.paint.bold(_name(customer))}  other changes", "", *others] if others else []


def remarks_alone(customer: CustomerPlan, view: View, layout: Layout) -> list[str]:
    """Of a customer whose changes are all told with those of others; empty where nothing was noticed."""
    remarks = _remarks(customer, view, layout)
    return (
        [f"{layout.paint.bold(_name(customer))}: what changes is told above.", *(f"  {text}" for text in remarks)]
        if (remarks)
        else []
    )


def _remarks(customer: CustomerPlan, view: View, layout: Layout) -> list[str]:
    diagnostics = [view.diagnostic(each) for each in customer.diagnostics]
    return [*limit_lines(customer.limits, layout), *remark_lines(customer, diagnostics, layout)]


def _spaced(*parts: list[str]) -> list[str]:
    """With an empty line between those that have any."""
    shown = [part for part in parts if part]
    return [text for place, part in enumerate(shown) for text in (["", *part] if place else part)]


def _name(customer: CustomerPlan) -> str:
    return "catalogue" if customer.id == CATALOGUE else clean(customer.id)


def _header(customer: CustomerPlan, layout: Layout) -> list[str]:
    name = _name(customer)
    column = max(len(name), len("roster")) + 2
    title = "" if customer.name in (name, customer.id) else clean(customer.name)
    lines = [f"{layout.paint.bold(pad(name, column))}{title}".rstrip()]
    if customer.source:
        lines.append(f"{pad('roster', column)}{_source(customer.source, layout)}")
        if not customer.roster_applies:
            lines.append(f"{pad('', column)}what it would change is shown only; apply leaves it out")
    return lines


def _source(source: SourceSummary, layout: Layout) -> str:
    *parts, last = source_words(source, layout.now)
    return " · ".join([*parts, last if source.complete else layout.paint.red(last)])


def _unchanged(customer: CustomerPlan, layout: Layout) -> str:
    known = []
    if Kind.USER in customer.counts:
        known.append(things(customer.counts[Kind.USER].unchanged, Kind.USER))
    if customer.source:
        roster = "last good roster" if customer.source.freshness is Freshness.LAST else "roster"
        known.append(f"{roster} of {moment(customer.source.fetched_at)}")
    aside = f" ({', '.join(known)})" if known else ""
    return f"{layout.paint.bold(_name(customer))}: nothing to change{aside}."


def _hold(customer: CustomerPlan, layout: Layout) -> list[str]:
    hold = customer.hold
    later = [f"{layout.paint.held('HELD')}  once its roster is applied"] if customer.would_hold else []
    later += [f"      {clean(cause)}" for cause in customer.would_hold]
    if hold is None:
        return later
    size = counted(hold.rows, "change", "changes")
    if hold.people:
        size = f"{things(hold.people, Kind.USER)}, {size} in all"
    lines = [f"{layout.paint.held('HELD')}  {layout.paint.bold(clean(hold.id))}  {size}"]
    lines += [f"      {clean(cause)}" for cause in hold.causes]
    if hold.id in layout.approved:
        lines.append("      Approved: all of it goes through with this apply.")
    elif layout.command and _can_be_approved(customer, layout):
        lines.append(f"      If that is right:  {layout.command} --approve {clean(hold.id)}")
    return [*lines, *later]


def _can_be_approved(customer: CustomerPlan, layout: Layout) -> bool:
    """What is held of documents can be where the roster is only shown; but not before they are merged."""
    return customer.roster_applies or (not layout.causes and any(change.held for change in customer.declared))


def _removals(customer: CustomerPlan, groups: Iterable[Group], layout: Layout) -> list[str]:
    taking = [group for group in groups if group.action in TAKING]
    return change_table(customer, sorted(taking, key=lambda group: _REMOVALS_ORDER.index(group.kind)), layout)


def _others(customer: CustomerPlan, groups: Iterable[Group], layout: Layout) -> list[str]:
    return change_table(customer, (group for group in groups if group.action not in TAKING), layout)


# What many customers share, on a terminal: protections weakened, and changes told once for all of them.

_INDENT = "  "


def weakened_lines(rows: Sequence[WeakenedRow], layout: Layout) -> list[str]:
    """What each protection is there for, then who is protected less, once, with each setting: from what to what, and
    where it says so."""
    if not rows:
        return []
    lines = [layout.paint.held("PROTECTION WEAKENED")]
    for sentence, several in groupby(rows, key=lambda row: row.protection.sentence):
        mine = list(several)
        shown: dict[str, list[WeakenedRow]] = {}
        for row in mine[: layout.rows]:
            shown.setdefault(_whose(row), []).append(row)
        lines.append(f"{_INDENT}{sentence}")
        for whose, settings in shown.items():
            lines.append(f"{_INDENT * 2}{whose}")
            lines += [f"{_INDENT * 3}{_setting(row)}" for row in settings]
        if len(mine) > layout.rows:
            lines.append(f"{_INDENT * 2}… {len(mine) - layout.rows:,} more of these; all of them: --format json")
    return lines


def _whose(row: WeakenedRow) -> str:
    who = clean(", ".join(row.customers)) or "reconciler.yaml"
    if len(row.customers) > 1:
        who = f"{things(len(row.customers), Kind.CUSTOMER)}: {clean(named(row.customers))}"
    return f"{who}{f', {clean(row.key)}' if row.key else ''}"


def _setting(row: WeakenedRow) -> str:
    return f"{clean(row.path)} {from_to(row.before, row.after)}{_place(row.origin)}"


def folded_lines(folds: Sequence[Fold], layout: Layout) -> list[str]:
    """One change each, in how many customers; who departs from it beneath."""
    if not folds:
        return []
    lines = [f"{layout.paint.bold('The same in many customers')}", ""]
    for fold in folds[: layout.rows]:
        lines += _fold(fold, layout)
    if len(folds) > layout.rows:
        lines.append(f"{_INDENT}… {len(folds) - layout.rows:,} more of these; all of them: --format json")
    return lines


def _fold(fold: Fold, layout: Layout) -> Iterable[str]:
    what = f"{fold.kind}  {before_and_after(fold.field)}" if fold.field else f"{fold.kind}  {TO_DO[fold.action]}"
    cause = f"  {fold.cause}" if layout.causes and fold.cause else ""
    yield f"{layout.paint.yellow(MARKS[fold.action])} {what}{cause}{_place(fold.origin, others=fold.elsewhere)}"
    which = f"{things(len(fold.customers), Kind.CUSTOMER)}: {clean(named(fold.customers))}"
    if fold.things != len(fold.customers):
        which = f"{things(fold.things, fold.kind)} of {which}"
    yield f"{_INDENT * 2}{which}"
    for each in fold.exceptions:
        key = "" if each.key == each.customer else f" {clean(each.key)}"
        values = from_to(each.field.before, each.field.after)
        yield f"{_INDENT * 2}otherwise: {clean(each.customer)}{key} {values}{_place(each.origin)}"


def _place(origin: Span | None, others: int = 0) -> str:
    if origin is None:
        return ""
    more = f" and {counted(others, 'other place', 'other places')}" if others else ""
    return f", {clean(str(Span(origin.file, origin.line)))}{more}"


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
