"""`holds`: list changes that are waiting for approval."""

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_location_options
from reconciler.operations.location import Location
from reconciler.operations.workspace import AbsentStore, open_workspace
from reconciler.reports.holds import HoldReport, render_holds_json, render_holds_text
from reconciler.store.read import HoldRecord


@click.command("holds")
@add_location_options
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
def list_holds(location: Location, output_format: str) -> ExitCode:
    """List the changes that are held for approval, and the commands that review and approve them."""
    workspace = open_workspace(location, absent=AbsentStore.REFUSE)
    with workspace.store.open_reader() as reader:
        waiting = [
            HoldReport(
                id=record.id,
                customer=record.customer,
                people=record.people,
                rows=record.rows,
                since=record.created_at,
                plan_id=record.plan_id,
                causes=record.causes,
                command=f"reconciler apply {_format_apply_target(record)} --approve {record.id}",
                show=f"reconciler show {record.id}" if record.has_plan else None,
            )
            for record in reader.list_holds()
        ]
    click.echo(render_holds_json(waiting) if output_format == "json" else render_holds_text(waiting), nl=False)
    return ExitCode.DONE


def _format_apply_target(record: HoldRecord) -> str:
    """Return the argument of `apply`: the hold if its plan was saved, or else the customer."""
    return record.id if record.has_plan else f"{record.customer} …"
