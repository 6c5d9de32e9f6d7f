"""`purge`: shows what is past its retention, and with `--yes` removes it for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import click

from reconciler.cli.certificates import issued
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.operations.purge import Due, Purged, due, refuse_wrong_clock
from reconciler.operations.purge import purge as purged
from reconciler.operations.workspace import open_workspace
from reconciler.reports.plan.wording import counted
from reconciler.reports.removal import ELSEWHERE, Past, certificate_text, purge_text
from reconciler.store.removal.volatile import wipe

DAY = timedelta(days=1)


@click.command()
@workspace_options
@click.option("--yes", is_flag=True, help="Remove it. Without it, purge only shows.")
@click.option(
    "--today",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DAY",
    help="Say which day it is (UTC), where the clock is far ahead of everything in the store.",
)
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Seconds to wait while an apply of the same customer runs.  [default: 0]",
)
def purge(
    directory: Path, environment: str | None, store: str | None, yes: bool, today: object, lock_timeout: float
) -> ExitCode:
    """Show what was deleted longer ago than its customer's retention; with --yes, remove it for good.

    What lives is never touched, nor what ended with its term. Every customer purged leaves a certificate.
    """
    workspace = open_workspace(directory, environment, store, make_store=False)
    refuse_wrong_clock(workspace, f"{today:%Y-%m-%d}" if today is not None else None)
    found = due(workspace)
    click.echo(purge_text(_past(each) for each in found), nl=False)
    going = [each for each in found if each.found.counts]
    if not going:
        return ExitCode.DONE
    if not yes:
        click.echo("\nNothing was removed. To remove it:  reconciler purge --yes")
        return ExitCode.DONE
    click.echo()
    results = [purged(workspace, each, lock_timeout=lock_timeout, finished=_tell) for each in going]
    if any(result.certificate for result in results):
        for diagnostic in wipe(workspace.store):
            click.echo(str(diagnostic), err=True)
        click.echo(f"\n{ELSEWHERE}")
    return _code(results)


def _tell(result: Purged) -> None:
    for diagnostic in result.diagnostics:
        click.echo(str(diagnostic), err=True)
    if result.certificate is not None:
        click.echo(certificate_text(issued(result.certificate)), nl=False)
    elif not result.diagnostics:
        click.echo(f"{result.id}: nothing is left to remove")


def _code(results: Sequence[Purged]) -> ExitCode:
    failed = [result for result in results if result.diagnostics]
    if not failed:
        return ExitCode.DONE
    return ExitCode.PARTLY if len(failed) < len(results) else ExitCode.ERROR


def _past(each: Due) -> Past:
    found = each.found
    return Past(
        customer=each.id,
        days=each.retention / DAY,
        cut=each.cut,
        counts=found.counts,
        spans={table: (span.rows, span.oldest, span.newest) for table, span in found.spans.items()},
        kept=tuple(_kept(each)),
        whole=found.whole,
        people=found.people,
    )


def _kept(each: Due) -> Iterator[str]:
    kept = each.found.kept
    things = ("lesson", "lessons") if each.id.startswith("@") else ("person", "people")
    if kept.within:
        yield (
            f"{counted(kept.within, *things)} deleted within the retention, the first on {(kept.next_at or '')[:10]}"
        )
    if kept.named:
        yield (
            f"{counted(kept.named, *things)} whom the last roster still names, while some of it is held or set aside"
        )
    if kept.concluded:
        yield f"{counted(kept.concluded, 'class or enrollment', 'classes and enrollments')} that ended with their term"
    if kept.used:
        yield f"{counted(kept.used, 'class or org', 'classes and orgs')} that something refers to which stays"
