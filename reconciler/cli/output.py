"""Show a plan as one of the reports, fitted to the terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import click

from reconciler.cli.options import add_options
from reconciler.cli.visibility import people_option, resolve_visibility
from reconciler.model.ids import CustomerId, HoldId
from reconciler.model.kind import Kind
from reconciler.model.plan import Plan
from reconciler.reports.plan import TextOptions, render_plan_json, render_plan_text

if TYPE_CHECKING:
    from reconciler.store.key import StoreKey

FORMATS = ("text", "json", "markdown", "html")
DEFAULT_ROWS = {"text": 20, "json": 1000, "markdown": 20, "html": 1000}
MIN_WIDTH, MAX_WIDTH = 80, 120


@dataclass(frozen=True, slots=True)
class ReportOptions:
    output_format: str = "text"
    #: most rows to list per customer, kind and action; None for the format's default
    rows: int | None = None
    #: a PeopleVisibility; None for full names on a terminal, masked elsewhere
    people: str | None = None
    #: link or text that a shortened Markdown report gives for the full plan; empty for the command that generates it
    full_report: str = ""


format_option = click.option("--format", "output_format", type=click.Choice(FORMATS), default="text", show_default=True)
rows_option = click.option(
    "--rows", type=click.IntRange(min=0), help="Most rows to list per customer, kind and action."
)
full_report_option = click.option(
    "--full-report",
    metavar="URL|TEXT",
    default="",
    help="Link or text that a Markdown report gives for the full plan.  [default: the command that generates it]",
)

add_report_options = add_options(ReportOptions, "report", format_option, rows_option, people_option)
add_full_report_options = add_options(
    ReportOptions, "report", format_option, rows_option, people_option, full_report_option
)


def show_plan(
    plan: Plan,
    options: ReportOptions,
    get_store_key: Callable[[], StoreKey],
    *,
    command: str = "",
    closing: str = "",
    approvals: Iterable[HoldId] = (),
) -> None:
    """Print a plan to stdout.

    get_store_key: called only if people are masked. command: the command that applies this plan, for `--approve`.
    closing: the last line of a text report. approvals: ids of the holds that this apply approves."""
    visibility = resolve_visibility(options.people, options.output_format)
    get_key = cache(get_store_key)

    def mask(kind: Kind, customer: CustomerId, name: str) -> str:
        return get_key().make_pseudonym(kind, customer, name)

    rows = DEFAULT_ROWS[options.output_format] if options.rows is None else options.rows
    match options.output_format:
        case "json":
            report = render_plan_json(plan, visibility, mask, rows)
        case "markdown":
            # Importing the template engine takes longer than showing most plans.
            from reconciler.reports.pages import render_plan_markdown

            report = render_plan_markdown(
                plan, visibility, mask, rows, command=command, full_report=options.full_report
            )
        case "html":
            from reconciler.reports.pages import render_plan_html

            report = render_plan_html(plan, visibility, mask, rows, command=command)
        case _:
            text_options = _choose_text_options(command, closing, approvals)
            report = render_plan_text(plan, visibility, mask, rows, text_options)
    click.echo(report, nl=False)


def _choose_text_options(command: str, closing: str, approvals: Iterable[HoldId]) -> TextOptions:
    """Return options that fit the report to the terminal, if there is one."""
    terminal = sys.stdout.isatty()
    return TextOptions(
        width=_measure_terminal_width(terminal=terminal),
        color=terminal and "NO_COLOR" not in os.environ,
        wrap=terminal,
        command=command,
        closing=closing,
        approvals=frozenset(approvals),
    )


def _measure_terminal_width(*, terminal: bool) -> int:
    return min(max(shutil.get_terminal_size((100, 24)).columns, MIN_WIDTH), MAX_WIDTH) if terminal else 100
