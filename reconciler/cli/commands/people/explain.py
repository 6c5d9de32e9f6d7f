"""`explain`: what a person, class or org is, why, and what the next plan would do to it."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_workspace_options
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.operations.explain import Explanation
from reconciler.operations.explain import explain_key as explained
from reconciler.operations.workspace import open_workspace
from reconciler.reports.explanation import ExplanationReport, RunFacts, render_explanation_json, render_explanation_text
from reconciler.reports.plan.people import CustomerView, PeopleVisibility


@click.command()
@click.argument("customer")
@click.argument("key")
@add_workspace_options
@click.option(
    "--zip",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look at a plan of this OneRoster bundle, in place of the last good roster.",
)
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--people",
    type=click.Choice([each.value for each in PeopleVisibility]),
    help="Who may be seen. Default: full on a terminal, masked elsewhere.",
)
def explain(
    customer: str,
    key: str,
    directory: Path,
    environment: str | None,
    store: str | None,
    bundle: Path | None,
    output_format: str,
    people: str | None,
) -> ExitCode:
    """Say what KEY of CUSTOMER is, which run and file made it so, and what the next plan would do to it.

    KEY is a sourcedId, a username, a pseudonym (P-…), or KIND:sourcedId with user, class or org. Writes nothing.
    """
    workspace = open_workspace(directory, environment, store)
    found = explained(workspace, customer, key, bundle)
    terminal = sys.stdout.isatty()
    chosen = (
        PeopleVisibility(people)
        if people
        else PeopleVisibility.FULL
        if terminal and output_format == "text"
        else PeopleVisibility.MASKED
    )

    @cache
    def mask(kind: Kind, of: str, name: str) -> str:
        return workspace.store.key.make_pseudonym(kind, of, name)

    view = CustomerView(chosen, mask, customer)
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
