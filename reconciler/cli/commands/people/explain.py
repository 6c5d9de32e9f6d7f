"""`explain`: show why a person, class or org is as it is, and what the next plan would do."""

from functools import cache
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_location_options
from reconciler.cli.visibility import people_option, resolve_visibility
from reconciler.model.diagnostic import Span
from reconciler.model.ids import CustomerId
from reconciler.model.kind import Kind
from reconciler.operations.explain import Explanation, explain_key
from reconciler.operations.location import Location
from reconciler.operations.workspace import AbsentStore, open_workspace
from reconciler.reports.explanation import ExplanationReport, RunFacts, render_explanation_json, render_explanation_text
from reconciler.reports.plan import CustomerView


@click.command()
@click.argument("customer")
@click.argument("key")
@add_location_options
@click.option(
    "--zip",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Plan with this OneRoster ZIP file instead of the last good roster.",
)
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@people_option
def explain(
    customer: CustomerId,
    key: str,
    location: Location,
    bundle: Path | None,
    output_format: str,
    people: str | None,
) -> ExitCode:
    """Explain why a person, class or org of CUSTOMER is as it is, and what the next plan would do.

    Shows its fields, and the run and file of its last change. KEY is a sourcedId, a username, a pseudonym (P-…), or
    KIND:sourcedId, where KIND is user, class or org. Writes nothing.
    """
    workspace = open_workspace(location, absent=AbsentStore.IMAGINE)
    found = explain_key(workspace, customer, key, bundle)

    @cache
    def mask(kind: Kind, of: CustomerId, name: str) -> str:
        return workspace.store.key.make_pseudonym(kind, of, name)

    view = CustomerView(resolve_visibility(people, output_format), mask, customer)
    render = render_explanation_json if output_format == "json" else render_explanation_text
    click.echo(render([_build_explanation_report(each) for each in found], view), nl=False)
    return ExitCode.DONE


def _build_explanation_report(each: Explanation) -> ExplanationReport:
    record = each.record
    return ExplanationReport(
        customer=each.customer,
        kind=each.kind,
        key=each.key,
        label=each.label,
        live=each.live,
        origin=str(Span(record.origin_file, record.origin_line or 0)) if record.origin_file else None,
        origin_run=record.origin_run,
        created_run=record.created_run,
        tombstoned_at=record.tombstoned_at,
        tombstoned_run=record.tombstoned_run,
        concluded_at=record.concluded_at,
        changed_by_hand=record.has_external_write,
        touches=tuple((touch.run, touch.action) for touch in record.changes),
        runs={
            number: RunFacts(number, run.started_at, run.actor, run.plan_id, run.git_commit)
            for number, run in each.runs.items()
        },
        identities=tuple((bound.issuer, bound.kind, bound.subject, bound.alias) for bound in each.identities),
        communities=each.communities,
        impact=each.impact,
        reasons_to_stay=each.protections,
        change_row=each.planned_change,
        outcome=each.plan.outcome.value if each.plan else None,
        roster=each.roster,
        remarks=each.diagnostics,
    )
