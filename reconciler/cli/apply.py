"""`apply`: shows a plan, asks, carries out exactly that plan."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode, worst
from reconciler.cli.options import workspace_options
from reconciler.cli.plan import apply_command, plan_request
from reconciler.cli.reporting import show_plan
from reconciler.model.plan import CATALOGUE, CustomerPlan, Outcome, Plan
from reconciler.operations.applying import Applied, AppliedCustomer, apply_plan
from reconciler.operations.plan_file import read_plan
from reconciler.operations.planning import RosterChoice, make_plan
from reconciler.operations.workspace import Workspace, open_workspace


@click.command()
@click.argument("what", nargs=-1, metavar="[PLANFILE | CUSTOMER...]")
@workspace_options
@click.option(
    "--zip",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The OneRoster bundle of the one customer named.",
)
@click.option("--roster", type=click.Choice([RosterChoice.FRESH.value, RosterChoice.NONE.value]))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--expect", metavar="PLAN_ID", help="Apply only if the plan made now has this id, or nothing to do.")
@click.option("--approve", multiple=True, metavar="HOLD", help="Release exactly this hold. May be repeated.")
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Seconds to wait while another apply of the same customer runs.  [default: 0]",
)
def apply(
    what: tuple[str, ...],
    directory: Path,
    environment: str | None,
    store: str | None,
    bundle: Path | None,
    roster: str | None,
    yes: bool,
    expect: str | None,
    approve: tuple[str, ...],
    lock_timeout: float,
) -> ExitCode:
    """Show a plan, ask, and carry out exactly that plan.

    A PLANFILE (its name has a / or a .) is applied without fetching its sources again. Without a terminal, a plan
    file, --expect or --yes is needed. Without CUSTOMER, rosters are left out.
    """
    saved = _plan_file(what)
    if saved is not None and (bundle is not None or roster is not None):
        raise click.UsageError("a plan file brings its own roster: leave out --zip and --roster")
    if saved is None and not (yes or expect or sys.stdin.isatty()):
        raise click.UsageError("without a terminal, apply needs a plan file, --expect PLAN_ID or --yes")
    request = None if saved else plan_request(what, bundle, roster or (None if what else RosterChoice.NONE.value))
    workspace = open_workspace(directory, environment, store)
    plan = read_plan(saved, workspace.store) if saved else make_plan(workspace, request)  # type: ignore[arg-type]
    command = f"reconciler apply {saved}" if saved else apply_command(what, bundle, directory, environment, store)
    show_plan(plan, form="text", rows=None, people=None, key=lambda: workspace.store.key, command=command)
    if expect and plan.plan_id != expect and _does_something(plan):
        click.echo(
            f"error: the plan is {plan.plan_id}, not the one that was reviewed ({expect}); nothing was changed "
            "[stale-plan]\n    What it would do now is shown above: review it, and expect its id.",
            err=True,
        )
        return ExitCode.STALE
    if not _does_something(plan) and not _keeps_a_roster(plan):
        return _code(apply_plan(workspace, plan, approve)) if approve else _quiet_code(plan)
    if not (yes or expect) and sys.stdin.isatty() and not click.confirm("Apply this?", default=False, err=True):
        click.echo("Nothing was changed.", err=True)
        return ExitCode.DONE
    results = apply_plan(workspace, plan, approve, lock_timeout=lock_timeout)
    _tell(results, plan.customers, command, workspace)
    return _code(results)


def _plan_file(what: Sequence[str]) -> Path | None:
    """The contract's rule: an argument with a slash or a dot is a plan file."""
    files = [name for name in what if "/" in name or "." in name]
    if not files:
        return None
    if len(what) > 1:
        raise click.UsageError("one plan file, or customers, but not both")
    path = Path(files[0])
    if not path.is_file():
        raise click.UsageError(f"there is no plan file {path}")
    return path


def _does_something(plan: Plan) -> bool:
    return any(
        customer.declared or (customer.roster_applies and any(frame.height for frame in customer.roster.values()))
        for customer in plan.customers
    )


def _keeps_a_roster(plan: Plan) -> bool:
    return any(customer.snapshot or customer.refresh for customer in plan.customers)


def _quiet_code(plan: Plan) -> ExitCode:
    """Nothing to do; what failed or was refused is said all the same."""
    codes = {Outcome.FAILED: ExitCode.INVALID_CONFIGURATION, Outcome.REFUSED: ExitCode.HELD}
    return worst([ExitCode.DONE, *(codes[each.outcome] for each in plan.customers if each.outcome in codes)])


def _tell(
    results: Iterable[AppliedCustomer], plans: Iterable[CustomerPlan], command: str, workspace: Workspace
) -> None:
    by_id = {plan.id: plan for plan in plans}
    for result in results:
        name = "catalogue" if result.id == CATALOGUE else result.id
        run = f" (run {result.run})" if result.run is not None else ""
        hold = by_id[result.id].hold
        if result.became is Applied.APPLIED:
            click.echo(f"{name}: applied{run}")
        elif result.became is Applied.UNCHANGED:
            click.echo(f"{name}: nothing to change")
        elif result.became is Applied.HELD and hold is not None:
            rest = f"everything else was applied{run}" if result.run is not None else "there was nothing else to apply"
            click.echo(f"{name}: HELD {hold.id}; {rest}\n    If that is right:  {command} --approve {hold.id}")
        else:
            click.echo(f"{name}: {result.became}; nothing of it was changed")
        for diagnostic in result.diagnostics:
            click.echo(str(diagnostic), err=True)
        _hand_over(result, workspace)


def _hand_over(result: AppliedCustomer, workspace: Workspace) -> None:
    """Invitation links are as good as passwords: on a terminal, else in a file that only its owner reads."""
    if not result.invitations:
        return
    lines = [f"{each.username}: {each.link}" for each in result.invitations]
    if sys.stdout.isatty():
        click.echo("invitations, shown once; each works for 14 days:")
        for line in lines:
            click.echo(f"    {line}")
        return
    path = Path(f"invitations-{result.id}-run-{result.run}.txt")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    click.echo(f"    invitations of its new administrators, kept nowhere else: {path}")


def _code(results: Sequence[AppliedCustomer]) -> ExitCode:
    became = {result.became for result in results}
    failures = became & {Applied.FAILED, Applied.INVALID, Applied.STALE}
    if failures and any(result.written for result in results):
        return ExitCode.PARTLY
    codes = {
        Applied.INVALID: ExitCode.INVALID_CONFIGURATION,
        Applied.FAILED: ExitCode.ERROR,
        Applied.STALE: ExitCode.STALE,
        Applied.HELD: ExitCode.HELD,
        Applied.UNFIT: ExitCode.HELD,
        Applied.REFUSED: ExitCode.HELD,
    }
    return worst([ExitCode.DONE, *(codes[each] for each in became if each in codes)])
