"""`--expect`: the reviewed plan, by its id or as a saved file, and what is said where a plan made now is another."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import click

from reconciler.config.comparison import Comparison
from reconciler.model.change import Action
from reconciler.model.kind import DECLARED_KINDS
from reconciler.model.plan import Plan
from reconciler.operations.against_base import surprises
from reconciler.operations.expecting import Verdict, held_to_id, held_to_plan
from reconciler.operations.plan_file import read_plan
from reconciler.reports import departure as report
from reconciler.reports import surprise as base_report
from reconciler.reports.people import People
from reconciler.store.live import Store

#: things of one customer that are named for each way in which two plans differ
ROWS = 50


def reviewed_plan(given: str, store: Store) -> str | Plan:
    """The plan of a saved file (its name has a / or a .), else the id as given. Raises Refusal where the file is none
    of this store, UsageError where there is no such file, or the id is none."""
    if "/" in given or "." in given:
        path = Path(given)
        if not path.is_file():
            raise click.UsageError(f"--expect: there is no plan file {path}")
        return read_plan(path, store)
    if not given.startswith("sha256:"):
        raise click.UsageError(f"--expect: {given} is neither a plan id (sha256:…) nor a plan file (PATH/FILE)")
    return given


def is_expected(plan: Plan, reviewed: str | Plan, store: Store, comparison: Comparison | None = None) -> bool:
    """Whether it does the same or less; says on stderr what differs. comparison: with the base, where it has one."""
    if isinstance(reviewed, str):
        verdict = held_to_id(store, plan, reviewed)
        if verdict.fits:
            _tell_of_runs(verdict)
        else:
            _tell_of_id(plan, reviewed, store, comparison)
        return verdict.fits
    verdict = held_to_plan(plan, reviewed)
    if verdict.departure is not None:
        differs = _differences(verdict, store)
        if not verdict.fits:
            click.echo(_error(plan, reviewed.plan_id), err=True)
            click.echo(f"    It does more, or something else. Now it would {_effects(plan)}:", err=True)
            click.echo("\n".join(f"    {line}" for line in differs), err=True)
        elif differs:
            click.echo("the plan does less than the reviewed one:", err=True)
            click.echo("\n".join(differs), err=True)
    return verdict.fits


def _tell_of_runs(verdict: Verdict) -> None:
    if verdict.runs:
        runs = ", ".join(str(run) for run in verdict.runs)
        click.echo(f"the plan does less than the reviewed one: the rest was carried out since (run {runs})", err=True)


def _tell_of_id(plan: Plan, reviewed: str, store: Store, comparison: Comparison | None) -> None:
    click.echo(_error(plan, reviewed), err=True)
    found = list(islice(surprises(plan, comparison), ROWS + 1)) if comparison else []
    if found:
        ref = f" {plan.base.ref}" if plan.base else ""
        click.echo(f"    Now it would {_effects(plan)}. Of that, the base{ref} does not explain:", err=True)
        click.echo("\n".join(f"    {line}" for line in base_report.render(found[:ROWS], store.key.pseudonym)), err=True)
        if len(found) > ROWS:
            click.echo("    … and more; all of it is in the plan above", err=True)
        click.echo(
            "    If it is right, review what is shown above and expect its id. If not, put the store right first:\n"
            "    reconciler plan, and apply, without --base.",
            err=True,
        )
        return
    click.echo(
        f"    Now it would {_effects(plan)}. That is shown above: review it, and expect its id.\n"
        "    From an id alone it cannot be told whether that is less than was reviewed, but for what runs carried out "
        "since.\n"
        "    A reviewed plan that was saved (plan --out FILE) tells, and shows what differs: --expect FILE",
        err=True,
    )


def _error(plan: Plan, reviewed: str) -> str:
    return (
        f"error: the plan is {plan.plan_id}, not the one that was reviewed ({reviewed}); nothing was changed "
        "[stale-plan]"
    )


def _differences(verdict: Verdict, store: Store) -> list[str]:
    found = verdict.departure
    if found is None:
        return []
    people = People.FULL if sys.stderr.isatty() else People.MASKED

    return report.render(found.more, found.released, found.fewer, people, store.key.pseudonym, ROWS)


def _effects(plan: Plan) -> str:
    """By action, of everything that an apply would do and of what it would hold: `delete 4, create 2 (4 held)`."""
    counts = [
        each
        for customer in plan.customers
        for kind, each in customer.counts.items()
        if customer.roster_applies or kind in DECLARED_KINDS
    ]
    totals = {action: sum(each[action] for each in counts) for action in Action}
    held = sum(each.held for each in counts)
    parts = ", ".join(f"{action} {number:,}" for action, number in totals.items() if number)
    return f"{parts} ({held:,} held)" if held else parts
