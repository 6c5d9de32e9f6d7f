"""One customer of a plan on a terminal: what it is, what is held, removals, other changes, remarks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOGUE, CustomerPlan, Freshness, Outcome, SourceSummary
from reconciler.reports.cells import clean, pad
from reconciler.reports.layout import Layout
from reconciler.reports.people import View
from reconciler.reports.remarks import diagnostic_lines, limit_lines, remark_lines
from reconciler.reports.rows import Group
from reconciler.reports.survey import TAKING
from reconciler.reports.tables import change_table
from reconciler.reports.wording import counted, moment, source_words, things

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
