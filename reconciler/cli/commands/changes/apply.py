"""`apply`: shows a plan, asks, carries out exactly that plan."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import click

from reconciler.cli.commands.changes.plan import (
    NOTHING_CHANGED,
    PlanInputs,
    build_apply_command,
    build_plan_request,
    determine_plan_exit_code,
    make_plan_with_progress,
    zip_option,
)
from reconciler.cli.exit_code import ExitCode, select_worst_exit_code
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
from reconciler.model.kind import DECLARED_KINDS
from reconciler.model.plan import CATALOG, CustomerPlan, Hold, Outcome, Plan
from reconciler.operations import interruption
from reconciler.operations.apply.apply_plan import ApplyOutcome, CustomerApplyResult, apply_plan
from reconciler.operations.apply.expectation import (
    ReviewVerdict,
    compare_with_plan,
    compare_with_plan_id,
    find_unexplained_changes,
)
from reconciler.operations.apply.plan_file import read_plan
from reconciler.operations.failure import UNEXPECTED_CODE
from reconciler.operations.location import Location
from reconciler.operations.plan.request import RosterChoice
from reconciler.operations.workspace import Workspace, open_comparison_workspace, open_workspace
from reconciler.reports import departure as report
from reconciler.reports import unexplained as base_report
from reconciler.reports.plan.people import PeopleVisibility
from reconciler.store.errors import ANSWER_LOST
from reconciler.store.open import Store

# `--expect`: the reviewed plan, by its id or as a saved file, and what is said where a plan made now is another.


#: things of one customer that are named for each way in which two plans differ
MAX_DIFFERENCE_ROWS = 50


def resolve_reviewed_plan(reference: str, store: Store) -> str | Plan:
    """The plan of a saved file (its name has a / or a .), else the id as given. Raises Refusal where the file is none
    of this store, UsageError where there is no such file, or the id is none."""
    if "/" in reference or "." in reference:
        path = Path(reference)
        if not path.is_file():
            raise click.UsageError(f"--expect: there is no plan file {path}")
        return read_plan(path, store)
    if not reference.startswith("sha256:"):
        raise click.UsageError(f"--expect: {reference} is neither a plan id (sha256:…) nor a plan file (PATH/FILE)")
    return reference


def check_against_reviewed(
    plan: Plan, reviewed: str | Plan, store: Store, comparison: BaseComparison | None = None
) -> bool:
    """Whether it does the same or less; says on stderr what differs. comparison: with the base, where it has one."""
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
            click.echo(f"    It does more, or something else. Now it would {_describe_effects(plan)}:", err=True)
            click.echo("\n".join(f"    {line}" for line in differs), err=True)
        elif differs:
            click.echo("the plan does less than the reviewed one:", err=True)
            click.echo("\n".join(differs), err=True)
    return verdict.fits


def _report_executed_runs(verdict: ReviewVerdict) -> None:
    if verdict.runs:
        runs = ", ".join(str(run) for run in verdict.runs)
        click.echo(f"the plan does less than the reviewed one: the rest was carried out since (run {runs})", err=True)


def _report_id_mismatch(plan: Plan, reviewed: str, store: Store, comparison: BaseComparison | None) -> None:
    click.echo(_format_stale_plan_error(plan, reviewed), err=True)
    found = list(islice(find_unexplained_changes(plan, comparison), MAX_DIFFERENCE_ROWS + 1)) if comparison else []
    if found:
        ref = f" {plan.base.ref}" if plan.base else ""
        click.echo(f"    Now it would {_describe_effects(plan)}. Of that, the base{ref} does not explain:", err=True)
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
            click.echo("    … and more; all of it is in the plan above", err=True)
        click.echo(
            "    If it is right, review what is shown above and expect its id. If not, put the store right first:\n"
            "    reconciler plan, and apply, without --base.",
            err=True,
        )
        return
    click.echo(
        f"    Now it would {_describe_effects(plan)}. That is shown above: review it, and expect its id.\n"
        "    From an id alone it cannot be told whether that is less than was reviewed, but for what runs carried out "
        "since.\n"
        "    A reviewed plan that was saved (plan --out FILE) tells, and shows what differs: --expect FILE",
        err=True,
    )


def _format_stale_plan_error(plan: Plan, reviewed: str) -> str:
    return (
        f"error: the plan is {plan.plan_id}, not the one that was reviewed ({reviewed}); nothing was changed "
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
    """By action, of everything that an apply would do and of what it would hold: `delete 4, create 2 (4 held)`."""
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


# Handing over invitations: on a terminal, else in a file that only its owner reads.


def format_invitations(result: CustomerApplyResult) -> list[str]:
    """The lines for a terminal."""
    lines = [f"    {each.username}: {each.link}" for each in result.invitations]
    return ["invitations, shown once; each works for 14 days:", *lines] if lines else []


def write_invitations(result: CustomerApplyResult) -> Path | None:
    """Into a new file of mode 0600 in this folder, None where there is nobody to invite. Raises OSError."""
    if not result.invitations:
        return None
    path, descriptor = _create_unique_file(f"invitations-{result.id}-run-{result.run}")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{each.username}: {each.link}\n" for each in result.invitations)
    return path


def describe_lost_invitations(result: CustomerApplyResult, problem: OSError) -> str:
    """What to say where they could not be written; names nobody, since it may end up in a log."""
    number = len(result.invitations)
    whose = "1 new administrator" if number == 1 else f"{number} new administrators"
    return (
        f"error: {result.id} was applied, but the invitations of {whose} could not be written: "
        f"{problem.strerror or 'input/output error'} [invitations-lost]\n"
        "    They are kept nowhere else. To make new ones: take these people out of `administrators`, apply, put them\n"
        "    back and apply again, from a folder that can be written."
    )


def _create_unique_file(stem: str) -> tuple[Path, int]:
    """The first name that is free: nothing that is there already is written over."""
    number = 1
    while True:
        path = Path(f"{stem}.txt" if number == 1 else f"{stem}-{number}.txt")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1


@click.command()
@click.argument("targets", nargs=-1, metavar="[PLANFILE | HOLD | CUSTOMER...]")
@add_location_options
@add_options(
    PlanInputs,
    "inputs",
    zip_option,
    click.option("--roster", type=click.Choice([RosterChoice.FRESH.value, RosterChoice.NONE.value])),
    click.option(
        "--base", metavar="REF", help="Only customers whose resolved configuration differs from this state of git."
    ),
)
@click.option(
    "--expect",
    metavar="PLAN_ID|PLANFILE",
    help="Apply only if the plan made now does the same as this reviewed one, or less.",
)
@add_apply_options
def apply(
    targets: tuple[str, ...], location: Location, inputs: PlanInputs, expect: str | None, options: ApplyOptions
) -> ExitCode:
    """Show a plan, ask, and carry out exactly that plan.

    A PLANFILE (its name has a / or a .) is applied without fetching its sources again, and so is the plan that a sync
    kept for a HOLD (its id has a colon). Without a terminal, one of these, --expect or --yes is needed. Without
    CUSTOMER, rosters are left out.
    """
    saved = parse_saved_plan(targets)
    if saved is not None and inputs != PlanInputs():
        raise click.UsageError("a saved plan brings its own roster and base: leave out --zip, --roster and --base")
    if saved is None and not (options.yes or expect or sys.stdin.isatty()):
        raise click.UsageError("without a terminal, apply needs a plan file, --expect PLAN_ID or --yes")
    if saved is not None:
        workspace, given = saved.open_workspace_and_plan(location)
        command = saved.build_apply_command(format_location_options(location))
        reviewed = resolve_reviewed_plan(expect, workspace.store) if expect else None
        plan = given
    else:
        request = build_plan_request(targets, _choose_roster(targets, inputs))
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
        answer = confirm_apply()
        if answer is not None:
            return answer
    return execute_plan(workspace, plan, options, command)


def _choose_roster(targets: tuple[str, ...], inputs: PlanInputs) -> PlanInputs:
    """Leave rosters out of an apply of all customers, or of those that differ from a base."""
    if inputs.roster is None and (inputs.base is not None or not targets):
        return replace(inputs, roster=RosterChoice.NONE.value)
    return inputs


def _open_apply_workspace(location: Location, base: str | None) -> Workspace:
    return open_workspace(location) if base is None else open_comparison_workspace(base, location, trusted=True)


def execute_plan(workspace: Workspace, plan: Plan, options: ApplyOptions, command: str) -> ExitCode:
    """Says what became of every customer. command: the words that would apply this plan again."""
    results: list[CustomerApplyResult] = []
    try:
        apply_plan(workspace, plan, options.approve, lock_timeout=options.lock_timeout, on_finished=results.append)
    finally:
        # whatever stops it, a customer that was applied is named, and its invitations are handed over
        handed_over = _print_results(results, plan.customers, command)
    return select_worst_exit_code([_determine_exit_code(results), ExitCode.DONE if handed_over else ExitCode.ERROR])


def confirm_apply() -> ExitCode | None:
    """None for yes, else what to exit with."""
    interruption.allow_keyboard_interrupt()
    try:
        if click.confirm("Apply this?", default=False, err=True):
            return None
        code = ExitCode.DONE
    except click.Abort:
        click.echo(err=True)
        code = ExitCode.INTERRUPTED
    click.echo(NOTHING_CHANGED, err=True)
    return code


def has_changes(plan: Plan) -> bool:
    return any(
        customer.document_changes
        or (customer.roster_applies and any(frame.height for frame in customer.roster.values()))
        for customer in plan.customers
    )


def _has_roster_to_save(plan: Plan) -> bool:
    return any(customer.snapshot or customer.fingerprint_refresh for customer in plan.customers)


def _determine_unchanged_exit_code(plan: Plan) -> ExitCode:
    """Nothing to do; what failed or was refused is said all the same."""
    refused = any(customer.outcome is Outcome.REFUSED for customer in plan.customers)
    return select_worst_exit_code(
        [determine_plan_exit_code(plan, detailed=False), ExitCode.HELD if refused else ExitCode.DONE]
    )


def _print_results(results: Iterable[CustomerApplyResult], plans: Iterable[CustomerPlan], command: str) -> bool:
    """False where an invitation could not be handed over. Those that go into files do so before anything is printed:
    whoever reads the output may stop reading."""
    by_id = {plan.id: plan for plan in plans}
    told = list(results)
    terminal = sys.stdout.isatty()
    files = {} if terminal else {result.id: _try_write_invitations(result) for result in told}
    for result in told:
        for line in _describe_outcome(result, by_id[result.id].hold, command):
            click.echo(line)
        for diagnostic in result.diagnostics:
            click.echo(str(diagnostic), err=True)
        for line in format_invitations(result) if terminal else ():
            click.echo(line)
        kept = files.get(result.id)
        if isinstance(kept, Path):
            click.echo(f"    invitations of its new administrators, kept nowhere else: {kept}")
        elif kept is not None:
            click.echo(describe_lost_invitations(result, kept), err=True)
    return not any(isinstance(kept, OSError) for kept in files.values())


def _describe_outcome(result: CustomerApplyResult, hold: Hold | None, command: str) -> list[str]:
    name = "catalogue" if result.id == CATALOG else result.id
    run = f" (run {result.run})" if result.run is not None else ""
    if result.outcome is ApplyOutcome.APPLIED:
        return [f"{name}: applied{run}"]
    if result.outcome is ApplyOutcome.UNCHANGED:
        return [f"{name}: nothing to change"]
    if result.outcome is ApplyOutcome.HELD and hold is not None:
        rest = f"everything else was applied{run}" if result.run is not None else "no other changes"
        return [f"{name}: HELD {hold.id}; {rest}", f"    To approve:  {command} --approve {hold.id}"]
    if result.outcome is ApplyOutcome.UNFIT:
        return [f"{name}: not applied, as the approval does not fit; nothing of it was changed"]
    if any(diagnostic.code in (UNEXPECTED_CODE, ANSWER_LOST) for diagnostic in result.diagnostics):
        # nobody knows how far it came
        return [f"{name}: {result.outcome}"]
    return [f"{name}: {result.outcome}; nothing of it was changed"]


def _try_write_invitations(result: CustomerApplyResult) -> Path | OSError | None:
    """Where its invitations are, or why they are nowhere."""
    try:
        return write_invitations(result)
    except OSError as problem:
        return problem


def _determine_exit_code(results: Sequence[CustomerApplyResult]) -> ExitCode:
    became = {result.outcome for result in results}
    failures = became & {ApplyOutcome.FAILED, ApplyOutcome.INVALID, ApplyOutcome.STALE}
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
    return select_worst_exit_code([ExitCode.DONE, *(codes[each] for each in became if each in codes)])
