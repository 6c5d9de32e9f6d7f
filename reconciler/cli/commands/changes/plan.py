"""`plan`: compares and shows. Writes nothing but `--out`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode, select_worst_exit_code
from reconciler.cli.options import add_workspace_options
from reconciler.cli.output import full_report_option, report_options, show_plan
from reconciler.cli.progress import show_progress_bars
from reconciler.model.plan import Outcome, Plan
from reconciler.operations.failure import has_operational_failure, is_misconfigured
from reconciler.operations.plan.make_plan import make_plan
from reconciler.operations.plan.request import PlanRequest, RosterChoice
from reconciler.operations.workspace import open_comparison_workspace, open_workspace

NOTHING_CHANGED = "Nothing was changed."
NOTHING_ASKED = "No secret was asked for and no roster fetched: secrets are compared by reference."


@click.command()
@click.argument("customers", nargs=-1, metavar="[CUSTOMER]...")
@add_workspace_options
@click.option(
    "--zip",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The OneRoster bundle of the one customer named.",
)
@click.option(
    "--roster",
    type=click.Choice([each.value for each in RosterChoice]),
    help="fresh: fetch (default where customers are named); last: the last good snapshot, shown only; none.",
)
@click.option(
    "--base",
    metavar="REF",
    help="Only customers whose resolved configuration differs from this state of git; asks for no secret.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan here, mode 0600.")
@report_options[0]
@report_options[1]
@report_options[2]
@full_report_option
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit 2 where there are changes, 3 where something is held or refused."
)
def plan(
    customers: tuple[str, ...],
    directory: Path,
    environment: str | None,
    store: str | None,
    bundle: Path | None,
    roster: str | None,
    base: str | None,
    out: Path | None,
    output_format: str,
    rows: int | None,
    people: str | None,
    full_report: str,
    detailed_exitcode: bool,
) -> ExitCode:
    """Compare customers and rosters with the live store, and show what an apply would do.

    Without CUSTOMER: all of them, with the last good rosters. Nothing is written but --out.
    """
    if out is not None and not out.name:
        raise click.UsageError("--out needs the name of a file")
    request = build_plan_request(customers, bundle, roster, base)
    if base is None:
        workspace = open_workspace(directory, environment, store)
    else:
        workspace = open_comparison_workspace(base, directory, environment, store, trusted=False)
        click.echo(NOTHING_ASKED, err=True)
    with show_progress_bars() as heard:
        made = make_plan(workspace, replace(request, progress_factory=heard))
    show_plan(
        made,
        output_format=output_format,
        rows=rows,
        people=people,
        get_store_key=lambda: workspace.store.key,
        command=build_apply_command(customers, bundle, request.roster, directory, environment, store, base),
        closing=NOTHING_CHANGED,
        full_report=full_report,
    )
    if out is not None:
        # A quarter of a second that most plans need not wait for.
        from reconciler.operations.apply.plan_file import write_plan

        write_plan(made, out, workspace.store.key)
        click.echo(describe_saved_plan(out), err=True)
    return determine_plan_exit_code(made, detailed=detailed_exitcode)


def build_plan_request(
    customers: tuple[str, ...], bundle: Path | None, roster: str | None, base: str | None = None
) -> PlanRequest:
    """Raises click.UsageError where the options do not fit together."""
    if base is not None and (bundle is not None or roster == RosterChoice.FRESH.value):
        raise click.UsageError("--base connects to no roster: it goes with --roster last or none, and not with --zip")
    if bundle is not None and len(customers) != 1:
        raise click.UsageError("--zip is the bundle of one customer: name exactly one CUSTOMER")
    if bundle is not None and roster not in (None, RosterChoice.FRESH.value):
        raise click.UsageError(f"--zip is a fresh roster and does not go with --roster {roster}")
    usual = RosterChoice.FRESH if customers and base is None else RosterChoice.LAST
    choice = RosterChoice(roster) if roster else usual
    return PlanRequest(tuple(dict.fromkeys(customers)), bundle, choice)


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


def build_apply_command(
    customers: tuple[str, ...],
    bundle: Path | None,
    roster: RosterChoice,
    directory: Path,
    environment: str | None,
    store: str | None,
    base: str | None = None,
) -> str:
    """The words that would apply what was just planned. roster: which was planned with; the last good one is shown
    only, so that an apply goes without."""
    words = ["reconciler", "apply", *customers]
    if base is not None:
        words += ["--base", base]
    if bundle is not None:
        words += ["--zip", str(bundle)]
    if customers and base is None and roster is not RosterChoice.FRESH:
        words += ["--roster", RosterChoice.NONE.value]
    return " ".join([*words, *list_workspace_options(directory, environment, store)])


def list_workspace_options(directory: Path, environment: str | None, store: str | None) -> list[str]:
    """The options that name files and store again; a store's URL with a password is never repeated."""
    words = []
    if str(directory) != "customers":
        words += ["--dir", str(directory)]
    if environment:
        words += ["--env", environment]
    if store:
        words += ["--store", store if "@" not in store else "URL"]
    return words


def describe_saved_plan(out: Path) -> str:
    """What is said of a plan that was written to a file."""
    return f"plan saved: {out} (it holds people's names; apply it with: reconciler apply {_format_plan_path(out)})"


def _format_plan_path(out: Path) -> str:
    """With a slash or a dot, so that apply takes it for a file."""
    return str(out) if "/" in str(out) or "." in str(out) else f"./{out}"
