"""`show`: the same reports from a saved plan."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.cli.reporting import full_report_option, report_options, show_plan
from reconciler.operations.plan_file import read_plan
from reconciler.operations.workspace import open_workspace


@click.command()
@click.argument("planfile", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@workspace_options
@report_options[0]
@report_options[1]
@report_options[2]
@full_report_option
def show(
    planfile: Path,
    directory: Path,
    environment: str | None,
    store: str | None,
    form: str,
    rows: int | None,
    people: str | None,
    full_report: str,
) -> ExitCode:
    """Show a saved plan. Its seal is checked with the key of the store that it was made for."""
    live = open_workspace(directory, environment, store, make_store=False).store
    show_plan(
        read_plan(planfile, live),
        form=form,
        rows=rows,
        people=people,
        key=lambda: live.key,
        command=f"reconciler apply {planfile}",
        full_report=full_report,
    )
    return ExitCode.DONE
