"""`store upgrade` and `store status`: the store's schema."""

from __future__ import annotations

from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import workspace_options
from reconciler.config.repository import load
from reconciler.store.opening import store_revisions, upgrade_store


@click.group()
def store() -> None:
    """The live store's schema: bring it up to date, or look at it."""


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
    """Say which schema the store has and which one this program needs. Exit 1 where they differ."""
    current = True
    for branch, revision, newest in store_revisions(_url(directory, environment, store)):
        same = revision == newest
        current &= same
        needs = "" if same else f", this program needs {newest}: run `reconciler store upgrade`"
        click.echo(f"{branch}: {revision or 'nothing'}{needs}")
    return ExitCode.DONE if current else ExitCode.ERROR


def _url(directory: Path, environment: str | None, store: str | None) -> str:
    """`--store` wins over the environment's. Other mistakes in the files do not matter here."""
    return store or load(directory).settings.environment(environment)[1].store
