"""Render a plan as Markdown for one comment on a pull request, the most important first, within its maximum size."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

from markupsafe import Markup

from reconciler.model.change import Action, FieldChange
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.kind import DECLARED_KINDS, Kind
from reconciler.model.plan import Plan
from reconciler.reports.pages.markdown_text import (
    create_template_environment,
    escape_markdown,
    format_code_span,
    format_html_code,
    truncate_text,
)
from reconciler.reports.plan import entries
from reconciler.reports.plan.folding import Fold
from reconciler.reports.plan.overview import CustomerReport, PlanOverview, build_plan_overview
from reconciler.reports.plan.people import Mask, PeopleVisibility
from reconciler.reports.plan.protections import WeakeningRow
from reconciler.reports.plan.rows import ChangeGroup
from reconciler.reports.plan.tables import format_group_count, format_held_share, is_counted
from reconciler.reports.plan.wording import NEW_STORE, NOUNS, format_count, format_kind_count, format_moment
from reconciler.reports.plan.wording import format_value as in_words

# Fit a long report into a number of bytes: the most important first, and a count of the rest.


@dataclass(frozen=True)
class Section:
    """Rows between a head and a foot."""

    #: sections of a lower rank get their bytes first; those of one rank in their order
    rank: int
    head: str
    foot: str
    rows: Sequence[Any]
    render_row: Callable[[Any], str]
    #: says that this many rows are not shown
    render_more: Callable[[int], str]
    #: number of further rows that the report does not list
    unlisted: int = 0
    #: most bytes while sections of a higher rank need the others; None for no maximum
    share: int | None = None
    #: customers of the unlisted rows
    owners: frozenset[str] = frozenset()


@dataclass
class FittedSection:
    """A section with the rows that fit."""

    section: Section
    #: the rows that fit
    texts: list[str] = field(default_factory=list)
    #: False if not even head and foot fit
    is_shown: bool = False

    @property
    def left_out(self) -> int:
        return len(self.section.rows) - len(self.texts) + self.section.unlisted

    @property
    def text(self) -> str:
        """The section with head and foot; empty if it is not shown."""
        if not self.is_shown:
            return ""
        more = self.section.render_more(self.left_out) if self.left_out else ""
        return f"{self.section.head}{''.join(self.texts)}{more}{self.section.foot}"


def measure_bytes(text: str) -> int:
    """Return the length in UTF-8."""
    return len(text.encode())


def fit_sections(sections: Iterable[Section], budget: int) -> list[FittedSection]:
    """Return all sections in the order given, cut so that their texts together have at most `budget` bytes."""
    fitted = [FittedSection(section) for section in sections]
    by_rank = sorted(fitted, key=lambda each: each.section.rank)
    left = budget
    for each in by_rank:
        share = each.section.share
        left -= _fill_section(each, left if share is None else min(left, share))
    for each in by_rank:
        if each.section.share is not None and each.left_out > each.section.unlisted:
            left -= _fill_section(each, left)
    return fitted


def _fill_section(each: FittedSection, most: int) -> int:
    """Add as many rows as fit and return the number of bytes used. Does not show a section without a single row."""
    section = each.section
    reserve = measure_bytes(section.render_more(len(section.rows) + section.unlisted))
    frame = 0 if each.is_shown else measure_bytes(section.head) + measure_bytes(section.foot) + reserve
    used = frame
    before = len(each.texts)
    for row in section.rows[before:]:
        text = section.render_row(row)
        if used + measure_bytes(text) > most:
            break
        used += measure_bytes(text)
        each.texts.append(text)
    if len(each.texts) == before and not (frame and not section.rows and used <= most):
        return 0
    each.is_shown = True
    return used


#: marks the comment, so that CI finds it again
MARKER = "<!-- reconciler -->"
#: in UTF-8; GitHub accepts 65,536 characters
MOST_BYTES = 60_000
#: more rows of removals than this never fit
_MOST_REMOVALS = 1_000
_MOST_CAUSES = 5
WHOLE_PLAN = "reconciler plan --format html"
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]{1,400}")


def render_plan_markdown(
    plan: Plan, people: PeopleVisibility, mask: Mask, rows: int = 20, *, command: str = "", full_report: str = ""
) -> str:
    """Return a comment of at most `MOST_BYTES`, in which the rows that do not fit are counted.

    rows: the most changes of one customer, kind and action, except removals. command: the command that applies this
    plan, shown before `--approve HOLD`. full_report: link or text that says where the full plan is."""
    overview = build_plan_overview(plan, people, mask, rows, _MOST_REMOVALS)
    comment = _CommentBuilder(overview, plan.base is not None, command)
    report = _format_report_link(full_report)
    parts = _load_macros()
    top = parts.top(
        Markup(MARKER),
        overview.headline,
        nobody=not overview.removes_people,
        base=plan.base,
        commit=entries.format_short_commit(plan.base) if plan.base else "",
        missing=entries.describe_missing_commits(plan.base) if plan.base else "",
        elsewhere=entries.describe_outside_base(plan.outside_base) if plan.outside_base else "",
        shown_only=len(overview.shown_only),
        new_store=NEW_STORE if plan.store.is_new else "",
    )
    quiet = sum(each.is_quiet for each in overview.customers)
    bottom = parts.bottom(quiet, plan, format_moment(plan.created_at))
    most = parts.cut(10**9, 10**9, report)
    fitted = fit_sections(
        comment.build_sections(), MOST_BYTES - measure_bytes(top) - measure_bytes(most) - measure_bytes(bottom)
    )
    left_out = sum(each.left_out for each in fitted)
    cut = parts.cut(left_out, len(_collect_owners(fitted)), report) if left_out else ""
    return f"{top}{cut}{''.join(each.text for each in fitted)}{bottom}"


def _collect_owners(fitted: Iterable[FittedSection]) -> set[str]:
    """Return the customers of the rows that are not shown."""
    found: set[str] = set()
    for each in fitted:
        for row in each.section.rows[len(each.texts) :]:
            found.update(row.owners)
        if each.section.unlisted:
            found.update(each.section.owners)
    return found


def _format_report_link(full_report: str) -> Markup:
    if _ADDRESS.fullmatch(full_report):
        return Markup(_load_macros().linked(Markup(full_report)))
    return Markup(_load_macros().told(escape_markdown(full_report) if full_report else format_code_span(WHOLE_PLAN)))


def _format_value(value: object) -> Markup:
    return Markup("(none)") if value is None else format_code_span(in_words(value))


def _truncate_prose(value: object) -> Markup:
    """Shorten and escape a sentence that may contain untrusted text."""
    return escape_markdown(truncate_text(str(value), 300))


@cache
def _load_macros() -> Any:
    environment = create_template_environment(escape_markdown, keep_trailing_newline=True)
    environment.filters.update(
        code=format_code_span, html_code=format_html_code, value=_format_value, short=_truncate_prose
    )
    return environment.get_template("comment.md.j2").module


@dataclass(frozen=True, slots=True)
class _MarkdownRow:
    #: customers in the row
    owners: Sequence[str]
    #: renders the row, called only if there is room for it
    make: Any

    def render_text(self) -> str:
        return str(self.make())


@dataclass(frozen=True)
class _CommentBuilder:
    """Builds the sections of one comment, in order."""

    overview: PlanOverview
    causes: bool
    command: str

    def build_sections(self) -> Iterator[Section]:
        parts = _load_macros()
        weakened, access = self.overview.weakened, self.overview.access
        heading = "Protections weakened"
        yield self._build_section(0, parts.weakened_head(heading), self._build_weakened_rows(weakened), share=15_000)
        heading = "Access changed"
        yield self._build_section(0, parts.weakened_head(heading), self._build_weakened_rows(access), share=15_000)
        yield self._build_section(1, parts.held_head(), self._build_held_rows(), share=10_000)
        yield self._build_section(
            3, parts.removal_head(self.causes), self._build_removal_rows(), unlisted=self._count_unlisted_removals()
        )
        yield self._build_section(2, parts.stopped_head(), self._build_stopped_rows(), share=8_000)
        yield self._build_details_section(
            4,
            "Same change in several customers",
            self._build_fold_rows(),
            ["change", "setting", "from", "to"],
            ["customers", "where"],
        )
        for each in self.overview.customers:
            yield self._build_customer_section(each)
        yield self._build_details_section(
            6,
            "To add",
            self._build_addition_rows(),
            ["customer", "what", "which"],
            ["where"],
            self._count_unlisted_additions(),
        )
        yield self._build_details_section(7, "Notes", self._build_diagnostic_rows(), [], [])

    def _build_section(self, rank: int, head: str, rows: list[_MarkdownRow], foot: str = "", **other: Any) -> Section:
        unlisted, owners = other.pop("unlisted", (0, frozenset()))
        if not rows and not unlisted:
            head = foot = ""
        return Section(
            rank, head, foot, rows, _MarkdownRow.render_text, _render_more, unlisted=unlisted, owners=owners, **other
        )

    def _build_details_section(
        self,
        rank: int,
        summary: str,
        rows: list[_MarkdownRow],
        before: list[str],
        after: list[str],
        unlisted: tuple[int, frozenset[str]] = (0, frozenset()),
        customer: str = "",
    ) -> Section:
        cause = ["cause"] if self.causes else []
        columns = [*before, *cause, *after] if before else []
        head = _load_macros().details(summary, customer, len(rows) + unlisted[0], columns)
        return self._build_section(rank, head, rows, _load_macros().close(), unlisted=unlisted)

    def _build_weakened_rows(self, weakened: Sequence[WeakeningRow]) -> list[_MarkdownRow]:
        rows = []
        last = None
        for row in weakened:
            words = row.protection.sentence if row.protection is not last else row.protection.replace("_", " ")
            last = row.protection
            rows.append(
                _MarkdownRow(
                    row.customers, partial(_load_macros().weakened_row, row, words, entries.format_origin(row.origin))
                )
            )
        return rows

    def _build_held_rows(self) -> list[_MarkdownRow]:
        rows = []
        for each in self.overview.customers:
            hold, later = each.customer.hold, each.customer.would_hold
            if later:
                more = max(len(later) - _MOST_CAUSES, 0)
                make = partial(_load_macros().would_hold_row, each.name, later[:_MOST_CAUSES], more)
                rows.append(_MarkdownRow((each.name,), make))
            if hold is None:
                continue
            size_ = format_count(hold.rows, "change", "changes")
            people = f"{format_kind_count(hold.people, Kind.USER)}, {size_} in all" if hold.people else size_
            more = len(hold.causes) - _MOST_CAUSES
            command = f"{self.command} --approve {hold.id}" if self.command and each.customer.roster_applies else ""
            make = partial(_load_macros().held_row, hold, people, hold.causes[:_MOST_CAUSES], max(more, 0), command)
            rows.append(_MarkdownRow((each.name,), make))
        return rows

    def _build_removal_rows(self) -> list[_MarkdownRow]:
        """Return the removals: documents first, then people, then classes, orgs and enrollments."""
        found = [(each, group) for each in self.overview.customers for group in each.removals]
        found.sort(key=lambda pair: _REMOVALS.index(pair[1].kind))
        return [row for each, group in found for row in self._iterate_removal_rows(each, group)]

    def _iterate_removal_rows(self, each: CustomerReport, group: ChangeGroup) -> Iterator[_MarkdownRow]:
        one, many = NOUNS[group.kind]
        if is_counted(group):
            words, share = format_group_count(each.customer, group), format_held_share(group)
            make = partial(_load_macros().counted_row, self.causes, each.name, many, words, group.held, share)
            yield _MarkdownRow((each.name,), make)
            return
        for change in group.changes:
            shown = entries.build_change_entry(each.name, change)
            yield _MarkdownRow((each.name,), partial(_load_macros().removal_row, self.causes, shown, one))

    def _count_unlisted_removals(self) -> tuple[int, frozenset[str]]:
        cut = [
            (each.name, group) for each in self.overview.customers for group in each.removals if not is_counted(group)
        ]
        return _count_left_out(cut)

    def _count_unlisted_additions(self) -> tuple[int, frozenset[str]]:
        return _count_left_out(
            [(each.name, group) for each in self.overview.customers for group in each.others if _is_new(group)]
        )

    def _build_stopped_rows(self) -> list[_MarkdownRow]:
        rows = []
        for each in self.overview.customers:
            if each.is_stopped:
                words = [
                    word for diagnostic in each.diagnostics[:_MOST_CAUSES] for word in _describe_diagnostic(diagnostic)
                ]
                more = max(len(each.diagnostics) - _MOST_CAUSES, 0)
                make = partial(_load_macros().stopped_row, each.name, each.customer.outcome.value, words, more)
                rows.append(_MarkdownRow((each.name,), make))
        return rows

    def _build_fold_rows(self) -> list[_MarkdownRow]:
        return [row for each in self.overview.folds for row in self._iterate_fold_rows(each)]

    def _iterate_fold_rows(self, each: Fold) -> Iterator[_MarkdownRow]:
        verb, noun, where = entries.ACTION_VERBS[each.action], NOUNS[each.kind][0], entries.format_origin(each.origin)
        yield _MarkdownRow(each.customers, partial(_load_macros().fold_row, self.causes, verb, noun, each, where))
        for other in each.exceptions:
            yield _MarkdownRow(
                (other.customer,),
                partial(_load_macros().departing_row, self.causes, other, entries.format_origin(other.origin)),
            )

    def _build_customer_section(self, each: CustomerReport) -> Section:
        mine = [group for group in each.others if not _is_new(group)]
        rows = [row for group in mine for row in self._iterate_change_rows(each, group)]
        unlisted = _count_left_out([(each.name, group) for group in mine if not is_counted(group)])
        columns = ["change", "what", "setting", "from", "to"]
        return self._build_details_section(5, "other changes", rows, columns, ["where"], unlisted, each.name)

    def _iterate_change_rows(self, each: CustomerReport, group: ChangeGroup) -> Iterator[_MarkdownRow]:
        one, many = NOUNS[group.kind]
        if is_counted(group):
            words = format_group_count(each.customer, group)
            yield _MarkdownRow((each.name,), partial(_load_macros().counted_change_row, self.causes, many, words))
            return
        for change in group.changes:
            shown = entries.build_change_entry(each.name, change)
            for changed in shown.fields or (None,):
                make = partial(
                    _load_macros().change_row, self.causes, shown, one, changed, _choose_cause(shown, changed)
                )
                yield _MarkdownRow((each.name,), make)

    def _build_addition_rows(self) -> list[_MarkdownRow]:
        return [
            row
            for each in self.overview.customers
            for group in each.others
            if _is_new(group)
            for row in self._iterate_addition_rows(each, group)
        ]

    def _iterate_addition_rows(self, each: CustomerReport, group: ChangeGroup) -> Iterator[_MarkdownRow]:
        one, many = NOUNS[group.kind]
        if is_counted(group):
            words = format_group_count(each.customer, group)
            yield _MarkdownRow(
                (each.name,), partial(_load_macros().counted_new_row, self.causes, each.name, many, words)
            )
            return
        for change in group.changes:
            yield _MarkdownRow(
                (each.name,),
                partial(_load_macros().new_row, self.causes, entries.build_change_entry(each.name, change), one),
            )

    def _build_diagnostic_rows(self) -> list[_MarkdownRow]:
        return [
            _MarkdownRow(
                (each.name,), partial(_load_macros().noticed_row, each.name, _describe_diagnostic(diagnostic)[0])
            )
            for each in self.overview.customers
            if not each.is_stopped
            for diagnostic in each.diagnostics
        ]


_REMOVALS = (*DECLARED_KINDS, Kind.USER, Kind.CLASS, Kind.ORG, Kind.ENROLLMENT)


def _is_new(group: ChangeGroup) -> bool:
    return group.action is Action.CREATE


def _choose_cause(entry: entries.ChangeEntry, field: FieldChange | None) -> str:
    return (field and field.cause) or entry.cause or ""


def _describe_diagnostic(diagnostic: Diagnostic) -> list[str]:
    """Return the diagnostic without its hint, then the hint if there is one."""
    return [str(replace(diagnostic, hint=None)), *([diagnostic.hint] if diagnostic.hint else [])]


def _render_more(number: int) -> str:
    return str(_load_macros().more(number))


def _count_left_out(groups: list[tuple[str, ChangeGroup]]) -> tuple[int, frozenset[str]]:
    found = [(name, group.left_out) for name, group in groups if group.left_out and not is_counted(group)]
    return sum(number for _, number in found), frozenset(name for name, _ in found)
