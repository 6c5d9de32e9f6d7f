"""`store`: its schema, and whose it is."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.config.repository import load
from reconciler.notices.signing import SIGNING, public_key
from reconciler.store.errors import StoreProblem
from reconciler.store.open import assign_environment, store_key, store_revisions, upgrade_store


@click.group()
def store() -> None:
    """The live store itself: its schema, and the environment that it is of."""


@store.command()
@workspace_options
def upgrade(directory: Path, environment: str | None, store: str | None) -> ExitCode:
    """Bring an older store up to date. A store that is up to date stays as it is."""
    for branch, before, after in upgrade_store(_url(directory, environment, store)):
        if before == after:
            click.echo(f"{branch}: up to date ({after})")
        else:
            click.echo(f"{branch}: {before or 'nothing'} -> {after}")
    return ExitCode.DONE


@store.command()
@workspace_options
def status(directory: Path, environment: str | None, store: str | None) -> ExitCode:
    """Say which schema the store has and which one this program needs, and by which public key its webhooks' posts are
    known. Exit 1 where the schemas differ."""
    current = True
    url = _url(directory, environment, store)
    for branch, revision, newest in store_revisions(url):
        same = revision == newest
        current &= same
        needs = "" if same else f", this program needs {newest}: run `reconciler store upgrade`"
        click.echo(f"{branch}: {revision or 'nothing'}{needs}")
    click.echo(f"webhook key: {_webhook_key(url)}")
    return ExitCode.DONE if current else ExitCode.ERROR


@store.command()
@workspace_options
def assign(directory: Path, environment: str | None, store: str | None) -> ExitCode:
    """Say that an existing store is that of the environment --env, where the environment has a new name.

    Plans that were saved before are for a store of the old name: plan again.
    """
    name, chosen = load(directory).for_environment(environment)
    before = assign_environment(store or chosen.store, name)
    click.echo(f"environment: {name} already" if before == name else f"environment: {before} -> {name}")
    return ExitCode.DONE


def _webhook_key(url: str) -> str:
    try:
        return public_key(store_key(url).bytes_for(SIGNING))
    except StoreProblem as problem:
        return f"unknown, since {problem.diagnostic.message}"


def _url(directory: Path, environment: str | None, store: str | None) -> str:
    """`--store` wins over the environment's. Other mistakes in the files do not matter here."""
    return store or load(directory).settings.environment(environment)[1].store
