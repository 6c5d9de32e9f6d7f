"""What many customers share, on a terminal: protections weakened, and changes told once for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.reports.cells import clean
from reconciler.reports.folding import Fold
from reconciler.reports.layout import Layout
from reconciler.reports.lines import MARKS
from reconciler.reports.weakening import WeakenedRow
from reconciler.reports.wording import TO_DO, before_and_after, counted, from_to, named, things

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
