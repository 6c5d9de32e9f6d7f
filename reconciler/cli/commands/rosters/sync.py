"""`sync`: fetch rosters and apply changes within limits, using the last applied settings."""

from collections.abc import Iterable, Sequence
from functools import partial

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_lock_timeout_option, add_new_location_options, format_location_options
from reconciler.cli.progress import show_progress_bars
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import CustomerId
from reconciler.model.plan import Hold
from reconciler.model.sync import SyncOutcome
from reconciler.operations.location import Location
from reconciler.operations.notify import deliver_due_messages, enqueue_events
from reconciler.operations.sync import (
    ChangeTally,
    CustomerSyncResult,
    SyncRequest,
    SyncResult,
    open_applied_workspace,
    sync_customers,
)
from reconciler.reports.syncs import ChangeTotals, SyncReport, render_sync_text, render_syncs_json

NOTHING_DUE = "No customer is due."
NOTHING_AUTOMATIC = "No customer syncs automatically. Set frequency: auto under rostering.sync, then apply."


@click.command()
@click.argument("customers", nargs=-1, metavar="[CUSTOMER]...")
@add_new_location_options
@click.option("--due", is_flag=True, help="Only customers whose next sync is due.")
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@add_lock_timeout_option()
def sync(
    customers: tuple[CustomerId, ...],
    location: Location,
    due: bool,
    output_format: str,
    lock_timeout: float,
) -> ExitCode:
    """Fetch rosters and apply changes within limits, using the last applied settings.

    Without CUSTOMER, syncs every customer with frequency: auto. Held changes are saved as a plan; list them with
    `reconciler holds`. Does not read the customer files.
    """
    workspace = open_applied_workspace(location)
    place = format_location_options(location)
    results: list[CustomerSyncResult] = []
    undelivered: tuple[Diagnostic, ...] = ()
    finished = False
    try:
        with show_progress_bars() as progress_factory:
            request = SyncRequest(customers, due, progress_factory, lock_timeout)
            sync_customers(workspace, request, on_finished=results.append, on_events=partial(enqueue_events, workspace))
        finished = True
        undelivered = deliver_due_messages(workspace)
    finally:
        # Even if an exception stops the sync, print the outcome of the customers that were synced.
        if finished or results:
            _print_results(sorted(results, key=lambda result: result.id), output_format, place)
        if finished and not results and output_format == "text":
            click.echo(NOTHING_DUE if due else NOTHING_AUTOMATIC, err=True)
    for diagnostic in undelivered:
        click.echo(str(diagnostic), err=True)
    return _determine_exit_code(results, due=due)


def _print_results(results: Iterable[CustomerSyncResult], output_format: str, place: Sequence[str]) -> None:
    reports = [_build_sync_report(result, place) for result in results]
    if output_format == "json":
        click.echo(render_syncs_json(reports), nl=False)
    for each in reports:
        if output_format == "text":
            click.echo(render_sync_text(each), nl=False)
        for diagnostic in each.diagnostics:
            click.echo(str(diagnostic), err=True)


def _build_sync_report(result: CustomerSyncResult, place: Sequence[str]) -> SyncReport:
    sync_result = result.result
    if sync_result is None:
        return SyncReport(result.id, None, diagnostics=result.diagnostics)
    show, approve = (
        _build_hold_commands(result.id, sync_result, sync_result.hold, place) if sync_result.hold else ("", "")
    )
    return SyncReport(
        id=result.id,
        outcome=sync_result.outcome,
        early=sync_result.ended_early,
        runs=sync_result.runs,
        people=_build_change_counts(sync_result.people),
        rows=_build_change_counts(sync_result.rows),
        hold=sync_result.hold,
        show_command=show,
        approve_command=approve,
        since=result.since,
        stale_since=result.stale_since,
        next_at=result.next_at,
        sentences=result.sentences,
        warnings=sync_result.warnings,
        quarantined=sync_result.quarantined,
        until=sync_result.frozen_until,
        diagnostics=result.diagnostics,
    )


def _build_hold_commands(customer: CustomerId, result: SyncResult, hold: Hold, place: Sequence[str]) -> tuple[str, str]:
    """Return the commands that show and approve a hold; the first is empty if no plan was saved."""
    if not result.is_plan_saved:
        return "", " ".join(["reconciler", "apply", customer, *place, "--approve", hold.id])
    show = ["reconciler", "show", hold.id, *place]
    return " ".join(show), " ".join(["reconciler", "apply", hold.id, *place, "--approve", hold.id])


def _build_change_counts(tally: ChangeTally) -> ChangeTotals:
    return ChangeTotals(tally.removed, tally.added, tally.changed)


def _determine_exit_code(results: Sequence[CustomerSyncResult], *, due: bool) -> ExitCode:
    outcomes = {result.result.outcome for result in results if result.result}
    # The next scheduled run syncs a postponed customer; a sync without --due has not done what it was asked to do.
    if SyncOutcome.FAILED in outcomes or (SyncOutcome.POSTPONED in outcomes and not due):
        written = any(result.result.runs for result in results if result.result)
        return ExitCode.PARTLY if written else ExitCode.ERROR
    held = bool(outcomes & {SyncOutcome.HELD, SyncOutcome.REFUSED}) or any(result.waiting_hold for result in results)
    return ExitCode.HELD if held else ExitCode.DONE
