"""`explain`: what a person, class or org is, why, and what the next plan would do to it."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.operations.explain import Explanation
from reconciler.operations.explain import explain as explained
from reconciler.operations.workspace import open_workspace
from reconciler.reports.explanation import Explained, RunFacts, explanation_json, explanation_text
from reconciler.reports.plan.people import People, View


@click.command()
@click.argument("customer")
@click.argument("key")
@workspace_options
@click.option(
    "--zip",
    "bundle",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Look at a plan of this OneRoster bundle, in place of the last good roster.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--people",
    type=click.Choice([each.value for each in People]),
    help="Who may be seen. Default: full on a terminal, masked elsewhere.",
)
def explain(
    customer: str,
    key: str,
    directory: Path,
    environment: str | None,
    store: str | None,
    bundle: Path | None,
    form: str,
    people: str | None,
) -> ExitCode:
    """Say what KEY of CUSTOMER is, which run and file made it so, and what the next plan would do to it.

    KEY is a sourcedId, a username, a pseudonym (P-…), or KIND:sourcedId with user, class or org. Writes nothing.
    """
    workspace = open_workspace(directory, environment, store)
    found = explained(workspace, customer, key, bundle)
    terminal = sys.stdout.isatty()
    chosen = People(people) if people else People.FULL if terminal and form == "text" else People.MASKED

    @cache
    def mask(kind: Kind, of: str, name: str) -> str:
        return workspace.store.key.pseudonym(kind, of, name)

    view = View(chosen, mask, customer)
    render = explanation_json if form == "json" else explanation_text
    click.echo(render([_facts(each) for each in found], view), nl=False)
    return ExitCode.DONE


def _facts(each: Explanation) -> Explained:
    record = each.record
    return Explained(
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
        changed_by_hand=record.changed_by_hand,
        touches=tuple((touch.run, touch.action) for touch in record.touches),
        runs={
            number: RunFacts(number, run.started_at, run.actor, run.plan_id, run.git_commit)
            for number, run in each.runs.items()
        },
        bound=tuple((bound.issuer, bound.kind, bound.subject, bound.alias) for bound in each.bound),
        communities=each.communities,
        goes_along=each.goes_along,
        spared=each.spared,
        planned=each.planned,
        outcome=each.plan.outcome.value if each.plan else None,
        roster=each.roster,
        remarks=each.remarks,
    )
