"""`erase`: show the data that a request would permanently delete, ask, and delete it."""

import sys
from collections.abc import Iterator

import click

from reconciler.cli.certificates import build_certificate_report
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import (
    ApplyOptions,
    add_location_options,
    add_lock_timeout_option,
    add_options,
    yes_option,
)
from reconciler.cli.visibility import people_option, resolve_visibility
from reconciler.model.ids import CustomerId, SourcedId
from reconciler.operations import erase as erasing
from reconciler.operations import interruption
from reconciler.operations.erase import Erasure
from reconciler.operations.location import Location
from reconciler.operations.workspace import AbsentStore, Workspace, open_workspace
from reconciler.reports.plan import CustomerView, format_count
from reconciler.reports.removal import OUTSIDE_STORE_NOTICE, ErasureReport, render_certificate_text, render_erasure_text
from reconciler.store.removal import Certificate, wipe_freed_pages


@click.command()
@click.argument("customer")
@click.argument("key", required=False)
@add_location_options
@click.option(
    "--request",
    required=True,
    metavar="REF",
    help="Reference of the request for the certificate: a number, never a name.",
)
@click.option("--lift", is_flag=True, help="Reverse an erase: let a roster add the erased sourcedId KEY again.")
@people_option
@add_options(ApplyOptions, "options", yes_option, add_lock_timeout_option("an apply"))
def erase(
    customer: CustomerId,
    key: str | None,
    location: Location,
    request: str,
    lift: bool,
    people: str | None,
    options: ApplyOptions,
) -> ExitCode:
    """Permanently erase a person of CUSTOMER, or without KEY all data of a CUSTOMER that was removed.

    KEY is a sourcedId, a username or a pseudonym (P-…). Deletes the person's rows, history, last roster rows and
    sessions. Keeps an anonymous record so that no undo or roster can restore the person, and issues a certificate.
    """
    if not request.strip():
        raise click.UsageError("--request must not be empty")
    if lift and key is None:
        raise click.UsageError("--lift requires the sourcedId as KEY")
    if not (options.yes or lift or sys.stdin.isatty()):
        raise click.UsageError("erase cannot ask without a terminal; pass --yes")
    workspace = open_workspace(location, absent=AbsentStore.REFUSE)
    if lift and key is not None:
        click.echo(
            render_certificate_text(
                build_certificate_report(erasing.lift_erasure(workspace, customer, SourcedId(key), request))
            ),
            nl=False,
        )
        return ExitCode.DONE
    found = erasing.find_erasure(workspace, customer, key)
    if isinstance(found, Certificate):
        return _report_earlier_erasure(workspace, found)
    _print_erasure(workspace, found, people, request)
    if not options.yes:
        answer = _confirm_erasure(found)
        if answer is not None:
            return answer
    certificate = erasing.apply_erasure(workspace, found, request, options.lock_timeout)
    click.echo()
    click.echo(render_certificate_text(build_certificate_report(certificate)), nl=False)
    _wipe_store(workspace)
    click.echo(f"\n{OUTSIDE_STORE_NOTICE}")
    return ExitCode.DONE


def _print_erasure(workspace: Workspace, erasure: Erasure, people: str | None, request: str) -> None:
    view = CustomerView(resolve_visibility(people), workspace.store.key.make_pseudonym, erasure.customer)
    wanted = ErasureReport(
        customer=erasure.customer,
        counts=erasure.counts,
        is_whole_customer=erasure.target is None,
        key=erasure.key,
        label=erasure.label or erasure.key,
        facts=tuple(_list_person_facts(erasure)),
        classes=erasure.classes,
    )
    click.echo(render_erasure_text(wanted, view, request), nl=False)


def _list_person_facts(erasure: Erasure) -> Iterator[str]:
    person = erasure.person
    if not person:
        yield "no account; only in the last roster"
        return
    yield "deleted" if person["tombstoned"] else "active"
    yield f"managed by {person['managed_by']}"
    if person["lti_links"]:
        yield format_count(int(person["lti_links"]), "LMS link", "LMS links")
    yield f"last seen {erasure.last_sign_in[:10]}" if erasure.last_sign_in else "never signed in"


def _confirm_erasure(erasure: Erasure) -> ExitCode | None:
    """Ask for confirmation; for a whole customer, its ID must be typed. Returns None for yes, or else the exit code."""
    interruption.allow_keyboard_interrupt()
    code = ExitCode.DONE
    try:
        if erasure.target is None:
            if click.prompt(f"Type {erasure.customer} to erase all its data", default="", err=True) == erasure.customer:
                return None
        elif click.confirm("Erase this person?", default=False, err=True):
            return None
    except click.Abort:
        click.echo(err=True)
        code = ExitCode.INTERRUPTED
    click.echo("Nothing was erased.", err=True)
    return code


def _report_earlier_erasure(workspace: Workspace, certificate: Certificate) -> ExitCode:
    click.echo("This person is already erased; only an anonymous record is left.\n")
    click.echo(render_certificate_text(build_certificate_report(certificate)), nl=False)
    _wipe_store(workspace)
    return ExitCode.DONE


def _wipe_store(workspace: Workspace) -> None:
    for diagnostic in wipe_freed_pages(workspace.store):
        click.echo(str(diagnostic), err=True)
