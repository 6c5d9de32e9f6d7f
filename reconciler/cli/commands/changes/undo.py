"""`undo`: show the changes that reverse a run, ask, and apply them."""

import sys
from pathlib import Path

import click

from reconciler.cli.commands.changes.apply import execute_plan, has_changes
from reconciler.cli.commands.changes.plan import describe_saved_plan, refuse_report_name
from reconciler.cli.confirmation import NOTHING_CHANGED, confirm
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import ApplyOptions, add_apply_options, add_location_options, format_location_options
from reconciler.cli.output import ReportOptions, add_report_options, show_plan
from reconciler.model.ids import RunId
from reconciler.operations.apply import write_plan
from reconciler.operations.location import Location
from reconciler.operations.undo import build_undo_plan
from reconciler.operations.workspace import AbsentStore, open_workspace

NOTHING_LEFT = "nothing left to undo"


@click.command()
@click.argument("run", type=click.IntRange(min=1))
@add_location_options
@add_apply_options
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Only save the plan to this file, mode 0600, for apply.",
)
@add_report_options
def undo(run: RunId, location: Location, options: ApplyOptions, out: Path | None, report: ReportOptions) -> ExitCode:
    """Show the changes that reverse RUN, ask, and apply them as a new run, which you can undo too.

    Rows changed since RUN, by later runs or outside reconciler, are skipped and listed. Deletions count toward the
    customer's limits. RUN is a run number of `reconciler history`.
    """
    if out is not None and (options.yes or options.approve):
        raise click.UsageError("--out only saves the plan; pass --yes and --approve when you apply the file")
    if out is None and not (options.yes or sys.stdin.isatty()):
        raise click.UsageError("undo cannot ask without a terminal; pass --yes, or --out FILE to save the plan")
    if out is None and report.output_format == "json":
        raise click.UsageError("--format json requires --out FILE")
    if out is not None:
        refuse_report_name(out, f"reconciler undo {run} --out {run}.plan")
    workspace = open_workspace(location, absent=AbsentStore.REFUSE)
    plan = build_undo_plan(workspace, run)
    command = " ".join(["reconciler", "undo", str(run), *format_location_options(location)])
    show_plan(
        plan,
        report,
        lambda: workspace.store.key,
        command=command if out is None else f"reconciler apply {out}",
        closing=NOTHING_CHANGED if out is not None else "",
    )
    if out is not None:
        write_plan(plan, out, workspace.store.key)
        click.echo(describe_saved_plan(out), err=True)
        return ExitCode.DONE
    if not has_changes(plan):
        click.echo(f"run {run}: {NOTHING_LEFT}")
        if not options.approve:
            return ExitCode.DONE
    elif not options.yes:
        answer = confirm("Apply this plan?")
        if answer is not None:
            return answer
    return execute_plan(workspace, plan, options, command)
