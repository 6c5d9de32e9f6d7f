"""`sync`: fetches rosters, plans, and applies within limits, by the configuration last applied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import click

from reconciler.cli.commands.changes.plan import place_in_words
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import new_workspace_options
from reconciler.cli.progress import progress_bars
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.plan import Hold
from reconciler.model.sync import SyncOutcome
from reconciler.operations.notify.notify import deliver, enter
from reconciler.operations.sync.applied_config import open_applied_workspace
from reconciler.operations.sync.customer import Came, Tally
from reconciler.operations.sync.run import SyncedCustomer, SyncRequest
from reconciler.operations.sync.run import sync as synced
from reconciler.reports.syncs import Moved, Synced, syncs_json, syncs_text

NOTHING_DUE = "Nothing is due."
NOBODY = "No customer is fetched by itself: frequency: auto says which are."


@click.command()
@click.argument("customers", nargs=-1, metavar="[CUSTOMER]...")
@new_workspace_options
@click.option("--due", is_flag=True, help="Only those whose period has passed.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Seconds to wait while another apply of the same customer runs.  [default: 0]",
)
def sync(
    customers: tuple[str, ...],
    directory: Path,
    environment: str | None,
    store: str | None,
    due: bool,
    form: str,
    lock_timeout: float,
) -> ExitCode:
    """Fetch rosters, plan, and apply within limits, by the configuration last applied.

    Without CUSTOMER: all that are fetched by themselves (frequency: auto). What a limit or gate holds is kept as a
    plan, which `holds` names. Files of customers are neither read nor applied.
    """
    workspace = open_applied_workspace(directory, environment, store)
    place = place_in_words(directory, environment, store)
    results: list[SyncedCustomer] = []
    undelivered: tuple[Diagnostic, ...] = ()
    whole = False
    try:
        with progress_bars() as heard:
            request = SyncRequest(customers, due, heard, lock_timeout)
            synced(workspace, request, finished=results.append, told=partial(enter, workspace))
        whole = True
        undelivered = deliver(workspace)
    finally:
        # Whatever stops it, what became of those that were synced is said.
        if whole or results:
            _tell(sorted(results, key=lambda result: result.id), form, place)
        if whole and not results and form == "text":
            click.echo(NOTHING_DUE if due else NOBODY, err=True)
    for diagnostic in undelivered:
        click.echo(str(diagnostic), err=True)
    return _code(results, due=due)


def _tell(results: Iterable[SyncedCustomer], form: str, place: Sequence[str]) -> None:
    told = [_synced(result, place) for result in results]
    if form == "json":
        click.echo(syncs_json(told), nl=False)
    for each in told:
        if form == "text":
            click.echo(syncs_text(each), nl=False)
        for diagnostic in each.diagnostics:
            click.echo(str(diagnostic), err=True)


def _synced(result: SyncedCustomer, place: Sequence[str]) -> Synced:
    came = result.came
    if came is None:
        return Synced(result.id, None, diagnostics=result.diagnostics)
    show, approve = _words(result.id, came, came.hold, place) if came.hold else ("", "")
    return Synced(
        id=result.id,
        outcome=came.outcome,
        early=came.early,
        runs=came.runs,
        people=_moved(came.people),
        rows=_moved(came.rows),
        hold=came.hold,
        show=show,
        approve=approve,
        since=result.since,
        stale_since=result.stale_since,
        next_at=result.next_at,
        sentences=result.sentences,
        warnings=came.warnings,
        until=came.until,
        diagnostics=result.diagnostics,
    )


def _words(customer: str, came: Came, hold: Hold, place: Sequence[str]) -> tuple[str, str]:
    """What shows and what approves a hold."""
    if not came.kept:
        return "", " ".join(["reconciler", "apply", customer, *place, "--approve", hold.id])
    show = ["reconciler", "show", hold.id, *place]
    return " ".join(show), " ".join(["reconciler", "apply", hold.id, *place, "--approve", hold.id])


def _moved(tally: Tally) -> Moved:
    return Moved(tally.removed, tally.added, tally.changed)


def _code(results: Sequence[SyncedCustomer], *, due: bool) -> ExitCode:
    outcomes = {result.came.outcome for result in results if result.came}
    # What runs by itself comes again soon; whoever asked for it by name did not get it.
    if SyncOutcome.FAILED in outcomes or (SyncOutcome.POSTPONED in outcomes and not due):
        written = any(result.came.runs for result in results if result.came)
        return ExitCode.PARTLY if written else ExitCode.ERROR
    held = bool(outcomes & {SyncOutcome.HELD, SyncOutcome.REFUSED}) or any(result.waits for result in results)
    return ExitCode.HELD if held else ExitCode.DONE
