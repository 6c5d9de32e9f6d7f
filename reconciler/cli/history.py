"""`history`: what was applied, newest first."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.model.diagnostic import Refusal, error
from reconciler.model.plan import CATALOGUE
from reconciler.operations.workspace import open_workspace
from reconciler.reports.history import Run, history_json, history_text


@click.command()
@click.argument("customer", required=False)
@workspace_options
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def history(customer: str | None, directory: Path, environment: str | None, store: str | None, form: str) -> ExitCode:
    """List runs, newest first; of one CUSTOMER, or of all."""
    workspace = open_workspace(directory, environment, store)
    with workspace.store.reading() as reader:
        name = CATALOGUE if customer == "catalogue" else customer
        known = {*reader.customers(), *workspace.repository.customers, CATALOGUE}
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
        runs = [
            Run(
                id=record.id,
                customer=record.customer,
                started_at=record.started_at,
                finished_at=record.finished_at,
                actor=record.actor,
                plan_id=record.plan_id,
                outcome=record.outcome,
                counts=record.counts,  # type: ignore[arg-type]
            )
            for record in reader.runs(name)
        ]
    click.echo(history_json(runs) if form == "json" else history_text(runs), nl=False)
    return ExitCode.DONE
