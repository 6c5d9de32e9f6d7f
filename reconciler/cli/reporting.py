"""Showing a plan: which report, for whom, how wide, and the pseudonyms it may need."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

import click

from reconciler.model.kind import Kind
from reconciler.model.plan import Plan
from reconciler.reports import json as json_report
from reconciler.reports import text as text_report
from reconciler.reports.people import Mask, People

if TYPE_CHECKING:
    from reconciler.store.key import StoreKey

FORMATS = ("text", "json")
ROWS = {"text": 20, "json": 1000}
NARROWEST, WIDEST = 80, 120

report_options = (
    click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True),
    click.option("--rows", type=click.IntRange(min=0), help="Rows to list per customer, kind and action."),
    click.option(
        "--people",
        type=click.Choice([each.value for each in People]),
        help="Who may be seen. Default: full on a terminal, masked elsewhere.",
    ),
)


def show_plan(
    plan: Plan,
    *,
    form: str,
    rows: int | None,
    people: str | None,
    key: Callable[[], StoreKey],
    command: str = "",
    closing: str = "",
) -> None:
    """Prints to stdout. key: asked for only where somebody has to be masked."""
    terminal = sys.stdout.isatty()
    chosen = People(people) if people else People.FULL if terminal and form == "text" else People.MASKED
    known_key = cache(key)

    def mask(kind: Kind, customer: str, name: str) -> str:
        return known_key().pseudonym(kind, customer, name)

    wanted = ROWS[form] if rows is None else rows
    click.echo(
        _rendered(plan, form, chosen, mask, wanted, terminal=terminal, command=command, closing=closing), nl=False
    )


def _rendered(
    plan: Plan, form: str, people: People, mask: Mask, rows: int, *, terminal: bool, command: str, closing: str
) -> str:
    if form == "json":
        return json_report.render(plan, people, mask, rows)
    width = min(max(shutil.get_terminal_size((100, 24)).columns, NARROWEST), WIDEST) if terminal else 100
    color = terminal and "NO_COLOR" not in os.environ
    return text_report.render(
        plan, people, mask, rows, width=width, color=color, wrap=terminal, command=command, closing=closing
    )
