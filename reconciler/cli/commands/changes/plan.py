"""`plan`: compare and show. Writes nothing except `--out`."""

from dataclasses import dataclass, replace
from pathlib import Path

import click

from reconciler.cli.confirmation import NOTHING_CHANGED
from reconciler.cli.exit_code import ExitCode, select_worst_exit_code
from reconciler.cli.options import add_location_options, add_options, format_location_options
from reconciler.cli.output import ReportOptions, add_full_report_options, show_plan
from reconciler.cli.progress import show_progress_bars
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.model.ids import CustomerId
from reconciler.model.plan import Outcome, Plan
from reconciler.operations.failure import has_operational_failure, is_misconfigured
from reconciler.operations.location import Location
from reconciler.operations.plan import PlanRequest, RosterChoice, make_plan
from reconciler.operations.workspace import AbsentStore, Workspace, open_comparison_workspace, open_workspace

NOTHING_ASKED = "No roster was fetched. Secrets were compared by reference."


@dataclass(frozen=True, slots=True)
class PlanInputs:
    #: the OneRoster ZIP file of the single customer
    bundle: Path | None = None
    #: a RosterChoice; None for the default
    roster: str | None = None
    #: git ref
    base: str | None = None


zip_option = click.option(
    "--zip",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="OneRoster ZIP file for CUSTOMER (name exactly one).",
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
        help="fresh: fetch now (default with CUSTOMER). last: preview with the last good roster. none: ignore rosters.",
    ),
    click.option(
        "--base",
        metavar="REF",
        help="Only customers whose resolved settings differ from this git ref. Needs no secrets.",
    ),
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan to this file, mode 0600.")
@add_full_report_options
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit 2 if there are changes, 3 if changes are held or a roster is refused.",
)
def plan(
    customers: tuple[CustomerId, ...],
    location: Location,
    inputs: PlanInputs,
    out: Path | None,
    report: ReportOptions,
    detailed_exitcode: bool,
) -> ExitCode:
    """Compare customers and rosters with the store, and show what an apply would change.

    Without CUSTOMER, plans all customers with their last good rosters. Writes nothing except --out.
    """
    if out is not None and not out.name:
        raise click.UsageError("--out requires a file name")
    if out is not None:
        refuse_report_name(out, " ".join(["reconciler plan", *customers]))
    request = build_plan_request(customers, inputs)
    if inputs.base is None:
        workspace = open_workspace(location, absent=AbsentStore.IMAGINE)
    else:
        workspace = open_comparison_workspace(inputs.base, location, trusted=False, absent=AbsentStore.IMAGINE)
        click.echo(NOTHING_ASKED, err=True)
    if out is not None and not workspace.has_store:
        raise _build_unsavable_refusal()
    made = make_plan_with_progress(workspace, request)
    show_plan(
        made,
        report,
        lambda: workspace.store.key,
        command=build_apply_command(request, inputs.base, location),
        closing=NOTHING_CHANGED,
    )
    if out is not None:
        # The import takes a quarter of a second, which most plans do not need.
        from reconciler.operations.apply import write_plan

        write_plan(made, out, workspace.store.key)
        click.echo(describe_saved_plan(out), err=True)
    return determine_plan_exit_code(made, detailed=detailed_exitcode)


def _build_unsavable_refusal() -> Refusal:
    """Return the refusal of `--out` without a store: no store will ever have the key of such a plan."""
    return Refusal(
        [
            build_error(
                "new-store",
                "the store does not exist yet, so a plan of it cannot be saved",
                hint="Create the store first: reconciler store create",
            )
        ]
    )


def build_plan_request(customers: tuple[CustomerId, ...], inputs: PlanInputs) -> PlanRequest:
    """Return the request that the options describe. Raises click.UsageError if they contradict each other."""
    bundle, roster, base = inputs.bundle, inputs.roster, inputs.base
    if base is not None and (bundle is not None or roster == RosterChoice.FRESH.value):
        raise click.UsageError("--base works only with --roster last or none, and not with --zip")
    if bundle is not None and len(customers) != 1:
        raise click.UsageError("--zip requires exactly one CUSTOMER")
    if bundle is not None and roster not in (None, RosterChoice.FRESH.value):
        raise click.UsageError(f"--zip cannot be combined with --roster {roster}")
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
    """Return the command that applies this plan; without a last good roster, which is only a preview."""
    words = ["reconciler", "apply", *request.customers]
    if base is not None:
        words += ["--base", base]
    if request.bundle is not None:
        words += ["--zip", str(request.bundle)]
    if request.customers and base is None and request.roster is not RosterChoice.FRESH:
        words += ["--roster", RosterChoice.NONE.value]
    return " ".join([*words, *format_location_options(location)])


#: endings of reports and documents, which a saved plan is not
_REPORT_ENDINGS = {".html": "html", ".htm": "html", ".json": "json", ".md": "markdown", ".markdown": "markdown"}
_DOCUMENT_ENDINGS = (".txt", ".pdf", ".csv", ".yaml", ".yml")


def refuse_report_name(out: Path, command: str) -> None:
    """Raise click.UsageError if the name of a plan file looks like that of a report.

    command: prints the plan, without options."""
    ending = out.suffix.lower()
    if ending in _REPORT_ENDINGS:
        raise click.UsageError(
            f"--out saves the plan for apply, not a report; to write a report, run: {command} --format "
            f"{_REPORT_ENDINGS[ending]} > {out}"
        )
    if ending in _DOCUMENT_ENDINGS:
        raise click.UsageError(f"--out saves the plan for apply, not a report; choose a name such as {out.stem}.plan")


def describe_saved_plan(out: Path) -> str:
    """Return the message about a plan that was written to a file."""
    return f"Plan saved to {out}. It contains people's names. To apply it: reconciler apply {_format_plan_path(out)}"


def _format_plan_path(out: Path) -> str:
    """Return the path with a slash or a dot, by which apply recognizes a file."""
    return str(out) if "/" in str(out) or "." in str(out) else f"./{out}"
