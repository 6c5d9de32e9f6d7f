"""`undo`: shows what would take a run back, asks, does it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from reconciler.cli.commands.changes.apply import confirm_apply, execute_plan, has_changes
from reconciler.cli.commands.changes.plan import NOTHING_CHANGED, describe_saved_plan, list_workspace_options
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_workspace_options
from reconciler.cli.output import report_options, show_plan
from reconciler.operations.apply.plan_file import write_plan
from reconciler.operations.undo.undo import build_undo_plan
from reconciler.operations.workspace import open_workspace

NOTHING_LEFT = "nothing is left to take back"


@click.command()
@click.argument("run", type=click.IntRange(min=1))
@add_workspace_options
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--approve", multiple=True, metavar="HOLD", help="Release exactly this hold. May be repeated.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Only save the plan here, mode 0600, for apply."
)
@report_options[0]
@report_options[1]
@report_options[2]
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Seconds to wait while another apply of the same customer runs.  [default: 0]",
)
def undo(
    run: int,
    directory: Path,
    environment: str | None,
    store: str | None,
    yes: bool,
    approve: tuple[str, ...],
    out: Path | None,
    output_format: str,
    rows: int | None,
    people: str | None,
    lock_timeout: float,
) -> ExitCode:
    """Show what would take RUN back, ask, and carry it out as a run of its own, which can be undone as well.

    What later runs or other hands changed since is left alone and listed. What this would delete counts against the
    customer's limits. RUN is a number of `reconciler history`.
    """
    if out is not None and (yes or approve):
        raise click.UsageError("--out only saves: give --yes and --approve when the file is applied")
    if out is None and not (yes or sys.stdin.isatty()):
        raise click.UsageError("without a terminal, undo needs --yes, or --out FILE to save the plan")
    if out is None and output_format == "json":
        raise click.UsageError("--format json goes with --out FILE")
    workspace = open_workspace(directory, environment, store, make_store=False)
    plan = build_undo_plan(workspace, run)
    command = " ".join(["reconciler", "undo", str(run), *list_workspace_options(directory, environment, store)])
    show_plan(
        plan,
        output_format=output_format,
        rows=rows,
        people=people,
        get_store_key=lambda: workspace.store.key,
        command=command if out is None else f"reconciler apply {out}",
        closing=NOTHING_CHANGED if out is not None else "",
    )
    if out is not None:
        write_plan(plan, out, workspace.store.key)
        click.echo(describe_saved_plan(out), err=True)
        return ExitCode.DONE
    if not has_changes(plan):
        click.echo(f"run {run}: {NOTHING_LEFT}")
        if not approve:
            return ExitCode.DONE
    elif not yes:
        answer = confirm_apply()
        if answer is not None:
            return answer
    return execute_plan(workspace, plan, approve, lock_timeout, command)
