"""`store`: create, show, upgrade and reassign the store."""

from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_location_options
from reconciler.config.load import find_settings_folder
from reconciler.config.repository import load_repository
from reconciler.notices.signing import WEBHOOK_KEY_PURPOSE, derive_public_key
from reconciler.operations.location import Location
from reconciler.operations.workspace import open_workspace, resolve_environment
from reconciler.store.errors import StoreProblem
from reconciler.store.open import KEY_FOLDER, assign_environment, list_store_revisions, load_store_key, upgrade_store


@click.group("store")
def group_store_commands() -> None:
    """Create, show, upgrade or reassign the store."""


@group_store_commands.command()
@add_location_options
def create(location: Location) -> ExitCode:
    """Create an empty store with its key, so that the first plan can be saved and approved.

    Does nothing if the store exists."""
    workspace = open_workspace(location)
    click.echo(f"{workspace.store.address}: ready, environment {workspace.environment}")
    return ExitCode.DONE


@group_store_commands.command()
@add_location_options
def upgrade(location: Location) -> ExitCode:
    """Upgrade the store's schema. Does nothing if it is up to date."""
    for branch, before, after in upgrade_store(_resolve_store_url(location)):
        if before == after:
            click.echo(f"{branch}: up to date ({after})")
        else:
            click.echo(f"{branch}: {before or 'nothing'} -> {after}")
    return ExitCode.DONE


@group_store_commands.command("status")
@add_location_options
def show_store_status(location: Location) -> ExitCode:
    """Show the store's schema version, the version that reconciler needs, and the public key that verifies webhooks.

    Exits 1 if the versions differ."""
    current = True
    url = _resolve_store_url(location)
    for branch, revision, newest in list_store_revisions(url):
        same = revision == newest
        current &= same
        needs = "" if same else f"; reconciler needs {newest}. Run: reconciler store upgrade"
        click.echo(f"{branch}: {revision or 'nothing'}{needs}")
    key_folder = find_settings_folder(location.directory) / KEY_FOLDER
    click.echo(f"webhook key: {_describe_webhook_key(url, key_folder)}")
    return ExitCode.DONE if current else ExitCode.ERROR


@group_store_commands.command()
@add_location_options
def assign(location: Location) -> ExitCode:
    """Record a renamed environment (--env) in an existing store.

    Plans saved under the old name can no longer be applied: make new ones.
    """
    name, chosen = resolve_environment(load_repository(location.directory).settings, location)
    before = assign_environment(location.store or chosen.store, name)
    click.echo(f"environment: {name} (unchanged)" if before == name else f"environment: {before} -> {name}")
    return ExitCode.DONE


def _describe_webhook_key(url: str, key_folder: Path) -> str:
    try:
        return derive_public_key(load_store_key(url, key_folder).derive_key(WEBHOOK_KEY_PURPOSE))
    except StoreProblem as problem:
        return f"unknown: {problem.diagnostic.message}"


def _resolve_store_url(location: Location) -> str:
    """Return the URL of `--store`, or else the environment's. Ignores other errors in the files."""
    if location.store:
        return location.store
    return resolve_environment(load_repository(location.directory).settings, location)[1].store
