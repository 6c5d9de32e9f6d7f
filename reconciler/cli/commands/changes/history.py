"""`history`: what was applied, newest first, and the proof that none of it was altered."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from reconciler.cli.certificates import issued
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.model.diagnostic import Refusal, error
from reconciler.model.plan import CATALOGUE
from reconciler.operations.workspace import open_workspace
from reconciler.reports.history import Run, Verification, history_json, history_text
from reconciler.reports.removal import certificates_text
from reconciler.store.read.records import RunRecord

HINT = "compare with a backup of the store; whoever can write to the database can alter what stands in it"


@click.command()
@click.argument("customer", required=False)
@workspace_options
@click.option("--verify", is_flag=True, help="Prove that no run was altered, removed or added by another hand.")
@click.option("--certificates", is_flag=True, help="List what `purge` and `erase` removed for good, in place of runs.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def history(
    customer: str | None,
    directory: Path,
    environment: str | None,
    store: str | None,
    verify: bool,
    certificates: bool,
    form: str,
) -> ExitCode:
    """List runs, newest first; of one CUSTOMER, or of all.

    --verify looks at the runs of all customers, which make one chain, at the seal under the store's key, and at all
    certificates.
    """
    if certificates and (verify or form == "json"):
        raise click.UsageError("--certificates stands alone: it is a list of text")
    workspace = open_workspace(directory, environment, store, make_store=False)
    with workspace.store.reading() as reader:
        name = CATALOGUE if customer == "catalogue" else customer
        known = {*reader.customers(), *workspace.repository.customers, CATALOGUE}
        known |= {each.customer for each in reader.certificates()}
        if name is not None and name not in known:
            raise Refusal(
                [
                    error(
                        "unknown-customer",
                        f"no customer is called {name}",
                        hint=f"known are {', '.join(sorted(known))}",
                    )
                ]
            )
        if certificates:
            known_ones = [issued(each) for each in reader.certificates() if name in (None, each.customer)]
            click.echo(certificates_text(known_ones), nl=False)
            return ExitCode.DONE
        runs = _runs(reader.runs(name))
        chain = reader.verified_runs() if verify else None
        forged = reader.broken_certificate() if verify else None
    verification = Verification(chain.runs, chain.sealed, chain.broken, chain.run) if chain else None
    if form == "json":
        click.echo(history_json(runs, verification), nl=False)
    elif verification is None:
        click.echo(history_text(runs), nl=False)
    elif verification.broken is None:
        click.echo(verification.sentence)
    if verification is not None and verification.broken is not None:
        click.echo(str(error("altered-history", verification.sentence, hint=HINT)), err=True)
        return ExitCode.ERROR
    if forged is not None:
        click.echo(
            str(error("altered-certificate", f"certificate {forged} is not as it was issued", hint=HINT)), err=True
        )
        return ExitCode.ERROR
    return ExitCode.DONE


def _runs(records: Iterable[RunRecord]) -> list[Run]:
    known = list(records)
    undone: dict[int, tuple[int, ...]] = {}
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
