"""Render a plan for a terminal: totals on the first line, then weakened protections, removals and other changes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from reconciler.model.diagnostic import Span
from reconciler.model.ids import HoldId
from reconciler.model.kind import Kind
from reconciler.model.plan import CATALOG, CustomerPlan, Freshness, Outcome, Plan, SourceSummary
from reconciler.reports.plan import wording
from reconciler.reports.plan.entries import describe_missing_commits, describe_outside_base, format_short_commit
from reconciler.reports.plan.folding import Fold
from reconciler.reports.plan.overview import REMOVAL_ACTIONS, CustomerReport, build_plan_overview
from reconciler.reports.plan.people import CustomerView, Mask, PeopleVisibility
from reconciler.reports.plan.protections import WeakeningRow
from reconciler.reports.plan.remarks import format_diagnostic_lines, format_limit_lines, format_remark_lines
from reconciler.reports.plan.rows import ChangeGroup
from reconciler.reports.plan.tables import MARKS, format_change_table
from reconciler.reports.plan.terminal import Paint, TerminalLayout, clean_text, pad_to_width, wrap_lines

# One customer on a terminal: header, hold, removals, other changes, remarks.


#: order of removals; enrollments are counted at the end
_REMOVALS_ORDER = (
    Kind.CUSTOMER,
    Kind.COMMUNITY,
    Kind.LESSON,
    Kind.USER,
    Kind.CLASS,
    Kind.ORG,
    Kind.ENROLLMENT,
)


def format_customer_block(
    customer: CustomerPlan, groups: Sequence[ChangeGroup], view: CustomerView, layout: TerminalLayout
) -> list[str]:
    """Return the lines of a customer; one line and its remarks if nothing changes. groups: all its changes."""
    if customer.outcome in (Outcome.REFUSED, Outcome.FAILED):
        diagnostics = [view.mask_diagnostic(each) for each in customer.diagnostics]
        stopped = layout.paint.format_red(customer.outcome)
        first = f"{layout.paint.format_bold(_format_name(customer))}  {stopped}; nothing was compared or changed"
        return [first, *(f"  {text}" for text in format_diagnostic_lines(diagnostics, layout))]
    remarks = _format_remarks(customer, view, layout)
    if not groups:
        return [_format_unchanged(customer, layout), *(f"  {text}" for text in remarks)]
    removals, others = _format_removals(customer, groups, layout), _format_other_groups(customer, groups, layout)
    return _join_with_blank_lines(
        _format_header(customer, layout), _format_hold(customer, layout), removals, others, remarks
    )


def format_losses(
    customer: CustomerPlan, groups: Sequence[ChangeGroup], view: CustomerView, layout: TerminalLayout
) -> list[str]:
    """Return the first part of a customer's block in a report of several: its hold, removals and remarks."""
    remarks = _format_remarks(customer, view, layout)
    return _join_with_blank_lines(
        _format_header(customer, layout),
        _format_hold(customer, layout),
        _format_removals(customer, groups, layout),
        remarks,
    )


def format_other_changes(customer: CustomerPlan, groups: Sequence[ChangeGroup], layout: TerminalLayout) -> list[str]:
    """Return the second part of a customer's block; empty if it has only removals."""
    others = _format_other_groups(customer, groups, layout)
    return [f"{layout.paint.format_bold(_format_name(customer))}  other changes", "", *others] if others else []


def format_remarks_only(customer: CustomerPlan, view: CustomerView, layout: TerminalLayout) -> list[str]:
    """Return the remarks of a customer whose changes are all folded; empty without remarks."""
    remarks = _format_remarks(customer, view, layout)
    return (
        [
            f"{layout.paint.format_bold(_format_name(customer))}: its changes are listed above.",
            *(f"  {text}" for text in remarks),
        ]
        if remarks
        else []
    )


def _format_remarks(customer: CustomerPlan, view: CustomerView, layout: TerminalLayout) -> list[str]:
    diagnostics = [view.mask_diagnostic(each) for each in customer.diagnostics]
    return [*format_limit_lines(customer.limits, layout), *format_remark_lines(customer, diagnostics, layout)]


def _join_with_blank_lines(*parts: list[str]) -> list[str]:
    """Join the parts that are not empty, with an empty line between them."""
    shown = [part for part in parts if part]
    return [text for place, part in enumerate(shown) for text in (["", *part] if place else part)]


def _format_name(customer: CustomerPlan) -> str:
    return "catalog" if customer.id == CATALOG else clean_text(customer.id)


def _format_header(customer: CustomerPlan, layout: TerminalLayout) -> list[str]:
    name = _format_name(customer)
    column = max(len(name), len("roster")) + 2
    title = "" if customer.name in (name, customer.id) else clean_text(customer.name)
    lines = [f"{layout.paint.format_bold(pad_to_width(name, column))}{title}".rstrip()]
    if customer.source:
        lines.append(f"{pad_to_width('roster', column)}{_format_source(customer.source, layout)}")
        if not customer.roster_applies:
            lines.append(f"{pad_to_width('', column)}preview only; apply skips these changes")
    return lines


def _format_source(source: SourceSummary, layout: TerminalLayout) -> str:
    *parts, last = wording.describe_source(source, layout.now)
    return " · ".join([*parts, last if source.complete else layout.paint.format_red(last)])


def _format_unchanged(customer: CustomerPlan, layout: TerminalLayout) -> str:
    known = []
    if Kind.USER in customer.counts:
        known.append(wording.format_kind_count(customer.counts[Kind.USER].unchanged, Kind.USER))
    if customer.source:
        roster = "last good roster" if customer.source.freshness is Freshness.LAST else "roster"
        known.append(f"{roster} of {wording.format_moment(customer.source.fetched_at)}")
    aside = f" ({', '.join(known)})" if known else ""
    return f"{layout.paint.format_bold(_format_name(customer))}: nothing to change{aside}."


def _format_hold(customer: CustomerPlan, layout: TerminalLayout) -> list[str]:
    hold = customer.hold
    later = [f"{layout.paint.format_held('HELD')}  when its roster is applied"] if customer.would_hold else []
    later += [f"      {clean_text(cause)}" for cause in customer.would_hold]
    if hold is None:
        return later
    size = wording.format_count(hold.rows, "change", "changes")
    if hold.people:
        size = f"{wording.format_kind_count(hold.people, Kind.USER)}, {size} in all"
    lines = [f"{layout.paint.format_held('HELD')}  {layout.paint.format_bold(clean_text(hold.id))}  {size}"]
    lines += [f"      {clean_text(cause)}" for cause in hold.causes]
    if hold.id in layout.approvals:
        lines.append("      Approved: this apply includes all of these changes.")
    elif layout.command and _can_be_approved(customer, layout):
        lines.append(f"      To approve:  {layout.command} --approve {clean_text(hold.id)}")
    return [*lines, *later]


def _can_be_approved(customer: CustomerPlan, layout: TerminalLayout) -> bool:
    """Return whether the hold can be approved: not for a preview, except of documents that are already merged."""
    return customer.roster_applies or (not layout.causes and any(change.held for change in customer.document_changes))


def _format_removals(customer: CustomerPlan, groups: Iterable[ChangeGroup], layout: TerminalLayout) -> list[str]:
    removals = [group for group in groups if group.action in REMOVAL_ACTIONS]
    return format_change_table(customer, sorted(removals, key=lambda group: _REMOVALS_ORDER.index(group.kind)), layout)


def _format_other_groups(customer: CustomerPlan, groups: Iterable[ChangeGroup], layout: TerminalLayout) -> list[str]:
    return format_change_table(customer, (group for group in groups if group.action not in REMOVAL_ACTIONS), layout)


# Weakened protections and folded changes, which several customers share, on a terminal.

_INDENT = "  "


def format_weakened_lines(heading: str, rows: Sequence[WeakeningRow], layout: TerminalLayout) -> list[str]:
    """Return each protection, followed by its customers and settings: the value before and after, and the origin."""
    if not rows:
        return []
    lines = [layout.paint.format_held(heading)]
    for sentence, several in groupby(rows, key=lambda row: row.protection.sentence):
        mine = list(several)
        shown: dict[str, list[WeakeningRow]] = {}
        for row in mine[: layout.rows]:
            shown.setdefault(_describe_owners(row), []).append(row)
        lines.append(f"{_INDENT}{sentence}")
        for whose, settings in shown.items():
            lines.append(f"{_INDENT * 2}{whose}")
            lines += [f"{_INDENT * 3}{_format_setting(row)}" for row in settings]
        if len(mine) > layout.rows:
            lines.append(f"{_INDENT * 2}… {len(mine) - layout.rows:,} more of these; to list all: --format json")
    return lines


def _describe_owners(row: WeakeningRow) -> str:
    who = clean_text(", ".join(row.customers)) or "reconciler.yaml"
    if len(row.customers) > 1:
        count = wording.format_kind_count(len(row.customers), Kind.CUSTOMER)
        who = f"{count}: {clean_text(wording.format_names(row.customers))}"
    return f"{who}{f', {clean_text(row.key)}' if row.key else ''}"


def _format_setting(row: WeakeningRow) -> str:
    return f"{clean_text(row.path)} {wording.format_from_to(row.before, row.after)}{_format_place(row.origin)}"


def format_fold_lines(folds: Sequence[Fold], layout: TerminalLayout) -> list[str]:
    """Return each folded change with its customers, followed by the exceptions."""
    if not folds:
        return []
    lines = [f"{layout.paint.format_bold('Same change in several customers')}", ""]
    for fold in folds[: layout.rows]:
        lines += _format_fold(fold, layout)
    if len(folds) > layout.rows:
        lines.append(f"{_INDENT}… {len(folds) - layout.rows:,} more of these; to list all: --format json")
    return lines


def _format_fold(fold: Fold, layout: TerminalLayout) -> Iterable[str]:
    what = (
        f"{fold.kind}  {wording.format_field_change(fold.field)}"
        if fold.field
        else f"{fold.kind}  {wording.ACTION_PHRASES[fold.action]}"
    )
    cause = f"  {fold.cause}" if layout.causes and fold.cause else ""
    yield (
        f"{layout.paint.format_yellow(MARKS[fold.action])} "
        f"{what}{cause}{_format_place(fold.origin, other_places=fold.other_places)}"
    )
    count = wording.format_kind_count(len(fold.customers), Kind.CUSTOMER)
    which = f"{count}: {clean_text(wording.format_names(fold.customers))}"
    if fold.things != len(fold.customers):
        which = f"{wording.format_kind_count(fold.things, fold.kind)} of {which}"
    yield f"{_INDENT * 2}{which}"
    for each in fold.exceptions:
        key = "" if each.key == each.customer else f" {clean_text(each.key)}"
        values = wording.format_from_to(each.field.before, each.field.after)
        yield f"{_INDENT * 2}otherwise: {clean_text(each.customer)}{key} {values}{_format_place(each.origin)}"


def _format_place(origin: Span | None, other_places: int = 0) -> str:
    if origin is None:
        return ""
    more = f" and {wording.format_count(other_places, 'other place', 'other places')}" if other_places else ""
    return f", {clean_text(str(Span(origin.file, origin.line)))}{more}"


@dataclass(frozen=True, slots=True)
class TextOptions:
    #: of a line, in cells
    width: int = 100
    color: bool = False
    #: whether no line is longer than `width`; else only tables are, so that a log or a search finds whole sentences
    wrap: bool = False
    #: applies this plan, and comes before `--approve HOLD`; empty if nothing can apply it
    command: str = ""
    #: the last line
    closing: str = ""
    #: ids of the holds that this apply approves
    approvals: frozenset[HoldId] = frozenset()


def render_plan_text(
    plan: Plan, people: PeopleVisibility, mask: Mask, rows: int = 20, options: TextOptions | None = None
) -> str:
    """Return the plan as lines for a terminal or a log.

    rows: the most lines per customer, kind and action; a list that is cut says how many more there are and where to
    read them."""
    options = options or TextOptions()
    layout = TerminalLayout(
        rows,
        options.width,
        Paint(options.color),
        options.command,
        plan.created_at,
        causes=plan.base is not None,
        approvals=options.approvals,
    )
    overview = build_plan_overview(plan, people, mask, rows, removals=rows)
    customers = overview.customers
    parts: list[list[str]] = [
        [layout.paint.format_bold(overview.headline), *_describe_base(plan), *_describe_new_store(plan)],
        format_weakened_lines("PROTECTION WEAKENED", overview.weakened, layout),
        format_weakened_lines("ACCESS CHANGED", overview.access, layout),
    ]
    if len(customers) == 1:
        parts += [format_customer_block(each.customer, each.groups, each.view, layout) for each in customers]
    else:
        parts += _format_customers(customers, format_fold_lines(overview.folds, layout), layout)
    ending = (
        [_explain_marks(customers)]
        if (options.wrap or plan.base) and any(each.everything for each in customers)
        else []
    )
    ending += [f"plan {plan.plan_id}"] if plan.base else []
    ending += [options.closing] if options.closing else []
    text = [line for place, part in enumerate(filter(None, parts)) for line in (["", *part] if place else part)]
    lines = [*text, "", *ending] if len(ending) > 1 else [*text, *ending]
    return "\n".join(wrap_lines(lines, options.width, options.command) if options.wrap else lines) + "\n"


def _format_customers(
    customers: Sequence[CustomerReport], shared: list[str], layout: TerminalLayout
) -> Iterator[list[str]]:
    """Return customers with removals first, then refused and failed ones, other changes, and those without changes."""
    losing = [each for each in customers if each.loses]
    yield from (format_losses(each.customer, each.groups, each.view, layout) for each in losing)
    yield from (format_customer_block(each.customer, (), each.view, layout) for each in customers if each.is_stopped)
    yield shared
    for each in customers:
        if each.loses:
            yield format_other_changes(each.customer, each.groups, layout)
        elif each.is_folded:
            yield format_remarks_only(each.customer, each.view, layout)
        elif each.groups and not each.is_stopped:
            yield format_customer_block(each.customer, each.groups, each.view, layout)
    yield from _format_quiet_customers([each for each in customers if each.is_quiet], layout)


def _format_quiet_customers(customers: Sequence[CustomerReport], layout: TerminalLayout) -> Iterator[list[str]]:
    """Return customers without changes: those with diagnostics as blocks, the others in one line each."""
    noticed = [each for each in customers if each.customer.diagnostics]
    yield from (format_customer_block(each.customer, (), each.view, layout) for each in noticed)
    plain = [each for each in customers if not each.customer.diagnostics]
    lines = [
        line for each in plain[: layout.rows] for line in format_customer_block(each.customer, (), each.view, layout)
    ]
    more = len(plain) - layout.rows
    if more > 0:
        lines.append(f"… {wording.format_count(more, 'more customer', 'more customers')} with nothing to change")
    yield lines


_SIGNS = {"-": "removed", ">": "kept (new ID, linked or moved)", "~": "changed", "+": "added or restored"}


def _explain_marks(customers: Sequence[CustomerReport]) -> str:
    """Return the legend of the marks that the report uses."""
    used = {MARKS[group.action] for each in customers for group in each.everything}
    return "legend: " + " · ".join(f"{sign} {words}" for sign, words in _SIGNS.items() if sign in used)


def _describe_new_store(plan: Plan) -> list[str]:
    return [wording.NEW_STORE] if plan.store.is_new else []


def _describe_base(plan: Plan) -> list[str]:
    if plan.base is None:
        return []
    commit = format_short_commit(plan.base)
    lines = [f"compared with {clean_text(plan.base.ref)}{f' ({clean_text(commit)})' if commit else ''}"]
    if missing := describe_missing_commits(plan.base):
        lines.append(missing)
    if plan.outside_base:
        lines.append(f"not in this plan: {describe_outside_base(plan.outside_base)}")
    return lines
