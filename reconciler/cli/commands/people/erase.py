"""`erase`: shows what a request would remove for good, asks, removes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from reconciler.cli.certificates import issued
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.operations import erase as erasing
from reconciler.operations import interruption
from reconciler.operations.erase import Erasure
from reconciler.operations.workspace import Workspace, open_workspace
from reconciler.reports.plan.people import People, View
from reconciler.reports.plan.wording import counted
from reconciler.reports.removal import ELSEWHERE, Wanted, certificate_text, erasure_text
from reconciler.store.removal.certificates import Certificate
from reconciler.store.removal.volatile import wipe


@click.command()
@click.argument("customer")
@click.argument("key", required=False)
@workspace_options
@click.option(
    "--request",
    required=True,
    metavar="REF",
    help="The request's reference, for the certificate: a number, never a name.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--lift", is_flag=True, help="The opposite: let somebody erased, whose sourcedId is KEY, come back by a roster."
)
@click.option(
    "--people",
    type=click.Choice([each.value for each in People]),
    help="Who may be seen. Default: full on a terminal, masked elsewhere.",
)
@click.option(
    "--lock-timeout",
    type=click.FloatRange(min=0),
    default=0.0,
    help="Seconds to wait while an apply of the same customer runs.  [default: 0]",
)
def erase(
    customer: str,
    key: str | None,
    directory: Path,
    environment: str | None,
    store: str | None,
    request: str,
    yes: bool,
    lift: bool,
    people: str | None,
    lock_timeout: float,
) -> ExitCode:
    """Remove a person of CUSTOMER for good, or without KEY all of a CUSTOMER that was removed before.

    KEY is a sourcedId, a username or a pseudonym (P-…). Rows, journal, last roster, sessions: nothing is left but a
    trace that names nobody, so that no undo and no roster brings the person back. Leaves a certificate.
    """
    if not request.strip():
        raise click.UsageError("--request must name the request")
    if lift and key is None:
        raise click.UsageError("--lift needs the sourcedId as KEY")
    if not (yes or lift or sys.stdin.isatty()):
        raise click.UsageError("without a terminal, erase needs --yes")
    workspace = open_workspace(directory, environment, store, make_store=False)
    if lift and key is not None:
        click.echo(certificate_text(issued(erasing.lift(workspace, customer, key, request))), nl=False)
        return ExitCode.DONE
    found = erasing.find(workspace, customer, key)
    if isinstance(found, Certificate):
        return _erased_before(workspace, found)
    _show(workspace, found, people, request)
    if not yes:
        answer = _asked(found)
        if answer is not None:
            return answer
    certificate = erasing.erase(workspace, found, request, lock_timeout)
    click.echo()
    click.echo(certificate_text(issued(certificate)), nl=False)
    _wipe(workspace)
    click.echo(f"\n{ELSEWHERE}")
    return ExitCode.DONE


def _show(workspace: Workspace, found: Erasure, people: str | None, request: str) -> None:
    chosen = People(people) if people else People.FULL if sys.stdout.isatty() else People.MASKED
    view = View(chosen, workspace.store.key.pseudonym, found.customer)
    wanted = Wanted(
        customer=found.customer,
        counts=found.counts,
        whole=found.who is None,
        key=found.key,
        label=found.label or found.key,
        facts=tuple(_facts(found)),
        classes=found.classes,
    )
    click.echo(erasure_text(wanted, view, request), nl=False)


def _facts(found: Erasure) -> Iterator[str]:
    person = found.person
    if not person:
        yield "no account; the last roster names this person"
        return
    yield "deleted" if person["tombstoned"] else "live"
    yield f"managed by {person['managed_by']}"
    if person["lti_links"]:
        yield counted(int(person["lti_links"]), "LMS link", "LMS links")
    yield f"last seen {found.last_sign_in[:10]}" if found.last_sign_in else "never signed in"


def _asked(found: Erasure) -> ExitCode | None:
    """None for yes, else what to exit with. For all of a customer its id has to be typed."""
    interruption.let_through()
    code = ExitCode.DONE
    try:
        if found.who is None:
            if click.prompt(f"Type {found.customer} to erase all of it", default="", err=True) == found.customer:
                return None
        elif click.confirm("Erase this person?", default=False, err=True):
            return None
    except click.Abort:
        click.echo(err=True)
        code = ExitCode.INTERRUPTED
    click.echo("Nothing was erased.", err=True)
    return code


def _erased_before(workspace: Workspace, certificate: Certificate) -> ExitCode:
    click.echo("This person was erased before; nothing of them is left but the trace.\n")
    click.echo(certificate_text(issued(certificate)), nl=False)
    _wipe(workspace)
    return ExitCode.DONE


def _wipe(workspace: Workspace) -> None:
    for diagnostic in wipe(workspace.store):
        click.echo(str(diagnostic), err=True)
