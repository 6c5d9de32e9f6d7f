"""`show`: the same reports from a saved plan, or from one that waits for a person."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.cli.output import full_report_option, report_options, show_plan
from reconciler.operations.apply.held_plan import kept_plan, names_a_hold
from reconciler.operations.apply.plan_file import read_plan
from reconciler.operations.workspace import open_workspace


@click.command()
@click.argument("what", metavar="PLANFILE|HOLD")
@workspace_options
@report_options[0]
@report_options[1]
@report_options[2]
@full_report_option
def show(
    what: str,
    directory: Path,
    environment: str | None,
    store: str | None,
    form: str,
    rows: int | None,
    people: str | None,
    full_report: str,
) -> ExitCode:
    """Show a saved plan. Its seal is checked with the key of the store that it was made for.

    HOLD is the id of a hold that a sync left, with the plan that it kept; it has a colon.
    """
    planfile = Path(what)
    of_hold = names_a_hold(what) and not planfile.exists()
    if not of_hold and not planfile.is_file():
        raise click.UsageError(f"there is no plan file {what}")
    live = open_workspace(directory, environment, store, make_store=False).store
    show_plan(
        kept_plan(live, what) if of_hold else read_plan(planfile, live),
        form=form,
        rows=rows,
        people=people,
        key=lambda: live.key,
        command=f"reconciler apply {what}",
        full_report=full_report,
    )
    return ExitCode.DONE
