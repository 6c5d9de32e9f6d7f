"""`holds`: deletions that wait for approval."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.operations.workspace import open_workspace
from reconciler.reports.holds import Waiting, holds_json, holds_text
from reconciler.store.read.records import HoldRecord


@click.command()
@workspace_options
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def holds(directory: Path, environment: str | None, store: str | None, form: str) -> ExitCode:
    """List what the last applies held back, and how to let it through."""
    workspace = open_workspace(directory, environment, store, make_store=False)
    with workspace.store.reading() as reader:
        waiting = [
            Waiting(
                id=record.id,
                customer=record.customer,
                people=record.people,
                rows=record.rows,
                since=record.created_at,
                plan_id=record.plan_id,
                causes=record.causes,
                command=f"reconciler apply {_again(record)} --approve {record.id}",
                show=f"reconciler show {record.id}" if record.kept else None,
            )
            for record in reader.holds()
        ]
    click.echo(holds_json(waiting) if form == "json" else holds_text(waiting), nl=False)
    return ExitCode.DONE


def _again(record: HoldRecord) -> str:
    """What is to be applied: the plan that was kept, or the roster again."""
    return record.id if record.kept else f"{record.customer} …"
