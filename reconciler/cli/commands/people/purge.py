"""`purge`: show the data that is past its retention period, and with `--yes` delete it permanently."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import click

from reconciler.cli.certificates import build_certificate_report
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_location_options, add_lock_timeout_option
from reconciler.operations.location import Location
from reconciler.operations.purge import (
    PurgeCandidate,
    PurgeResult,
    purge_candidate,
    refuse_wrong_clock,
    survey_purge,
)
from reconciler.operations.workspace import AbsentStore, open_workspace
from reconciler.reports.plan import format_count
from reconciler.reports.removal import OUTSIDE_STORE_NOTICE, RetentionReport, render_certificate_text, render_purge_text
from reconciler.store.removal import wipe_freed_pages

DAY = timedelta(days=1)


@click.command()
@add_location_options
@click.option("--yes", is_flag=True, help="Delete the data. Without --yes, purge only shows it.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Today's date (UTC), if the clock is correct but far ahead of the newest record in the store.",
)
@add_lock_timeout_option("an apply")
def purge(location: Location, yes: bool, today: object, lock_timeout: float) -> ExitCode:
    """Show the data that is past its customer's retention period; with --yes, delete it permanently.

    Purge never removes active data, or classes and enrollments whose term ended. It issues a certificate for every
    customer that it purges.
    """
    workspace = open_workspace(location, absent=AbsentStore.REFUSE)
    refuse_wrong_clock(workspace, f"{today:%Y-%m-%d}" if today is not None else None)
    survey = survey_purge(workspace)
    found = survey.candidates
    click.echo(render_purge_text(_build_retention_report(each) for each in found), nl=False)
    for failure in survey.failures:
        _print_result(failure)
    going = [each for each in found if each.purgeable.counts]
    if not going:
        return ExitCode.ERROR if survey.failures else ExitCode.DONE
    if not yes:
        click.echo("\nNothing was deleted. To delete this data:  reconciler purge --yes")
        return ExitCode.ERROR if survey.failures else ExitCode.DONE
    click.echo()
    results = [*survey.failures]
    results += [
        purge_candidate(workspace, each, lock_timeout=lock_timeout, on_finished=_print_result) for each in going
    ]
    if any(result.certificate for result in results):
        for diagnostic in wipe_freed_pages(workspace.store):
            click.echo(str(diagnostic), err=True)
        click.echo(f"\n{OUTSIDE_STORE_NOTICE}")
    return _determine_exit_code(results)


def _print_result(result: PurgeResult) -> None:
    for diagnostic in result.diagnostics:
        click.echo(str(diagnostic), err=True)
    if result.certificate is not None:
        click.echo(render_certificate_text(build_certificate_report(result.certificate)), nl=False)
    elif not result.diagnostics:
        click.echo(f"{result.id}: nothing left to delete")


def _determine_exit_code(results: Sequence[PurgeResult]) -> ExitCode:
    failed = [result for result in results if result.diagnostics]
    if not failed:
        return ExitCode.DONE
    return ExitCode.PARTLY if len(failed) < len(results) else ExitCode.ERROR


def _build_retention_report(each: PurgeCandidate) -> RetentionReport:
    found = each.purgeable
    return RetentionReport(
        customer=each.id,
        days=each.retention / DAY,
        cutoff=each.cutoff,
        counts=found.counts,
        spans={table: (span.rows, span.oldest, span.newest) for table, span in found.spans.items()},
        retention_notes=tuple(_list_retention_notes(each)),
        customer_removed_at=found.customer_removed_at,
        people=found.people,
    )


def _list_retention_notes(each: PurgeCandidate) -> Iterator[str]:
    kept = each.purgeable.retention
    things = ("lesson", "lessons") if each.id.startswith("@") else ("person", "people")
    if kept.within_retention:
        yield (
            f"{format_count(kept.within_retention, *things)} deleted within the retention period, the first "
            f"on {(kept.next_at or '')[:10]}"
        )
    if kept.named_people:
        yield (
            f"{format_count(kept.named_people, *things)} still in the last roster, of which some rows are held or "
            "quarantined"
        )
    if kept.concluded_rows:
        yield (
            f"{format_count(kept.concluded_rows, 'class or enrollment', 'classes and enrollments')} whose term ended"
        )
    if kept.referenced_rows:
        yield (
            f"{format_count(kept.referenced_rows, 'class or org', 'classes and orgs')} that remaining data refers to"
        )
