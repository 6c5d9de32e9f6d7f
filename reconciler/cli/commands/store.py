"""`store`: create, show, upgrade and reassign the store, and replace its key."""

import sys
from pathlib import Path

import click

from reconciler.cli.certificates import build_certificate_report
from reconciler.cli.confirmation import confirm
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_location_options
from reconciler.clock import get_current_moment
from reconciler.config.load import find_settings_folder
from reconciler.config.repository import load_repository
from reconciler.model.diagnostic import build_warning
from reconciler.notices.signing import WEBHOOK_KEY_PURPOSE, derive_public_key
from reconciler.operations.actor import find_actor
from reconciler.operations.location import Location
from reconciler.operations.workspace import open_workspace, resolve_environment
from reconciler.reports.plan import format_count
from reconciler.reports.removal import render_certificate_text
from reconciler.store.errors import StoreProblem
from reconciler.store.open import (
    KEY_FOLDER,
    assign_environment,
    find_backup_command,
    list_store_revisions,
    load_store_key,
    open_store,
    upgrade_store,
)
from reconciler.store.removal import seal_earlier_images
from reconciler.store.write import KeyRotation, rotate_key


@click.group("store")
def group_store_commands() -> None:
    """Create, show, upgrade or reassign the store, or replace its key."""


@group_store_commands.command()
@add_location_options
def create(location: Location) -> ExitCode:
    """Create an empty store with its key, so that the first plan can be saved and approved.

    Does nothing if the store exists."""
    workspace = open_workspace(location)
    click.echo(f"{workspace.store.address}: ready, environment {workspace.environment}")
    return ExitCode.DONE


@group_store_commands.command()
@click.option(
    "--backup-made",
    is_flag=True,
    help="Do not ask for a backup of a PostgreSQL database. A SQLite store is copied in any case.",
)
@add_location_options
def upgrade(location: Location, backup_made: bool) -> ExitCode:
    """Upgrade the store's schema. Does nothing if it is up to date.

    A SQLite store is copied first, to a file beside it that only you can read. Back up a PostgreSQL database yourself:
    upgrade asks if you did, and without a terminal needs --backup-made.
    """
    url = _resolve_store_url(location)
    if not backup_made:
        answer = _ask_for_backup(url)
        if answer is not None:
            return answer
    for migration in upgrade_store(url):
        if migration.backup is not None:
            click.echo(f"backup: {migration.backup} (it contains names of people: delete it when all is well)")
        if migration.before == migration.after:
            click.echo(f"{migration.name}: up to date ({migration.after})")
        else:
            click.echo(f"{migration.name}: {migration.before or 'nothing'} -> {migration.after}")
        if migration.restored_triggers:
            click.echo(
                f"{migration.name}: {format_count(len(migration.restored_triggers), 'trigger', 'triggers')} restored;"
                " the next plan compares every row"
            )
    _seal_history(url, location)
    return ExitCode.DONE


def _ask_for_backup(url: str) -> ExitCode | None:
    """Ask if there is a backup of a PostgreSQL database that would change. Return None to go on, or else the exit code.

    Raises StoreProblem `backup-needed` without a terminal."""
    command = find_backup_command(url)
    if command is None:
        return None
    if not sys.stdin.isatty():
        raise StoreProblem(
            "backup-needed",
            "the upgrade changes the database, and cannot ask for a backup without a terminal; nothing was changed",
            f"Run: {command} && reconciler store upgrade --backup-made",
        )
    return confirm(f"Back up the database before the upgrade changes it: {command}\nIs there a backup?")


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


@group_store_commands.command("rotate-key")
@add_location_options
def replace_store_key(location: Location) -> ExitCode:
    """Replace the store's key, and encrypt the store's secrets anew.

    Makes a new key in the key file, or takes the first one of RECONCILER_KEY. Earlier keys must stay behind it: the
    store needs them to recognize erased people and to verify certificates. Plans, holds and their IDs from before can
    no longer be approved or applied. If it is interrupted, run it again."""
    name, chosen = resolve_environment(load_repository(location.directory).settings, location)
    key_folder = find_settings_folder(location.directory) / KEY_FOLDER
    store = open_store(location.store or chosen.store, name, make=False, key_folder=key_folder)
    click.echo(render_rotation_text(rotate_key(store, key_folder)), nl=False)
    return ExitCode.DONE


def render_rotation_text(rotation: KeyRotation) -> str:
    """Return the outcome of a rotation, and what is left to do, in lines."""
    kept = [
        format_count(rotation.kept[table], *words)
        for table, words in (
            ("secrets", ("secret", "secrets")),
            ("erased", ("erased person", "erased people")),
            ("certificates", ("certificate", "certificates")),
        )
        if rotation.kept[table]
    ]
    lines = [
        f"key: {rotation.before} -> {rotation.key.id}",
        f"{format_count(rotation.encrypted, 'secret', 'secrets')} encrypted anew",
    ]
    kept.append("the history")
    lines.append(f"earlier keys are still needed to check {', '.join(kept)}: keep them behind the new one")
    if rotation.holds:
        lines.append(
            f"{format_count(rotation.holds, 'hold gets', 'holds get')} a new ID with the next plan or sync;"
            " the present IDs can no longer be approved"
        )
    lines.append("saved plans and plan IDs from before are refused: plan again")
    webhook = derive_public_key(rotation.key.derive_key(WEBHOOK_KEY_PURPOSE))
    lines.append(f"webhook key: {webhook} (give it to receivers that verify v1a signatures)")
    lines.append("Back up the key, and give it to every process of this store.")
    return "\n".join(lines) + "\n"


def _seal_history(url: str, location: Location) -> None:
    """Save digests of what earlier versions recorded, or say why that has to wait."""
    try:
        key = load_store_key(url, find_settings_folder(location.directory) / KEY_FOLDER)
    except StoreProblem as problem:
        why = f"the history of earlier versions is not sealed: {problem.diagnostic.message}"
        click.echo(str(build_warning("history-not-sealed", why, hint="Upgrade again with the store's key.")), err=True)
        return
    certificate = seal_earlier_images(url, key, get_current_moment(), find_actor())
    if certificate is not None:
        click.echo(render_certificate_text(build_certificate_report(certificate)), nl=False)


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
