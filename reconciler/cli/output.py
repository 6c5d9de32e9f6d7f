"""Showing a plan: which report, for whom, how wide, and the pseudonyms it may need."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

import click

from reconciler.model.kind import Kind
from reconciler.model.plan import Plan
from reconciler.reports.plan import json as json_report
from reconciler.reports.plan import text as text_report
from reconciler.reports.plan.people import PeopleVisibility

if TYPE_CHECKING:
    from reconciler.store.key import StoreKey

FORMATS = ("text", "json", "markdown", "html")
DEFAULT_ROWS = {"text": 20, "json": 1000, "markdown": 20, "html": 1000}
MIN_WIDTH, MAX_WIDTH = 80, 120

report_options = (
    click.option("--format", "output_format", type=click.Choice(FORMATS), default="text", show_default=True),
    click.option("--rows", type=click.IntRange(min=0), help="Rows to list per customer, kind and action."),
    click.option(
        "--people",
        type=click.Choice([each.value for each in PeopleVisibility]),
        help="Who may be seen. Default: full on a terminal, masked elsewhere.",
    ),
)

full_report_option = click.option(
    "--full-report",
    metavar="URL|TEXT",
    default="",
    help="Where a Markdown report says that the whole plan is to be read.  [default: how to make it]",
)


def show_plan(
    plan: Plan,
    *,
    output_format: str,
    rows: int | None,
    people: str | None,
    get_store_key: Callable[[], StoreKey],
    command: str = "",
    closing: str = "",
    full_report: str = "",
    approvals: Iterable[str] = (),
) -> None:
    """Prints to stdout. key: asked for only where somebody has to be masked. full_report: where a report that is cut
    says that the whole plan is. approved: holds that are let through."""
    terminal = sys.stdout.isatty()
    chosen = (
        PeopleVisibility(people)
        if people
        else PeopleVisibility.FULL
        if terminal and output_format == "text"
        else PeopleVisibility.MASKED
    )
    known_key = cache(get_store_key)

    def mask(kind: Kind, customer: str, name: str) -> str:
        return known_key().make_pseudonym(kind, customer, name)

    wanted = DEFAULT_ROWS[output_format] if rows is None else rows
    match output_format:
        case "json":
            report = json_report.render_plan_json(plan, chosen, mask, wanted)
        case "markdown":
            # The templates' engine takes longer to import than most plans take to show.
            from reconciler.reports.plan import markdown as markdown_report

            report = markdown_report.render_plan_markdown(
                plan, chosen, mask, wanted, command=command, full_report=full_report
            )
        case "html":
            from reconciler.reports.plan import html as html_report

            report = html_report.render_plan_html(plan, chosen, mask, wanted, command=command)
        case _:
            report = text_report.render_plan_text(
                plan,
                chosen,
                mask,
                wanted,
                width=_measure_terminal_width(terminal=terminal),
                color=terminal and "NO_COLOR" not in os.environ,
                wrap=terminal,
                command=command,
                closing=closing,
                approvals=approvals,
            )
    click.echo(report, nl=False)


def _measure_terminal_width(*, terminal: bool) -> int:
    return min(max(shutil.get_terminal_size((100, 24)).columns, MIN_WIDTH), MAX_WIDTH) if terminal else 100
