"""`invite`: create a new invitation link for an administrator."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.invitations import format_invitations, write_invitations
from reconciler.cli.options import add_location_options, add_lock_timeout_option
from reconciler.model.ids import CustomerId
from reconciler.operations.apply import Invitation
from reconciler.operations.invite import invite_administrator
from reconciler.operations.location import Location
from reconciler.operations.workspace import AbsentStore, open_workspace


@click.command()
@click.argument("customer")
@click.argument("username")
@add_location_options
@add_lock_timeout_option("an apply")
def invite(customer: CustomerId, username: str, location: Location, lock_timeout: float) -> ExitCode:
    """Create a new invitation link for the administrator USERNAME of CUSTOMER.

    With the link the person chooses a password. Earlier links of the person that were not used become invalid. Without
    a terminal, writes the link to a file that only you can read.
    """
    workspace = open_workspace(location, absent=AbsentStore.REFUSE)
    terminal = sys.stdout.isatty()
    files: list[Path] = []

    def hand_over(made: Invitation) -> None:
        if not terminal:
            files.append(write_invitations(f"invitations-{customer}", [made]))

    try:
        made = invite_administrator(workspace, customer, username, hand_over, lock_timeout)
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        raise
    for line in format_invitations([made]) if terminal else [f"invitation link: {files[0]} (the only copy)"]:
        click.echo(line)
    return ExitCode.DONE
