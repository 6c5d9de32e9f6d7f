"""Find the command, run it, and turn any exception into a message and an exit code.

Only the module of the requested command is imported: `--version` and `--help` import nothing heavy.
"""

import gc
import importlib
import logging
import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import click

from reconciler import __version__
from reconciler.cli.exit_code import EXIT_CODE_MEANINGS, ExitCode
from reconciler.cli.log_output import LEVELS, write_log_to_stderr
from reconciler.cli.streams import prepare_streams
from reconciler.cli.suggestions import suggest_command, suggest_option
from reconciler.model.diagnostic import ConfigurationRefusal, Refusal

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LazyCommand:
    #: `module:name` of a click command
    import_path: str
    #: its line in --help
    summary: str

    def load_command(self) -> click.Command:
        module, name = self.import_path.split(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.import_path} is no command")
        return command


#: in the order of --help
COMMANDS: dict[str, LazyCommand] = {
    "plan": LazyCommand(
        "reconciler.cli.commands.changes.plan:plan", "Compare with the store and show what an apply would change."
    ),
    "show": LazyCommand("reconciler.cli.commands.changes.show:show", "Show a saved plan."),
    "apply": LazyCommand(
        "reconciler.cli.commands.changes.apply:apply", "Show a plan, ask, and apply exactly that plan."
    ),
    "holds": LazyCommand(
        "reconciler.cli.commands.changes.holds:list_holds", "List changes that are waiting for approval."
    ),
    "history": LazyCommand(
        "reconciler.cli.commands.changes.history:show_history", "List the runs of the store, newest first."
    ),
    "undo": LazyCommand("reconciler.cli.commands.changes.undo:undo", "Undo a run, except rows that changed since."),
    "explain": LazyCommand(
        "reconciler.cli.commands.people.explain:explain",
        "Explain why a person, class or org is as it is, and what the next plan would do.",
    ),
    "invite": LazyCommand(
        "reconciler.cli.commands.people.invite:invite", "Create a new invitation link for an administrator."
    ),
    "purge": LazyCommand(
        "reconciler.cli.commands.people.purge:purge", "Permanently delete data that is past its retention period."
    ),
    "erase": LazyCommand(
        "reconciler.cli.commands.people.erase:erase", "Permanently erase a person, or a removed customer, on request."
    ),
    "init": LazyCommand(
        "reconciler.cli.commands.files.init:init", "Create a customers repository, optionally with CI."
    ),
    "new": LazyCommand(
        "reconciler.cli.commands.files.new:create_document",
        "Create a customer, community or lesson file from a commented template.",
    ),
    "validate": LazyCommand(
        "reconciler.cli.commands.files.validate:validate",
        "Check the YAML files. Needs no store, secrets or network.",
    ),
    "fmt": LazyCommand("reconciler.cli.commands.files.fmt:format_documents", "Format the YAML files. Keeps comments."),
    "import": LazyCommand(
        "reconciler.cli.commands.files.import_:import_settings", "Export settings from the store to YAML."
    ),
    "schema": LazyCommand(
        "reconciler.cli.commands.files.schema:write_schemas",
        "Write JSON Schemas for editor completion and hover help.",
    ),
    "roster": LazyCommand(
        "reconciler.cli.commands.rosters.check:group_roster_commands",
        "Check, fetch or probe a roster source.",
    ),
    "sync": LazyCommand(
        "reconciler.cli.commands.rosters.sync:sync",
        "Fetch rosters and apply changes within limits, using the last applied settings.",
    ),
    "serve": LazyCommand(
        "reconciler.cli.commands.web.serve:serve",
        "Serve people who arrive from an LMS, using the last applied settings.",
    ),
    "store": LazyCommand(
        "reconciler.cli.commands.store:group_store_commands",
        "Show, upgrade or reassign the store.",
    ),
}

#: diagnostics about the command line itself, which exit 64
WRONG_USE_DIAGNOSTICS = frozenset({"unknown-customer", "unknown-environment", "unknown-run", "invalid-address"})


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports only the requested one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = COMMANDS.get(cmd_name)
        return command.load_command() if command else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in COMMANDS.items()])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in EXIT_CODE_MEANINGS.items()])


@dataclass(slots=True)
class Invocation:
    """Options of one call that matter when the command fails."""

    #: print the traceback of an error
    debug: bool = False


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="reconciler", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.option(
    "--log-level",
    type=click.Choice(list(LEVELS)),
    envvar="RECONCILER_LOG_LEVEL",
    help="Log each step to stderr, as JSON lines with RECONCILER_LOG=json.  [default: error; off on a terminal]",
)
@click.pass_context
def run_reconciler(context: click.Context, debug: bool, log_level: str | None) -> None:
    """Reconcile school customers (YAML) and their people (OneRoster) with the store.

    Shows a plan first and applies exactly that plan."""
    context.ensure_object(Invocation).debug = debug
    context.with_resource(write_log_to_stderr(log_level, debug=debug))


def main() -> None:
    """Run the console script."""
    # A command creates many objects that live as long as it does; collecting cycles among them wastes time.
    gc.set_threshold(50_000, 20, 20)
    if _open_missing_streams():
        click.echo(
            "error: standard output is closed; nothing was done\n    Redirect it to a file or to /dev/null.", err=True
        )
        sys.exit(ExitCode.ERROR)
    prepare_streams()
    sys.exit(run(sys.argv[1:]))


def _open_missing_streams() -> bool:
    """Open closed standard streams on /dev/null; return whether standard output was closed.

    Otherwise the next file to be opened, such as the store's, would get a standard stream's number and its output."""
    closed = sys.stdout is None
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            found = os.open(os.devnull, os.O_RDWR)
            if found != number:
                os.dup2(found, number)
                os.close(found)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
    return closed


def run(arguments: Sequence[str]) -> int:
    """Run the program once, print, and return its exit code. Raises nothing unless this function has a defect."""
    invocation = Invocation()
    try:
        code = _invoke_command(arguments, invocation)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()  # the reader, such as head, has closed the pipe
        return ExitCode.ERROR
    except OSError as problem:
        _discard_output()
        message = f"cannot write the output: {problem.strerror}\n    Redirect it to another place."
        return _report_failure(problem, message, invocation)
    return code


def _can_write_output() -> bool:
    """Test whether output works, to tell its error from others that name no file. Prints an empty line."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _discard_output() -> None:
    """Redirect output to /dev/null, so that the interpreter does not complain when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _invoke_command(arguments: Sequence[str], invocation: Invocation) -> int:
    try:
        with run_reconciler.make_context("reconciler", list(arguments), obj=invocation) as context:
            result = _invoke_logged(context)
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except (click.Abort, KeyboardInterrupt, EOFError):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except click.ClickException as problem:
        _print_click_error(problem)
        return ExitCode.WRONG_USE if isinstance(problem, click.UsageError) else ExitCode.ERROR
    except Refusal as refusal:
        return _report_refusal(refusal, invocation)
    except BrokenPipeError:
        raise
    except OSError as problem:
        if problem.filename is None and not _can_write_output():
            raise
        message = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem.strerror or problem)
        return _report_failure(problem, message, invocation)
    except Exception as problem:  # noqa: BLE001 - the outermost level
        # The exception's text is not shown: it may contain secrets or people's data.
        message = f"unexpected {type(problem).__name__}; run again with --debug and report the output"
        return _report_failure(problem, message, invocation)
    return result if isinstance(result, int) else ExitCode.DONE


def _invoke_logged(context: click.Context) -> object:
    """Invoke the command; log an unforeseen error while the log is open."""
    try:
        return run_reconciler.invoke(context)
    except (click.exceptions.Exit, click.Abort, click.ClickException, Refusal, OSError, EOFError):
        raise
    except Exception as problem:
        _log.error("unexpected-error", exc_info=problem)
        raise


#: how click begins its own messages, with a capital and ending with a period
_CLICK_MESSAGE = re.compile(r"(Invalid value|Missing|No such|Got unexpected|Option|Unexpected)\b")


def _print_click_error(problem: click.ClickException) -> None:
    """Print an error of click's with the prefix `error:` of all errors, after the usage if it is a usage error."""
    if isinstance(problem, click.exceptions.NoArgsIsHelpError):
        problem.show()
        return
    context = problem.ctx if isinstance(problem, click.UsageError) else None
    if context is not None:
        click.echo(f"{context.get_usage()}\nTry '{context.command_path} --help' for help.\n", err=True)
    message, hint = problem.format_message(), None
    if isinstance(problem, click.exceptions.NoSuchCommand):
        message, hint = problem.message, suggest_command(problem)
    elif isinstance(problem, click.exceptions.NoSuchOption):
        message, hint = problem.message, suggest_option(problem)
    if _CLICK_MESSAGE.match(message):
        message = message[0].lower() + message[1:].removesuffix(".")
    click.echo(f"error: {message}" + (f"\n    {hint}" if hint else ""), err=True)


def _report_refusal(refusal: Refusal, invocation: Invocation) -> ExitCode:
    if invocation.debug:
        traceback.print_exception(refusal)
    for diagnostic in refusal.diagnostics:
        click.echo(str(diagnostic), err=True)
    if refusal.diagnostics and all(each.code in WRONG_USE_DIAGNOSTICS for each in refusal.diagnostics):
        return ExitCode.WRONG_USE
    if refusal.diagnostics and all(each.code == "unknown-hold" for each in refusal.diagnostics):
        return ExitCode.HELD
    return ExitCode.INVALID_CONFIGURATION if isinstance(refusal, ConfigurationRefusal) else ExitCode.ERROR


def _report_failure(problem: Exception, message: str, invocation: Invocation) -> ExitCode:
    if invocation.debug:
        traceback.print_exception(problem)
    click.echo(f"error: {message}", err=True)
    return ExitCode.ERROR
