"""Ask a person for confirmation on the terminal."""

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.operations import interruption

NOTHING_CHANGED = "Nothing was changed."


def confirm(question: str) -> ExitCode | None:
    """Ask a yes-or-no question. Return None for yes, or else the exit code."""
    interruption.allow_keyboard_interrupt()
    try:
        if click.confirm(question, default=False, err=True):
            return None
        code = ExitCode.DONE
    except click.Abort:
        click.echo(err=True)
        code = ExitCode.INTERRUPTED
    click.echo(NOTHING_CHANGED, err=True)
    return code
