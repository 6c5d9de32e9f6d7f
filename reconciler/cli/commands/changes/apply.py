"""`apply`: show a plan, ask, and apply exactly that plan."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import click

from reconciler.cli.commands.changes.plan import (
    PlanInputs,
    build_apply_command,
    build_plan_request,
    determine_plan_exit_code,
    make_plan_with_progress,
    zip_option,
)
from reconciler.cli.confirmation import confirm
from reconciler.cli.exit_code import ExitCode, select_worst_exit_code
from reconciler.cli.invitations import InvitationFiles, format_invitations
from reconciler.cli.options import (
    ApplyOptions,
    add_apply_options,
    add_location_options,
    add_options,
    format_location_options,
)
from reconciler.cli.output import ReportOptions, show_plan
from reconciler.cli.saved_plan import parse_saved_plan
from reconciler.config.comparison import BaseComparison
from reconciler.model.change import Action
from reconciler.model.ids import CustomerId, PlanId, RunId
from reconciler.model.kind import DECLARED_KINDS
from reconciler.model.plan import CATALOG, CustomerPlan, Hold, Outcome, Plan
from reconciler.operations.apply import (
    ApplyOutcome,
    CustomerApplyResult,
    Invitation,
    ReviewVerdict,
    apply_plan,
    compare_with_plan,
    compare_with_plan_id,
    find_unexplained_changes,
    read_plan,
)
from reconciler.operations.failure import UNEXPECTED_CODE
from reconciler.operations.location import Location
from reconciler.operations.plan import RosterChoice
from reconciler.operations.workspace import Workspace, open_comparison_workspace, open_workspace
from reconciler.reports import departure as report
from reconciler.reports import unexplained as base_report
from reconciler.reports.plan import PeopleVisibility
from reconciler.store.errors import ANSWER_LOST
from reconciler.store.open import Store

# `--expect`: compare a new plan with the reviewed one, given as an ID or a saved file.


#: most changes of one customer to list for each way in which two plans differ
MAX_DIFFERENCE_ROWS = 50


def resolve_reviewed_plan(reference: str, store: Store) -> PlanId | Plan:
    """Return the plan of a saved file (its name has a / or a .), or else the plan ID as given.

    Raises Refusal if the file is not a plan of this store, UsageError if it does not exist or the ID is malformed."""
    if "/" in reference or "." in reference:
        path = Path(reference)
        if not path.is_file():
            raise click.UsageError(f"--expect: plan file {path} not found")
        return read_plan(path, store)
    if not reference.startswith("sha256:"):
        raise click.UsageError(f"--expect: {reference} is neither a plan ID (sha256:…) nor a plan file (PATH/FILE)")
    return PlanId(reference)


def check_against_reviewed(
    plan: Plan, reviewed: PlanId | Plan, store: Store, comparison: BaseComparison | None = None
) -> bool:
    """Return whether the plan makes the same changes as the reviewed one or fewer; print differences to stderr.

    comparison: with the base; None without one."""
    if isinstance(reviewed, str):
        verdict = compare_with_plan_id(store, plan, reviewed)
        if verdict.fits:
            _report_executed_runs(verdict)
        else:
            _report_id_mismatch(plan, reviewed, store, comparison)
        return verdict.fits
    verdict = compare_with_plan(plan, reviewed)
    if verdict.difference is not None:
        differs = _describe_differences(verdict, store)
        if not verdict.fits:
            click.echo(_format_stale_plan_error(plan, reviewed.plan_id), err=True)
            click.echo(f"    It makes more or other changes. It would now {_describe_effects(plan)}:", err=True)
            click.echo("\n".join(f"    {line}" for line in differs), err=True)
        elif differs:
            click.echo("the plan makes fewer changes than the reviewed one:", err=True)
            click.echo("\n".join(differs), err=True)
    return verdict.fits


def _report_executed_runs(verdict: ReviewVerdict) -> None:
    if verdict.runs:
        runs = ", ".join(str(run) for run in verdict.runs)
        click.echo(
            f"the plan makes fewer changes than the reviewed one: the others were applied since (run {runs})", err=True
        )


def _report_id_mismatch(plan: Plan, reviewed: PlanId, store: Store, comparison: BaseComparison | None) -> None:
    click.echo(_format_stale_plan_error(plan, reviewed), err=True)
    found = list(islice(find_unexplained_changes(plan, comparison), MAX_DIFFERENCE_ROWS + 1)) if comparison else []
    if found:
        ref = f" {plan.base.ref}" if plan.base else ""
        click.echo(f"    It would now {_describe_effects(plan)}. The base{ref} does not explain:", err=True)
        click.echo(
            "\n".join(
                f"    {line}"
                for line in base_report.render_unexplained_changes(
                    found[:MAX_DIFFERENCE_ROWS], store.key.make_pseudonym
                )
            ),
            err=True,
        )
        if len(found) > MAX_DIFFERENCE_ROWS:
            click.echo("    … and more; the plan above lists all of them", err=True)
        click.echo(
            "    If the plan above is correct, pass its ID to --expect. Otherwise fix the store first: run plan and\n"
            "    apply without --base.",
            err=True,
        )
        return
    click.echo(
        f"    It would now {_describe_effects(plan)}. Review the plan above, then pass its ID to --expect.\n"
        "    To see what differs, review with `plan --out FILE` and use `--expect FILE`: an ID alone shows only what\n"
        "    later runs already applied.",
        err=True,
    )


def _format_stale_plan_error(plan: Plan, reviewed: str) -> str:
    return (
        f"error: the plan changed since the review (now {plan.plan_id}, reviewed {reviewed}); nothing was applied "
        "[stale-plan]"
    )


def _describe_differences(verdict: ReviewVerdict, store: Store) -> list[str]:
    found = verdict.difference
    if found is None:
        return []
    people = PeopleVisibility.FULL if sys.stderr.isatty() else PeopleVisibility.MASKED

    return report.render_plan_differences(
        found.extra_effects,
        found.released_effects,
        found.missing_effects,
        people,
        store.key.make_pseudonym,
        MAX_DIFFERENCE_ROWS,
    )


def _describe_effects(plan: Plan) -> str:
    """Count the changes that an apply would make or hold, by action: `delete 4, create 2 (4 held)`."""
    counts = [
        each
        for customer in plan.customers
        for kind, each in customer.counts.items()
        if customer.roster_applies or kind in DECLARED_KINDS
    ]
    totals = {action: sum(each[action] for each in counts) for action in Action}
    held = sum(each.held for each in counts)
    parts = ", ".join(f"{action} {number:,}" for action, number in totals.items() if number)
    return f"{parts} ({held:,} held)" if held else parts


@click.command()
@click.argument("targets", nargs=-1, metavar="[PLANFILE | HOLD | CUSTOMER...]")
@add_location_options
@add_options(
    PlanInputs,
    "inputs",
    zip_option,
    click.option(
        "--roster",
        type=click.Choice([RosterChoice.FRESH.value, RosterChoice.NONE.value]),
        help="fresh: fetch now (default with CUSTOMER). none: ignore rosters.",
    ),
    click.option("--base", metavar="REF", help="Only customers whose resolved settings differ from this git ref."),
)
@click.option(
    "--expect",
    metavar="PLAN_ID|PLANFILE",
    help="Apply only if a new plan makes the same changes as this reviewed plan, or fewer.",
)
@add_apply_options
def apply(
    targets: tuple[str, ...], location: Location, inputs: PlanInputs, expect: str | None, options: ApplyOptions
) -> ExitCode:
    """Show a plan, ask, and apply exactly that plan.

    A PLANFILE (its name has a / or a .) is applied without fetching rosters again, and so is the plan that a sync
    saved for a HOLD (its ID has a colon). Without a terminal, pass one of these, --expect or --yes. Without CUSTOMER,
    applies all customers and ignores rosters.
    """
    saved = parse_saved_plan(targets)
    if saved is not None and inputs != PlanInputs():
        raise click.UsageError("--zip, --roster and --base cannot be combined with a saved plan")
    if saved is None and not (options.yes or expect or sys.stdin.isatty()):
        raise click.UsageError("apply cannot ask without a terminal; pass a plan file, --expect PLAN_ID or --yes")
    if saved is not None:
        workspace, plan = saved.open_workspace_and_plan(location)
        command = saved.build_apply_command(format_location_options(location))
        reviewed = resolve_reviewed_plan(expect, workspace.store) if expect else None
    else:
        request = build_plan_request(tuple(map(CustomerId, targets)), _choose_roster(targets, inputs))
        workspace = _open_apply_workspace(location, inputs.base)
        command = build_apply_command(request, inputs.base, location)
        reviewed = resolve_reviewed_plan(expect, workspace.store) if expect else None
        plan = make_plan_with_progress(workspace, request)
    show_plan(plan, ReportOptions(), lambda: workspace.store.key, command=command, approvals=options.approve)
    if (
        reviewed is not None
        and has_changes(plan)
        and not check_against_reviewed(plan, reviewed, workspace.store, workspace.comparison)
    ):
        return ExitCode.STALE
    if not has_changes(plan) and not _has_roster_to_save(plan):
        if not options.approve:
            return _determine_unchanged_exit_code(plan)
    elif has_changes(plan) and not (options.yes or expect) and sys.stdin.isatty():
        answer = confirm("Apply this plan?")
        if answer is not None:
            return answer
    return execute_plan(workspace, plan, options, command)


def _choose_roster(targets: tuple[str, ...], inputs: PlanInputs) -> PlanInputs:
    """Ignore rosters when applying all customers, or those that differ from a base."""
    if inputs.roster is None and (inputs.base is not None or not targets):
        return replace(inputs, roster=RosterChoice.NONE.value)
    return inputs


def _open_apply_workspace(location: Location, base: str | None) -> Workspace:
    return open_workspace(location) if base is None else open_comparison_workspace(base, location, trusted=True)


def execute_plan(workspace: Workspace, plan: Plan, options: ApplyOptions, command: str) -> ExitCode:
    """Apply the plan and print the outcome of every customer. command: the command that applies this plan again."""
    results: list[CustomerApplyResult] = []
    files = InvitationFiles()
    try:
        apply_plan(
            workspace,
            plan,
            options.approve,
            lock_timeout=options.lock_timeout,
            on_finished=results.append,
            hand_over=_skip_invitations if sys.stdout.isatty() else files.write,
        )
    finally:
        # Even if an exception stops the apply, print which customers were applied, and their invitations.
        _print_results(results, plan.customers, command, files)
    return _determine_exit_code(results)


def _skip_invitations(customer: CustomerId, run: RunId, invitations: Sequence[Invitation]) -> None:
    """Write no file: a terminal shows the links after the commit."""


def has_changes(plan: Plan) -> bool:
    return any(
        customer.document_changes
        or (customer.roster_applies and any(frame.height for frame in customer.roster.values()))
        for customer in plan.customers
    )


def _has_roster_to_save(plan: Plan) -> bool:
    return any(customer.snapshot or customer.fingerprint_refresh for customer in plan.customers)


def _determine_unchanged_exit_code(plan: Plan) -> ExitCode:
    """Return the exit code of a plan without changes, in which customers may have failed or been refused."""
    refused = any(customer.outcome is Outcome.REFUSED for customer in plan.customers)
    return select_worst_exit_code(
        [determine_plan_exit_code(plan, detailed=False), ExitCode.HELD if refused else ExitCode.DONE]
    )


def _print_results(
    results: Iterable[CustomerApplyResult], plans: Iterable[CustomerPlan], command: str, files: InvitationFiles
) -> None:
    """Print every outcome with its invitation links, and delete the files of runs that were not written."""
    by_id = {plan.id: plan for plan in plans}
    finished = list(results)
    for result in finished:
        if result.run is None and not _may_have_written(result):
            files.discard(result.id)
    for result in finished:
        for line in _describe_outcome(result, by_id[result.id].hold, command):
            click.echo(line)
        for diagnostic in result.diagnostics:
            click.echo(str(diagnostic), err=True)
        if result.id in files.paths:
            click.echo(f"    invitation links for new administrators: {files.paths[result.id]} (the only copy)")
        for line in format_invitations(result.invitations) if sys.stdout.isatty() else ():
            click.echo(line)
    for customer in sorted(files.paths.keys() - {result.id for result in finished}):
        click.echo(
            f"{customer}: unknown if it was applied; if so, its invitation links are in {files.paths[customer]}",
            err=True,
        )


def _may_have_written(result: CustomerApplyResult) -> bool:
    return any(diagnostic.code in (UNEXPECTED_CODE, ANSWER_LOST) for diagnostic in result.diagnostics)


def _describe_outcome(result: CustomerApplyResult, hold: Hold | None, command: str) -> list[str]:
    name = "catalog" if result.id == CATALOG else result.id
    run = f" (run {result.run})" if result.run is not None else ""
    if result.outcome is ApplyOutcome.APPLIED:
        return [f"{name}: applied{run}"]
    if result.outcome is ApplyOutcome.UNCHANGED:
        return [f"{name}: nothing to change"]
    if result.outcome is ApplyOutcome.HELD and hold is not None:
        rest = f"all other changes were applied{run}" if result.run is not None else "no other changes"
        return [f"{name}: HELD {hold.id}; {rest}", f"    To approve:  {command} --approve {hold.id}"]
    if result.outcome is ApplyOutcome.UNFIT:
        return [f"{name}: not applied because the approval does not match the current hold; nothing was changed"]
    if _may_have_written(result):
        # It is unknown whether anything was written.
        return [f"{name}: {result.outcome}"]
    return [f"{name}: {result.outcome}; nothing was changed"]


def _determine_exit_code(results: Sequence[CustomerApplyResult]) -> ExitCode:
    outcomes = {result.outcome for result in results}
    failures = outcomes & {ApplyOutcome.FAILED, ApplyOutcome.INVALID, ApplyOutcome.STALE}
    if failures and any(result.has_written for result in results):
        return ExitCode.PARTLY
    codes = {
        ApplyOutcome.INVALID: ExitCode.INVALID_CONFIGURATION,
        ApplyOutcome.FAILED: ExitCode.ERROR,
        ApplyOutcome.STALE: ExitCode.STALE,
        ApplyOutcome.HELD: ExitCode.HELD,
        ApplyOutcome.UNFIT: ExitCode.HELD,
        ApplyOutcome.REFUSED: ExitCode.HELD,
    }
    return select_worst_exit_code([ExitCode.DONE, *(codes[each] for each in outcomes if each in codes)])
