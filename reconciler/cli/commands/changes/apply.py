"""`apply`: shows a plan, asks, carries out exactly that plan."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import click

from reconciler.cli.commands.changes.plan import NOTHING_CHANGED, apply_command, place_in_words, plan_code, plan_request
from reconciler.cli.exit_code import ExitCode, worst
from reconciler.cli.options import workspace_options
from reconciler.cli.output import show_plan
from reconciler.cli.progress import progress_bars
from reconciler.cli.saved_plan import saved_plan
from reconciler.config.comparison import Comparison
from reconciler.model.change import Action
from reconciler.model.kind import DECLARED_KINDS
from reconciler.model.plan import CATALOGUE, CustomerPlan, Hold, Outcome, Plan
from reconciler.operations import interruption
from reconciler.operations.apply.apply_plan import Applied, AppliedCustomer, apply_plan
from reconciler.operations.apply.expectation import Verdict, held_to_id, held_to_plan, surprises
from reconciler.operations.apply.plan_file import read_plan
from reconciler.operations.failure import UNEXPECTED
from reconciler.operations.plan.make_plan import PlanRequest, RosterChoice, make_plan
from reconciler.operations.workspace import Workspace, open_workspace, open_workspace_beside
from reconciler.reports import departure as report
from reconciler.reports import unexplained as base_report
from reconciler.reports.plan.people import People
from reconciler.store.errors import ANSWER_LOST
from reconciler.store.open import Store

# `--expect`: the reviewed plan, by its id or as a saved file, and what is said where a plan made now is another.


#: things of one customer that are named for each way in which two plans differ
ROWS = 50


def reviewed_plan(given: str, store: Store) -> str | Plan:
    """The plan of a saved file (its name has a / or a .), else the id as given. Raises Refusal where the file is none
    of this store, UsageError where there is no such file, or the id is none."""
    if "/" in given or "." in given:
        path = Path(given)
        if not path.is_file():
            raise click.UsageError(f"--expect: there is no plan file {path}")
        return read_plan(path, store)
    if not given.startswith("sha256:"):
        raise click.UsageError(f"--expect: {given} is neither a plan id (sha256:…) nor a plan file (PATH/FILE)")
    return given


def is_expected(plan: Plan, reviewed: str | Plan, store: Store, comparison: Comparison | None = None) -> bool:
    """Whether it does the same or less; says on stderr what differs. comparison: with the base, where it has one."""
    if isinstance(reviewed, str):
        verdict = held_to_id(store, plan, reviewed)
        if verdict.fits:
            _tell_of_runs(verdict)
        else:
            _tell_of_id(plan, reviewed, store, comparison)
        return verdict.fits
    verdict = held_to_plan(plan, reviewed)
    if verdict.departure is not None:
        differs = _differences(verdict, store)
        if not verdict.fits:
            click.echo(_error(plan, reviewed.plan_id), err=True)
            click.echo(f"    It does more, or something else. Now it would {_effects(plan)}:", err=True)
            click.echo("\n".join(f"    {line}" for line in differs), err=True)
        elif differs:
            click.echo("the plan does less than the reviewed one:", err=True)
            click.echo("\n".join(differs), err=True)
    return verdict.fits


def _tell_of_runs(verdict: Verdict) -> None:
    if verdict.runs:
        runs = ", ".join(str(run) for run in verdict.runs)
        click.echo(f"the plan does less than the reviewed one: the rest was carried out since (run {runs})", err=True)


def _tell_of_id(plan: Plan, reviewed: str, store: Store, comparison: Comparison | None) -> None:
    click.echo(_error(plan, reviewed), err=True)
    found = list(islice(surprises(plan, comparison), ROWS + 1)) if comparison else []
    if found:
        ref = f" {plan.base.ref}" if plan.base else ""
        click.echo(f"    Now it would {_effects(plan)}. Of that, the base{ref} does not explain:", err=True)
        click.echo("\n".join(f"    {line}" for line in base_report.render(found[:ROWS], store.key.pseudonym)), err=True)
        if len(found) > ROWS:
            click.echo("    … and more; all of it is in the plan above", err=True)
        click.echo(
            "    If it is right, review what is shown above and expect its id. If not, put the store right first:\n"
            "    reconciler plan, and apply, without --base.",
            err=True,
        )
        return
    click.echo(
        f"    Now it would {_effects(plan)}. That is shown above: review it, and expect its id.\n"
        "    From an id alone it cannot be told whether that is less than was reviewed, but for what runs carried out "
        "since.\n"
        "    A reviewed plan that was saved (plan --out FILE) tells, and shows what differs: --expect FILE",
        err=True,
    )


def _error(plan: Plan, reviewed: str) -> str:
    return (
        f"error: the plan is {plan.plan_id}, not the one that was reviewed ({reviewed}); nothing was changed "
        "[stale-plan]"
    )


def _differences(verdict: Verdict, store: Store) -> list[str]:
    found = verdict.departure
    if found is None:
        return []
    people = People.FULL if sys.stderr.isatty() else People.MASKED

    return report.render(found.more, found.released, found.fewer, people, store.key.pseudonym, ROWS)


def _effects(plan: Plan) -> str:
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


def shown(result: AppliedCustomer) -> list[str]:
    """The lines for a terminal."""
    lines = [f"    {each.username}: {each.link}" for each in result.invitations]
    return ["invitations, shown once; each works for 14 days:", *lines] if lines else []


def write_invitations(result: AppliedCustomer) -> Path | None:
    """Into a new file of mode 0600 in this folder, None where there is nobody to invite. Raises OSError."""
    if not result.invitations:
        return None
    path, descriptor = _new_file(f"invitations-{result.id}-run-{result.run}")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(f"{each.username}: {each.link}\n" for each in result.invitations)
    return path


def lost(result: AppliedCustomer, problem: OSError) -> str:
    """What to say where they could not be written; names nobody, since it may end up in a log."""
    number = len(result.invitations)
    whose = "1 new administrator" if number == 1 else f"{number} new administrators"
    return (
        f"error: {result.id} was applied, but the invitations of {whose} could not be written: "
        f"{problem.strerror or 'input/output error'} [invitations-lost]\n"
        "    They are kept nowhere else. To make new ones: take these people out of `administrators`, apply, put them\n"
        "    back and apply again, from a folder that can be written."
    )


def _new_file(stem: str) -> tuple[Path, int]:
    """The first name that is free: nothing that is there already is written over."""
    number = 1
    while True:
        path = Path(f"{stem}.txt" if number == 1 else f"{stem}-{number}.txt")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1


@click.command()
@click.argument("what", nargs=-1, metavar="[PLANFILE | HOLD | CUSTOMER...]")
@workspace_options
@click.option(
    "--zip",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The OneRoster bundle of the one customer named.",
)
@click.option("--roster", type=click.Choice([RosterChoice.FRESH.value, RosterChoice.NONE.value]))
@click.option(
    "--base", metavar="REF", help="Only customers whose resolved configuration differs from this state of git."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--expect",
    metavar="PLAN_ID|PLANFILE",
    help="Apply only if the plan made now does the same as this reviewed one, or less.",
)
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
    base: str | None,
    yes: bool,
    expect: str | None,
    approve: tuple[str, ...],
    lock_timeout: float,
) -> ExitCode:
    """Show a plan, ask, and carry out exactly that plan.

    A PLANFILE (its name has a / or a .) is applied without fetching its sources again, and so is the plan that a sync
    kept for a HOLD (its id has a colon). Without a terminal, one of these, --expect or --yes is needed. Without
    CUSTOMER, rosters are left out.
    """
    saved = saved_plan(what)
    if saved is not None and (bundle is not None or roster is not None or base is not None):
        raise click.UsageError("a saved plan brings its own roster and base: leave out --zip, --roster and --base")
    if saved is None and not (yes or expect or sys.stdin.isatty()):
        raise click.UsageError("without a terminal, apply needs a plan file, --expect PLAN_ID or --yes")
    given: Plan | None = None
    request = PlanRequest()
    if saved is not None:
        workspace, given = saved.opened(directory, environment, store)
        command = saved.command(place_in_words(directory, environment, store))
    else:
        none = base is not None or not what
        request = plan_request(what, bundle, roster or (RosterChoice.NONE.value if none else None), base)
        workspace = _workspace(directory, environment, store, base)
        command = apply_command(what, bundle, request.roster, directory, environment, store, base)
    reviewed = reviewed_plan(expect, workspace.store) if expect else None
    plan = given or _planned(workspace, request)
    show_plan(
        plan,
        form="text",
        rows=None,
        people=None,
        key=lambda: workspace.store.key,
        command=command,
        approved=approve,
    )
    if (
        reviewed is not None
        and does_something(plan)
        and not is_expected(plan, reviewed, workspace.store, workspace.comparison)
    ):
        return ExitCode.STALE
    if not does_something(plan) and not _keeps_a_roster(plan):
        if not approve:
            return _quiet_code(plan)
    elif does_something(plan) and not (yes or expect) and sys.stdin.isatty():
        answer = asked()
        if answer is not None:
            return answer
    return carry_out(workspace, plan, approve, lock_timeout, command)


def _workspace(directory: Path, environment: str | None, store: str | None, base: str | None) -> Workspace:
    if base is None:
        return open_workspace(directory, environment, store)
    return open_workspace_beside(base, directory, environment, store, trusted=True)


def _planned(workspace: Workspace, request: PlanRequest) -> Plan:
    with progress_bars() as heard:
        return make_plan(workspace, replace(request, heard=heard))


def carry_out(workspace: Workspace, plan: Plan, approve: Iterable[str], lock_timeout: float, command: str) -> ExitCode:
    """Says what became of every customer. command: the words that would apply this plan again."""
    results: list[AppliedCustomer] = []
    try:
        apply_plan(workspace, plan, approve, lock_timeout=lock_timeout, finished=results.append)
    finally:
        # whatever stops it, a customer that was applied is named, and its invitations are handed over
        handed_over = _tell(results, plan.customers, command)
    return worst([_code(results), ExitCode.DONE if handed_over else ExitCode.ERROR])


def asked() -> ExitCode | None:
    """None for yes, else what to exit with."""
    interruption.let_through()
    try:
        if click.confirm("Apply this?", default=False, err=True):
            return None
        code = ExitCode.DONE
    except click.Abort:
        click.echo(err=True)
        code = ExitCode.INTERRUPTED
    click.echo(NOTHING_CHANGED, err=True)
    return code


def does_something(plan: Plan) -> bool:
    return any(
        customer.declared or (customer.roster_applies and any(frame.height for frame in customer.roster.values()))
        for customer in plan.customers
    )


def _keeps_a_roster(plan: Plan) -> bool:
    return any(customer.snapshot or customer.refresh for customer in plan.customers)


def _quiet_code(plan: Plan) -> ExitCode:
    """Nothing to do; what failed or was refused is said all the same."""
    refused = any(customer.outcome is Outcome.REFUSED for customer in plan.customers)
    return worst([plan_code(plan, detailed=False), ExitCode.HELD if refused else ExitCode.DONE])


def _tell(results: Iterable[AppliedCustomer], plans: Iterable[CustomerPlan], command: str) -> bool:
    """False where an invitation could not be handed over. Those that go into files do so before anything is printed:
    whoever reads the output may stop reading."""
    by_id = {plan.id: plan for plan in plans}
    told = list(results)
    terminal = sys.stdout.isatty()
    files = {} if terminal else {result.id: _kept(result) for result in told}
    for result in told:
        for line in _outcome(result, by_id[result.id].hold, command):
            click.echo(line)
        for diagnostic in result.diagnostics:
            click.echo(str(diagnostic), err=True)
        for line in shown(result) if terminal else ():
            click.echo(line)
        kept = files.get(result.id)
        if isinstance(kept, Path):
            click.echo(f"    invitations of its new administrators, kept nowhere else: {kept}")
        elif kept is not None:
            click.echo(lost(result, kept), err=True)
    return not any(isinstance(kept, OSError) for kept in files.values())


def _outcome(result: AppliedCustomer, hold: Hold | None, command: str) -> list[str]:
    name = "catalogue" if result.id == CATALOGUE else result.id
    run = f" (run {result.run})" if result.run is not None else ""
    if result.became is Applied.APPLIED:
        return [f"{name}: applied{run}"]
    if result.became is Applied.UNCHANGED:
        return [f"{name}: nothing to change"]
    if result.became is Applied.HELD and hold is not None:
        rest = f"everything else was applied{run}" if result.run is not None else "there was nothing else to apply"
        return [f"{name}: HELD {hold.id}; {rest}", f"    If that is right:  {command} --approve {hold.id}"]
    if result.became is Applied.UNFIT:
        return [f"{name}: not applied, as the approval does not fit; nothing of it was changed"]
    if any(diagnostic.code in (UNEXPECTED, ANSWER_LOST) for diagnostic in result.diagnostics):
        # nobody knows how far it came
        return [f"{name}: {result.became}"]
    return [f"{name}: {result.became}; nothing of it was changed"]


def _kept(result: AppliedCustomer) -> Path | OSError | None:
    """Where its invitations are, or why they are nowhere."""
    try:
        return write_invitations(result)
    except OSError as problem:
        return problem


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
