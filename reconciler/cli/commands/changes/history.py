"""`history`: list the runs of the store, newest first, and verify that none was changed."""

from collections.abc import Iterable

import click

from reconciler.cli.certificates import build_certificate_report
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_location_options
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.model.ids import CustomerId, RunId
from reconciler.model.plan import CATALOG
from reconciler.operations.location import Location
from reconciler.operations.workspace import AbsentStore, open_workspace
from reconciler.reports.history import LawfulRemoval, Run, Verification, render_history_json, render_history_text
from reconciler.reports.removal import render_certificates_text
from reconciler.store.read import Reader, RunRecord, verify_chain, verify_images
from reconciler.store.removal import find_broken_certificate, list_certificates, list_certified_customers

TAMPERING_HINT = "Compare with a backup of the store. Anyone who can write to the database can change its contents."


@click.command("history")
@click.argument("customer", required=False)
@add_location_options
@click.option("--verify", is_flag=True, help="Verify that no run was changed, removed or added outside reconciler.")
@click.option("--certificates", is_flag=True, help="List what purge and erase deleted permanently, instead of runs.")
@click.option("--newest", type=click.IntRange(min=1), metavar="N", help="List only the newest N runs.")
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show_history(
    customer: CustomerId | None,
    location: Location,
    verify: bool,
    certificates: bool,
    newest: int | None,
    output_format: str,
) -> ExitCode:
    """List the runs of CUSTOMER, or of all customers, newest first.

    --verify checks the runs of all customers, which form one chain, its signature with the store key, the
    before-images that each run left, and all certificates.
    """
    if certificates and (verify or output_format == "json"):
        raise click.UsageError("--certificates cannot be combined with --verify or --format json")
    workspace = open_workspace(location, absent=AbsentStore.REFUSE)
    with workspace.store.open_reader() as reader:
        name = CATALOG if customer in ("catalog", "catalogue") else customer
        known = {*reader.read_customers(), *workspace.repository.customers, CATALOG}
        known |= list_certified_customers(reader.connection)
        if name is not None and name not in known:
            raise Refusal(
                [
                    build_error(
                        "unknown-customer",
                        f"unknown customer {name}",
                        hint=f"Customers: {', '.join(sorted(known))}",
                    )
                ]
            )
        if certificates:
            issued = list_certificates(reader.connection)
            known_ones = [build_certificate_report(each) for each in issued if name in (None, each.customer)]
            click.echo(render_certificates_text(known_ones), nl=False)
            return ExitCode.DONE
        is_listed = output_format == "json" or not verify
        runs = _build_runs(reader.list_runs(name, newest)) if is_listed else []
        verification = _verify(reader) if verify else None
        forged = find_broken_certificate(reader.connection, reader.key) if verify else None
    if output_format == "json":
        click.echo(render_history_json(runs, verification), nl=False)
    elif verification is None:
        click.echo(render_history_text(runs), nl=False)
    elif verification.mismatch is None:
        click.echo(verification.sentence)
    if verification is not None and verification.mismatch is not None:
        click.echo(str(build_error("altered-history", verification.sentence, hint=TAMPERING_HINT)), err=True)
        return ExitCode.ERROR
    if forged is not None:
        click.echo(
            str(build_error("altered-certificate", f"certificate {forged} was changed", hint=TAMPERING_HINT)),
            err=True,
        )
        return ExitCode.ERROR
    return ExitCode.DONE


def _verify(reader: Reader) -> Verification:
    """Return the result for the runs and, if they are intact, for their before-images."""
    chain = verify_chain(reader.connection, reader.key)
    if chain.first_break is not None:
        return Verification(chain.runs, chain.is_signed, chain.first_break, chain.run)
    images = verify_images(reader.connection, reader.key)
    return Verification(
        chain.runs,
        chain.is_signed,
        "; ".join(each.message for each in images.mismatches) or None,
        next((each.run for each in images.mismatches), None),
        images.images,
        tuple(
            LawfulRemoval(each.certificate, each.kind, each.customer, each.at, each.images, each.runs)
            for each in images.removals
        ),
        images.unsealed_runs,
        images.sealed_at,
    )


def _build_runs(records: Iterable[RunRecord]) -> list[Run]:
    known = list(records)
    undone: dict[RunId, tuple[RunId, ...]] = {}
    for record in reversed(known):
        if record.undoes is not None:
            undone[record.undoes] = (*undone.get(record.undoes, ()), record.id)
    return [
        Run(
            id=record.id,
            customer=record.customer,
            started_at=record.started_at,
            finished_at=record.finished_at,
            actor=record.actor,
            plan_id=record.plan_id,
            outcome=record.outcome,
            counts=record.counts,  # type: ignore[arg-type]
            git_commit=record.git_commit,
            approvals=record.approvals,
            source_sha256=record.source_sha256,
            undoes=record.undoes,
            undone_by=undone.get(record.id, ()),
        )
        for record in known
    ]
