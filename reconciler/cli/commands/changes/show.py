"""`show`: show a saved plan, or the plan of a hold, as any report."""

from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_location_options
from reconciler.cli.output import ReportOptions, add_full_report_options, show_plan
from reconciler.model.ids import HoldId
from reconciler.operations.apply import is_hold_id, load_held_plan, read_plan
from reconciler.operations.location import Location
from reconciler.operations.workspace import AbsentStore, open_workspace


@click.command()
@click.argument("plan_name", metavar="PLANFILE|HOLD")
@add_location_options
@add_full_report_options
def show(plan_name: str, location: Location, report: ReportOptions) -> ExitCode:
    """Show a saved plan. Checks its signature with the key of the store that it was made for.

    HOLD is the ID of a hold whose plan a sync saved; it has a colon.
    """
    planfile = Path(plan_name)
    of_hold = is_hold_id(plan_name) and not planfile.exists()
    if not of_hold and not planfile.is_file():
        raise click.UsageError(f"plan file {plan_name} not found")
    live = open_workspace(location, absent=AbsentStore.REFUSE).store
    show_plan(
        load_held_plan(live, HoldId(plan_name)) if of_hold else read_plan(planfile, live),
        report,
        lambda: live.key,
        command=f"reconciler apply {plan_name}",
    )
    return ExitCode.DONE
