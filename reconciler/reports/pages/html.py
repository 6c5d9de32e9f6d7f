"""Render a plan as one self-contained HTML file: it makes no requests, and is readable without its script."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import Moment
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import LimitUse, Plan
from reconciler.reports.pages.markdown_text import create_template_environment
from reconciler.reports.plan.entries import (
    ACTION_VERBS,
    ChangeEntry,
    build_change_entry,
    describe_missing_commits,
    describe_outside_base,
    format_origin,
    format_short_commit,
)
from reconciler.reports.plan.overview import CustomerReport, build_plan_overview
from reconciler.reports.plan.people import Mask, PeopleVisibility
from reconciler.reports.plan.remarks import format_limit_name, get_limit_sort_key
from reconciler.reports.plan.rows import ChangeGroup
from reconciler.reports.plan.tables import format_group_count, format_held_share, is_counted
from reconciler.reports.plan.terminal import clean_text
from reconciler.reports.plan.wording import (
    ACTION_PHRASES,
    NEW_STORE,
    NOUNS,
    describe_source,
    format_count,
    format_moment,
)
from reconciler.reports.plan.wording import format_value as in_words

# Limits as bars: the use, and a mark at the limit.

WIDTH = 240
#: scale of the bar to the greater of limit and use, so that the mark is never at the edge
_ROOM = 1.12


@dataclass(frozen=True, slots=True)
class LimitBar:
    """One limit. Lengths are in units of `WIDTH`."""

    name: str
    words: str
    exceeded: bool
    #: length of the use within the limit
    used: float
    #: length of the use beyond the limit, from the mark
    over: float
    #: place of the limit
    mark: float


def build_limit_bars(limits: Sequence[LimitUse], most: int) -> tuple[list[LimitBar], int]:
    """Return the bars of used limits, and the number of those left out.

    The customer's limits come first, then those of the schools nearest to their limit, at most `most`."""
    used = [limit for limit in limits if limit.seen]
    whole = [limit for limit in used if limit.scope == "customer"]
    schools = sorted((limit for limit in used if limit.scope != "customer"), key=get_limit_sort_key)
    shown = [*whole, *schools[:most]]
    return [_build_limit_bar(limit) for limit in shown], len(used) - len(shown)


def _build_limit_bar(limit: LimitUse) -> LimitBar:
    scale = WIDTH / (max(limit.seen, limit.allowed) * _ROOM)
    before = f", {limit.earlier:,} of them earlier" if limit.earlier else ""
    return LimitBar(
        name=format_limit_name(limit),
        words=f"{limit.seen:,} of {limit.allowed:,} allowed, {limit.of:,} active{before}",
        exceeded=limit.exceeded,
        used=round(min(limit.seen, limit.allowed) * scale, 1),
        over=round(max(limit.seen - limit.allowed, 0) * scale, 1),
        mark=round(limit.allowed * scale, 1),
    )


#: most rows of changes in one file, whatever `rows` is; a browser stays responsive with this many
MOST_ROWS = 10_000
#: most customers that are shown unfolded
_MOST_OPEN = 12
_MOST_REMARKS = 100
_LONGEST_VALUE = 400
_REMOVALS = (*DECLARED_KINDS, Kind.USER, Kind.CLASS, Kind.ORG, Kind.ENROLLMENT)


@dataclass(frozen=True)
class _HtmlRow:
    """A change with its entry; or many changes by their number, with words only."""

    customer: str
    action: Action
    kind: Kind
    noun: str
    held: bool
    entry: ChangeEntry | None = None
    words: str = ""
    causes: str = ""
    #: precedes HELD if only some of many changes are held
    share: str = ""


@dataclass(frozen=True)
class _CustomerBlock:
    """One customer below the removals."""

    customer_report: CustomerReport
    source: str
    bars: list[LimitBar]
    more_bars: int
    rows: list[_HtmlRow]
    #: changes that are not shown, in words
    left_out: list[str]
    remarks: tuple[Diagnostic, ...]
    more_remarks: int


def render_plan_html(plan: Plan, people: PeopleVisibility, mask: Mask, rows: int = 1000, *, command: str = "") -> str:
    """Return the page.

    rows: the most changes of one customer, kind and action, deletions included; the rest is counted. command: the
    command that applies this plan, shown before `--approve HOLD`; empty if nothing can apply it."""
    overview = build_plan_overview(plan, people, mask, rows, removals=rows)
    budget = _RowBudget(MOST_ROWS)
    removals, removals_left_out = _list_removals(overview.customers, budget)
    blocks = [
        block
        for each in overview.customers
        if (block := _build_customer_block(each, budget, plan.created_at, rows)) is not None
    ]
    return _load_template().render(
        overview=overview,
        plan=plan,
        made=format_moment(plan.created_at),
        new_store=NEW_STORE,
        commit=format_short_commit(plan.base) if plan.base else "",
        missing=describe_missing_commits(plan.base) if plan.base else "",
        elsewhere=describe_outside_base(plan.outside_base) if plan.outside_base else "",
        causes=plan.base is not None,
        removals=removals,
        removals_left_out=removals_left_out,
        stopped=[each for each in overview.customers if each.is_stopped],
        blocks=blocks,
        quiet=[each.name for each in overview.customers if each.is_quiet],
        is_open=len(blocks) <= _MOST_OPEN,
        command=command,
        kinds=list(Kind),
        actions=list(Action),
    )


class _RowBudget:
    """The number of rows that still fit into the file."""

    def __init__(self, rows: int) -> None:
        self.left = rows

    def take_rows(self, group: ChangeGroup) -> int:
        """Take as many rows as the group has and the budget allows; return the number."""
        number = min(len(group.changes), self.left)
        self.left -= number
        return number


def _list_removals(customers: tuple[CustomerReport, ...], budget: _RowBudget) -> tuple[list[_HtmlRow], list[str]]:
    """Return the rows and the groups that are cut, in words: documents first, then people, then classes and so on."""
    found = [(each, group) for each in customers for group in each.removals]
    found.sort(key=lambda pair: _REMOVALS.index(pair[1].kind))
    rows: list[_HtmlRow] = []
    left_out: list[str] = []
    for each, group in found:
        shown, words = _build_rows(each, group, budget)
        rows += shown
        left_out += [f"{words} of {each.name}"] if words else []
    return rows, left_out


def _build_rows(each: CustomerReport, group: ChangeGroup, budget: _RowBudget) -> tuple[list[_HtmlRow], str]:
    """Return the rows of a group, and the changes left out, in words."""
    one, many = NOUNS[group.kind]
    if group.kind is Kind.ENROLLMENT or (is_counted(group) and not group.changes):
        words = format_group_count(each.customer, group)
        share = format_held_share(group)
        return [_HtmlRow(each.name, group.action, group.kind, many, bool(group.held), words=words, share=share)], ""
    shown = [build_change_entry(each.name, change) for change in group.changes[: budget.take_rows(group)]]
    rows = [
        _HtmlRow(each.name, group.action, group.kind, one, found.held, found, causes=_join_causes(found))
        for found in shown
    ]
    more = group.total - len(shown)
    return rows, f"{format_count(more, f'more {one}', f'more {many}')} {ACTION_PHRASES[group.action]}" if more else ""


def _join_causes(entry: ChangeEntry) -> str:
    """Return the causes of a change and of its fields, for the filter."""
    causes = {entry.cause, *(field.cause for field in entry.fields)} - {None}
    return " ".join(sorted(filter(None, causes)))


def _build_customer_block(each: CustomerReport, budget: _RowBudget, now: Moment, rows: int) -> _CustomerBlock | None:
    """Return the block of a customer, or None if it would be empty."""
    if each.is_stopped:
        return None
    found, more_bars = build_limit_bars(each.customer.limits, rows)
    shown: list[_HtmlRow] = []
    left_out: list[str] = []
    for group in each.others:
        listed, words = _build_rows(each, group, budget)
        shown += listed
        left_out += [words] if words else []
    remarks = each.diagnostics[:_MOST_REMARKS]
    if not (shown or found or remarks or left_out):
        return None
    source = " · ".join(describe_source(each.customer.source, now)) if each.customer.source else ""
    return _CustomerBlock(
        each, source, found, more_bars, shown, left_out, remarks, len(each.diagnostics) - len(remarks)
    )


@cache
def _load_template() -> Template:
    environment = create_template_environment(_finalize_value)
    style, script = _load_asset("report.css"), _load_asset("report.js")
    filters: dict[str, Callable[..., Any]] = {"value": _format_value, "place": format_origin, "counted": format_count}
    environment.filters.update(filters)
    environment.globals.update(
        style=style,
        script=script,
        style_hash=_compute_csp_hash(style),
        script_hash=_compute_csp_hash(script),
        bar_width=WIDTH,
        verbs=ACTION_VERBS,
        nouns=NOUNS,
    )
    return environment.get_template("report.html.j2")


def _finalize_value(value: object) -> object:
    """Format numbers with commas, and replace control characters and marks of direction in text.

    jinja2 escapes the result unless it is Markup."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return clean_text(str(value))


def _format_value(value: object) -> str:
    return in_words(value, _LONGEST_VALUE)


def _load_asset(name: str) -> Markup:
    """Return a file of the package unescaped, for a style or script element."""
    return Markup(files("reconciler.reports").joinpath("templates", name).read_text(encoding="utf-8"))


def _compute_csp_hash(text: str) -> str:
    """Return the hash of a text in the form of a Content-Security-Policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
