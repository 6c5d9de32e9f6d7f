"""`store`: its schema, and whose it is."""

from __future__ import annotations

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_location_options
from reconciler.config.repository import load_repository
from reconciler.notices.signing import WEBHOOK_KEY_PURPOSE, derive_public_key
from reconciler.operations.location import Location
from reconciler.store.errors import StoreProblem
from reconciler.store.open import assign_environment, list_store_revisions, load_store_key, upgrade_store


@click.group("store")
def group_store_commands() -> None:
    """The live store itself: its schema, and the environment that it is of."""


@group_store_commands.command()
@add_location_options
def upgrade(location: Location) -> ExitCode:
    """Bring an older store up to date. A store that is up to date stays as it is."""
    for branch, before, after in upgrade_store(_resolve_store_url(location)):
        if before == after:
            click.echo(f"{branch}: up to date ({after})")
        else:
            click.echo(f"{branch}: {before or 'nothing'} -> {after}")
    return ExitCode.DONE


@group_store_commands.command("status")
@add_location_options
def show_store_status(location: Location) -> ExitCode:
    """Say which schema the store has and which one this program needs, and by which public key its webhooks' posts are
    known. Exit 1 where the schemas differ."""
    current = True
    url = _resolve_store_url(location)
    for branch, revision, newest in list_store_revisions(url):
        same = revision == newest
        current &= same
        needs = "" if same else f", this program needs {newest}: run `reconciler store upgrade`"
        click.echo(f"{branch}: {revision or 'nothing'}{needs}")
    click.echo(f"webhook key: {_describe_webhook_key(url)}")
    return ExitCode.DONE if current else ExitCode.ERROR


@group_store_commands.command()
@add_location_options
def assign(location: Location) -> ExitCode:
    """Say that an existing store is that of the environment --env, where the environment has a new name.

    Plans that were saved before are for a store of the old name: plan again.
    """
    name, chosen = load_repository(location.directory).get_environment(location.environment)
    before = assign_environment(location.store or chosen.store, name)
    click.echo(f"environment: {name} already" if before == name else f"environment: {before} -> {name}")
    return ExitCode.DONE


def _describe_webhook_key(url: str) -> str:
    try:
        return derive_public_key(load_store_key(url).derive_key(WEBHOOK_KEY_PURPOSE))
    except StoreProblem as problem:
        return f"unknown, since {problem.diagnostic.message}"


def _resolve_store_url(location: Location) -> str:
    """`--store` wins over the environment's. Other mistakes in the files do not matter here."""
    if location.store:
        return location.store
    return load_repository(location.directory).settings.get_environment(location.environment)[1].store
