"""`plan`: compares and shows. Writes nothing but `--out`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode, select_worst_exit_code
from reconciler.cli.options import add_location_options, add_options, format_location_options
from reconciler.cli.output import ReportOptions, add_full_report_options, show_plan
from reconciler.cli.progress import show_progress_bars
from reconciler.model.plan import Outcome, Plan
from reconciler.operations.failure import has_operational_failure, is_misconfigured
from reconciler.operations.location import Location
from reconciler.operations.plan.make_plan import make_plan
from reconciler.operations.plan.request import PlanRequest, RosterChoice
from reconciler.operations.workspace import Workspace, open_comparison_workspace, open_workspace

NOTHING_CHANGED = "Nothing was changed."
NOTHING_ASKED = "No secret was asked for and no roster fetched: secrets are compared by reference."


@dataclass(frozen=True, slots=True)
class PlanInputs:
    #: the OneRoster ZIP file of the one customer named
    bundle: Path | None = None
    #: a RosterChoice; None for the default
    roster: str | None = None
    #: git ref
    base: str | None = None


zip_option = click.option(
    "--zip",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The OneRoster bundle of the one customer named.",
)


@click.command()
@click.argument("customers", nargs=-1, metavar="[CUSTOMER]...")
@add_location_options
@add_options(
    PlanInputs,
    "inputs",
    zip_option,
    click.option(
        "--roster",
        type=click.Choice([each.value for each in RosterChoice]),
        help="fresh: fetch (default where customers are named); last: the last good snapshot, shown only; none.",
    ),
    click.option(
        "--base",
        metavar="REF",
        help="Only customers whose resolved configuration differs from this state of git; asks for no secret.",
    ),
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan here, mode 0600.")
@add_full_report_options
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit 2 where there are changes, 3 where something is held or refused."
)
def plan(
    customers: tuple[str, ...],
    location: Location,
    inputs: PlanInputs,
    out: Path | None,
    report: ReportOptions,
    detailed_exitcode: bool,
) -> ExitCode:
    """Compare customers and rosters with the live store, and show what an apply would do.

    Without CUSTOMER: all of them, with the last good rosters. Nothing is written but --out.
    """
    if out is not None and not out.name:
        raise click.UsageError("--out needs the name of a file")
    request = build_plan_request(customers, inputs)
    if inputs.base is None:
        workspace = open_workspace(location)
    else:
        workspace = open_comparison_workspace(inputs.base, location, trusted=False)
        click.echo(NOTHING_ASKED, err=True)
    made = make_plan_with_progress(workspace, request)
    show_plan(
        made,
        report,
        lambda: workspace.store.key,
        command=build_apply_command(request, inputs.base, location),
        closing=NOTHING_CHANGED,
    )
    if out is not None:
        # A quarter of a second that most plans need not wait for.
        from reconciler.operations.apply.plan_file import write_plan

        write_plan(made, out, workspace.store.key)
        click.echo(describe_saved_plan(out), err=True)
    return determine_plan_exit_code(made, detailed=detailed_exitcode)


def build_plan_request(customers: tuple[str, ...], inputs: PlanInputs) -> PlanRequest:
    """Raises click.UsageError where the options do not fit together."""
    bundle, roster, base = inputs.bundle, inputs.roster, inputs.base
    if base is not None and (bundle is not None or roster == RosterChoice.FRESH.value):
        raise click.UsageError("--base connects to no roster: it goes with --roster last or none, and not with --zip")
    if bundle is not None and len(customers) != 1:
        raise click.UsageError("--zip is the bundle of one customer: name exactly one CUSTOMER")
    if bundle is not None and roster not in (None, RosterChoice.FRESH.value):
        raise click.UsageError(f"--zip is a fresh roster and does not go with --roster {roster}")
    usual = RosterChoice.FRESH if customers and base is None else RosterChoice.LAST
    choice = RosterChoice(roster) if roster else usual
    return PlanRequest(tuple(dict.fromkeys(customers)), bundle, choice)


def make_plan_with_progress(workspace: Workspace, request: PlanRequest) -> Plan:
    with show_progress_bars() as progress_factory:
        return make_plan(workspace, replace(request, progress_factory=progress_factory))


def determine_plan_exit_code(plan: Plan, *, detailed: bool) -> ExitCode:
    outcomes = {customer.outcome for customer in plan.customers}
    codes = [ExitCode.DONE]
    if any(is_misconfigured(customer) for customer in plan.customers):
        codes.append(ExitCode.INVALID_CONFIGURATION)
    if any(has_operational_failure(customer) for customer in plan.customers):
        codes.append(ExitCode.ERROR)
    if detailed:
        if outcomes & {Outcome.HELD, Outcome.REFUSED}:
            codes.append(ExitCode.HELD)
        if Outcome.CHANGES in outcomes or Outcome.HELD in outcomes:
            codes.append(ExitCode.CHANGES)
    return select_worst_exit_code(codes)


def build_apply_command(request: PlanRequest, base: str | None, location: Location) -> str:
    """Return the command that applies what was planned; it leaves out a last good roster, which is only shown."""
    words = ["reconciler", "apply", *request.customers]
    if base is not None:
        words += ["--base", base]
    if request.bundle is not None:
        words += ["--zip", str(request.bundle)]
    if request.customers and base is None and request.roster is not RosterChoice.FRESH:
        words += ["--roster", RosterChoice.NONE.value]
    return " ".join([*words, *format_location_options(location)])


def describe_saved_plan(out: Path) -> str:
    """What is said of a plan that was written to a file."""
    return f"plan saved: {out} (it holds people's names; apply it with: reconciler apply {_format_plan_path(out)})"


def _format_plan_path(out: Path) -> str:
    """With a slash or a dot, so that apply takes it for a file."""
    return str(out) if "/" in str(out) or "." in str(out) else f"./{out}"
