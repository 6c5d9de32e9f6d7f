"""A plan as Markdown for one comment on a pull request: never more than it may hold, the weightiest first."""

from __future__ import annotations

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
from reconciler.reports.plan.entries import VERBS, Entry, elsewhere_words, entry, place, short_commit
from reconciler.reports.plan.folding import Fold
from reconciler.reports.plan.markdown_text import code, escaping, html_code, prose, shortened
from reconciler.reports.plan.overview import Survey, Told, survey
from reconciler.reports.plan.people import Mask, People
from reconciler.reports.plan.rows import Group
from reconciler.reports.plan.tables import count_of, is_counted
from reconciler.reports.plan.wording import NOUNS, counted, moment, things
from reconciler.reports.plan.wording import value as in_words

# What of a long report fits into so many bytes: the most important first, and a count of what is left out.


@dataclass(frozen=True)
class Section:
    """A frame with rows. rank: sections of a lower one get their bytes first; those of one rank in their order.
    render: a row as text. more: the words that so many rows of it are not shown. unlisted: rows that the report never
    had. share: of the bytes, how many it takes at most as long as sections of a later rank need them. owners: whose
    rows these are."""

    rank: int
    head: str
    foot: str
    rows: Sequence[Any]
    render: Callable[[Any], str]
    more: Callable[[int], str]
    unlisted: int = 0
    share: int | None = None
    owners: frozenset[str] = frozenset()


@dataclass
class Fitted:
    """A section as far as it fits. left_out: rows of it that are not shown. is_shown: False where not even its frame
    is."""

    section: Section
    shown: list[str] = field(default_factory=list)
    is_shown: bool = False

    @property
    def left_out(self) -> int:
        return len(self.section.rows) - len(self.shown) + self.section.unlisted

    @property
    def text(self) -> str:
        """Empty where it is not shown. Its frame is whole wherever it is."""
        if not self.is_shown:
            return ""
        more = self.section.more(self.left_out) if self.left_out else ""
        return f"{self.section.head}{''.join(self.shown)}{more}{self.section.foot}"


def size(text: str) -> int:
    """In bytes of UTF-8."""
    return len(text.encode())


def fit(sections: Iterable[Section], budget: int) -> list[Fitted]:
    """In the order given, whatever was cut. Their texts together have at most `budget` bytes."""
    fitted = [Fitted(section) for section in sections]
    by_rank = sorted(fitted, key=lambda each: each.section.rank)
    left = budget
    for each in by_rank:
        share = each.section.share
        left -= _fill(each, left if share is None else min(left, share))
    for each in by_rank:
        if each.section.share is not None and each.left_out > each.section.unlisted:
            left -= _fill(each, left)
    return fitted


def _fill(each: Fitted, most: int) -> int:
    """Shows as many further rows as fit; the number of bytes used. A frame without a single row is not shown."""
    section = each.section
    reserve = size(section.more(len(section.rows) + section.unlisted))
    frame = 0 if each.is_shown else size(section.head) + size(section.foot) + reserve
    used = frame
    before = len(each.shown)
    for row in section.rows[before:]:
        text = section.render(row)
        if used + size(text) > most:
            break
        used += size(text)
        each.shown.append(text)
    if len(each.shown) == before and not (frame and not section.rows and used <= most):
        return 0
    each.is_shown = True
    return used


#: By which CI finds the comment that it wrote before.
MARKER = "<!-- reconciler -->"
#: Bytes of UTF-8; GitHub takes 65,536 characters.
MOST_BYTES = 60_000
#: No more rows of removals than this fit, whatever they say.
_MOST_REMOVALS = 1_000
_MOST_CAUSES = 5
WHOLE_PLAN = "reconciler plan --format html"
_ADDRESS = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&*+,;=%-]{1,400}")


def render(plan: Plan, people: People, mask: Mask, rows: int = 20, *, command: str = "", full_report: str = "") -> str:
    """rows: most changes that are not removals, of one customer, kind and action. command: the words that would apply
    this plan, put before `--approve HOLD`. full_report: where the whole plan is, an address or words. At most
    `MOST_BYTES`; what does not fit is counted, and every table and fold is closed."""
    told = survey(plan, people, mask, rows, _MOST_REMOVALS)
    comment = _Comment(told, plan.base is not None, command)
    report = _report(full_report)
    parts = _parts()
    top = parts.top(
        Markup(MARKER),
        told.headline,
        nobody=not told.removes_people,
        base=plan.base,
        commit=short_commit(plan.base) if plan.base else "",
        elsewhere=elsewhere_words(plan.elsewhere) if plan.elsewhere else "",
        shown_only=len(told.shown_only),
    )
    quiet = sum(each.is_quiet for each in told.customers)
    bottom = parts.bottom(quiet, plan, moment(plan.created_at))
    most = parts.cut(10**9, 10**9, report)
    fitted = fit(comment.sections(), MOST_BYTES - size(top) - size(most) - size(bottom))
    left_out = sum(each.left_out for each in fitted)
    cut = parts.cut(left_out, len(_owners(fitted)), report) if left_out else ""
    return f"{top}{cut}{''.join(each.text for each in fitted)}{bottom}"


def _owners(fitted: Iterable[Fitted]) -> set[str]:
    """Of what is not shown."""
    found: set[str] = set()
    for each in fitted:
        for row in each.section.rows[len(each.shown) :]:
            found.update(row.owners)
        if each.section.unlisted:
            found.update(each.section.owners)
    return found


def _report(full_report: str) -> Markup:
    if _ADDRESS.fullmatch(full_report):
        return Markup(_parts().linked(Markup(full_report)))
    return Markup(_parts().told(prose(full_report) if full_report else code(WHOLE_PLAN)))


def _value(given: object) -> Markup:
    return Markup("(none)") if given is None else code(in_words(given))


def _short(given: object) -> Markup:
    """A sentence that may hold somebody else's words."""
    return prose(shortened(str(given), 300))


@cache
def _parts() -> Any:
    environment = escaping(prose, keep_trailing_newline=True)
    environment.filters.update(code=code, html_code=html_code, value=_value, short=_short)
    return environment.get_template("comment.md.j2").module


@dataclass(frozen=True, slots=True)
class _Row:
    """owners: the customers that it speaks of. text: made when there is room for it."""

    owners: Sequence[str]
    make: Any

    def text(self) -> str:
        return str(self.make())


@dataclass(frozen=True)
class _Comment:
    """The sections of one comment, in the order in which they stand in it."""

    told: Survey
    causes: bool
    command: str

    def sections(self) -> Iterator[Section]:
        parts = _parts()
        yield self._section(0, parts.weakened_head(), self._weakened(), share=15_000)
        yield self._section(1, parts.held_head(), self._held(), share=10_000)
        yield self._section(3, parts.removal_head(self.causes), self._removals(), unlisted=self._unlisted())
        yield self._section(2, parts.stopped_head(), self._stopped(), share=8_000)
        yield self._fold(
            4, "The same in many customers", self._folds(), ["change", "setting", "from", "to"], ["customers", "where"]
        )
        for each in self.told.customers:
            yield self._customer(each)
        yield self._fold(6, "To add", self._new(), ["customer", "what", "which"], ["where"], self._unlisted_new())
        yield self._fold(7, "Noticed", self._noticed(), [], [])

    def _section(self, rank: int, head: str, rows: list[_Row], foot: str = "", **other: Any) -> Section:
        unlisted, owners = other.pop("unlisted", (0, frozenset()))
        if not rows and not unlisted:
            head = foot = ""
        return Section(rank, head, foot, rows, _Row.text, _more, unlisted=unlisted, owners=owners, **other)

    def _fold(
        self,
        rank: int,
        summary: str,
        rows: list[_Row],
        before: list[str],
        after: list[str],
        unlisted: tuple[int, frozenset[str]] = (0, frozenset()),
        customer: str = "",
    ) -> Section:
        cause = ["cause"] if self.causes else []
        columns = [*before, *cause, *after] if before else []
        head = _parts().details(summary, customer, len(rows) + unlisted[0], columns)
        return self._section(rank, head, rows, _parts().close(), unlisted=unlisted)

    def _weakened(self) -> list[_Row]:
        rows = []
        last = None
        for row in self.told.weakened:
            words = row.protection.sentence if row.protection is not last else row.protection.replace("_", " ")
            last = row.protection
            rows.append(_Row(row.customers, partial(_parts().weakened_row, row, words, place(row.origin))))
        return rows

    def _held(self) -> list[_Row]:
        rows = []
        for each in self.told.customers:
            hold, later = each.customer.hold, each.customer.would_hold
            if later:
                more = max(len(later) - _MOST_CAUSES, 0)
                make = partial(_parts().would_hold_row, each.name, later[:_MOST_CAUSES], more)
                rows.append(_Row((each.name,), make))
            if hold is None:
                continue
            size_ = counted(hold.rows, "change", "changes")
            people = f"{things(hold.people, Kind.USER)}, {size_} in all" if hold.people else size_
            more = len(hold.causes) - _MOST_CAUSES
            command = f"{self.command} --approve {hold.id}" if self.command and each.customer.roster_applies else ""
            make = partial(_parts().held_row, hold, people, hold.causes[:_MOST_CAUSES], max(more, 0), command)
            rows.append(_Row((each.name,), make))
        return rows

    def _removals(self) -> list[_Row]:
        """Customers and communities first, then people, then what goes with them."""
        found = [(each, group) for each in self.told.customers for group in each.removals]
        found.sort(key=lambda pair: _REMOVALS.index(pair[1].kind))
        return [row for each, group in found for row in self._removed(each, group)]

    def _removed(self, each: Told, group: Group) -> Iterator[_Row]:
        one, many = NOUNS[group.kind]
        if is_counted(group):
            held = group.held
            words = count_of(each.customer, group)
            yield _Row((each.name,), partial(_parts().counted_row, self.causes, each.name, many, words, held))
            return
        for change in group.changes:
            shown = entry(each.name, change)
            yield _Row((each.name,), partial(_parts().removal_row, self.causes, shown, one))

    def _unlisted(self) -> tuple[int, frozenset[str]]:
        cut = [(each.name, group) for each in self.told.customers for group in each.removals if not is_counted(group)]
        return _left_out(cut)

    def _unlisted_new(self) -> tuple[int, frozenset[str]]:
        return _left_out(
            [(each.name, group) for each in self.told.customers for group in each.others if _is_new(group)]
        )

    def _stopped(self) -> list[_Row]:
        rows = []
        for each in self.told.customers:
            if each.is_stopped:
                words = [word for diagnostic in each.diagnostics[:_MOST_CAUSES] for word in _told(diagnostic)]
                more = max(len(each.diagnostics) - _MOST_CAUSES, 0)
                make = partial(_parts().stopped_row, each.name, each.customer.outcome.value, words, more)
                rows.append(_Row((each.name,), make))
        return rows

    def _folds(self) -> list[_Row]:
        return [row for each in self.told.folds for row in self._folded(each)]

    def _folded(self, each: Fold) -> Iterator[_Row]:
        verb, noun, where = VERBS[each.action], NOUNS[each.kind][0], place(each.origin)
        yield _Row(each.customers, partial(_parts().fold_row, self.causes, verb, noun, each, where))
        for other in each.exceptions:
            yield _Row((other.customer,), partial(_parts().departing_row, self.causes, other, place(other.origin)))

    def _customer(self, each: Told) -> Section:
        mine = [group for group in each.others if not _is_new(group)]
        rows = [row for group in mine for row in self._changes(each, group)]
        unlisted = _left_out([(each.name, group) for group in mine if not is_counted(group)])
        columns = ["change", "what", "setting", "from", "to"]
        return self._fold(5, "other changes", rows, columns, ["where"], unlisted, each.name)

    def _changes(self, each: Told, group: Group) -> Iterator[_Row]:
        one, many = NOUNS[group.kind]
        if is_counted(group):
            words = count_of(each.customer, group)
            yield _Row((each.name,), partial(_parts().counted_change_row, self.causes, many, words))
            return
        for change in group.changes:
            shown = entry(each.name, change)
            for changed in shown.fields or (None,):
                make = partial(_parts().change_row, self.causes, shown, one, changed, _cause(shown, changed))
                yield _Row((each.name,), make)

    def _new(self) -> list[_Row]:
        return [
            row
            for each in self.told.customers
            for group in each.others
            if _is_new(group)
            for row in self._added(each, group)
        ]

    def _added(self, each: Told, group: Group) -> Iterator[_Row]:
        one, many = NOUNS[group.kind]
        if is_counted(group):
            words = count_of(each.customer, group)
            yield _Row((each.name,), partial(_parts().counted_new_row, self.causes, each.name, many, words))
            return
        for change in group.changes:
            yield _Row((each.name,), partial(_parts().new_row, self.causes, entry(each.name, change), one))

    def _noticed(self) -> list[_Row]:
        return [
            _Row((each.name,), partial(_parts().noticed_row, each.name, _told(diagnostic)[0]))
            for each in self.told.customers
            if not each.is_stopped
            for diagnostic in each.diagnostics
        ]


_REMOVALS = (*DECLARED_KINDS, Kind.USER, Kind.CLASS, Kind.ORG, Kind.ENROLLMENT)


def _is_new(group: Group) -> bool:
    return group.action is Action.CREATE


def _cause(shown: Entry, field: FieldChange | None) -> str:
    return (field and field.cause) or shown.cause or ""


def _told(diagnostic: Diagnostic) -> list[str]:
    """What and where, then what to do."""
    return [str(replace(diagnostic, hint=None)), *([diagnostic.hint] if diagnostic.hint else [])]


def _more(number: int) -> str:
    return str(_parts().more(number))


def _left_out(cut: list[tuple[str, Group]]) -> tuple[int, frozenset[str]]:
    found = [(name, group.left_out) for name, group in cut if group.left_out and not is_counted(group)]
    return sum(number for _, number in found), frozenset(name for name, _ in found)
