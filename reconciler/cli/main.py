"""The program's door: finds the verb, runs it, and turns whatever it raises into words and an exit code.

Only the module of the verb that was asked for is imported: `--version` and `--help` import nothing heavy.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass

import click

from reconciler import __version__
from reconciler.cli.exit_code import EXIT_CODE_MEANINGS, ExitCode
from reconciler.cli.log_output import LEVELS, write_log_to_stderr
from reconciler.model.diagnostic import ConfigurationRefusal, Refusal

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """command: `module:name` of a click command. summary: its line in --help."""

    import_path: str
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
        "reconciler.cli.commands.changes.plan:plan", "Compare with the live store and show what an apply would do."
    ),
    "show": LazyCommand("reconciler.cli.commands.changes.show:show", "Show a saved plan."),
    "apply": LazyCommand(
        "reconciler.cli.commands.changes.apply:apply", "Show a plan, ask, and carry out exactly that plan."
    ),
    "holds": LazyCommand("reconciler.cli.commands.changes.holds:list_holds", "List deletions that wait for approval."),
    "history": LazyCommand(
        "reconciler.cli.commands.changes.history:show_history", "List what was applied, newest first."
    ),
    "undo": LazyCommand(
        "reconciler.cli.commands.changes.undo:undo", "Take back one run, as far as nothing was changed since."
    ),
    "explain": LazyCommand(
        "reconciler.cli.commands.people.explain:explain", "Say what a thing is, why, and what would become of it."
    ),
    "purge": LazyCommand(
        "reconciler.cli.commands.people.purge:purge", "Remove what was deleted longer ago than its retention."
    ),
    "erase": LazyCommand(
        "reconciler.cli.commands.people.erase:erase", "Remove a person, or a removed customer, on request."
    ),
    "init": LazyCommand(
        "reconciler.cli.commands.files.init:init", "Write a new customers repository, with CI if you like."
    ),
    "new": LazyCommand(
        "reconciler.cli.commands.files.new:create_document",
        "Write one new, commented file of a customer, community or lesson.",
    ),
    "validate": LazyCommand(
        "reconciler.cli.commands.files.validate:validate", "Check YAML, without store, secrets or network."
    ),
    "fmt": LazyCommand(
        "reconciler.cli.commands.files.fmt:format_documents", "Write YAML in its canonical form, comments kept."
    ),
    "import": LazyCommand("reconciler.cli.commands.files.import_:import_settings", "Write the live settings as YAML."),
    "schema": LazyCommand(
        "reconciler.cli.commands.files.schema:write_schemas",
        "Write the JSON Schemas that editors complete and explain from.",
    ),
    "roster": LazyCommand(
        "reconciler.cli.commands.rosters.check:group_roster_commands",
        "check, fetch, probe: look at a roster or its server.",
    ),
    "sync": LazyCommand(
        "reconciler.cli.commands.rosters.sync:sync",
        "Fetch rosters, plan, and apply within limits, by what was last applied.",
    ),
    "store": LazyCommand(
        "reconciler.cli.commands.store:group_store_commands",
        "status, upgrade, assign: the live store's schema, and whose it is.",
    ),
}

#: diagnostics that are about the command line and not about what it names
WRONG_USE_DIAGNOSTICS = frozenset({"unknown-customer", "unknown-environment", "unknown-run", "invalid-address"})


class LazyGroup(click.Group):
    """A group that knows its verbs by name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = COMMANDS.get(cmd_name)
        return verb.load_command() if verb else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in COMMANDS.items()])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in EXIT_CODE_MEANINGS.items()])


@dataclass(slots=True)
class Invocation:
    """What the door has to know when a verb fails."""

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
    """Compare customers in YAML and OneRoster rosters with the live store; plan, show and apply exactly that."""
    context.ensure_object(Invocation).debug = debug
    context.with_resource(write_log_to_stderr(log_level, debug=debug))


def main() -> None:
    """The console script."""
    # a verb makes many objects that live as long as it does: looking for cycles among them is wasted
    gc.set_threshold(50_000, 20, 20)
    if _open_missing_streams():
        click.echo(
            "error: standard output is closed; nothing was done\n    Send it to a file, or to /dev/null.", err=True
        )
        sys.exit(ExitCode.ERROR)
    sys.exit(run(sys.argv[1:]))


def _open_missing_streams() -> bool:
    """Whether standard output was closed. What was closed leads nowhere from now on, so that no file which is opened
    next, such as the store's, gets a standard stream's number and its output."""
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
    """One call of the program: its exit code. Prints; never raises but for defects in this function."""
    invocation = Invocation()
    try:
        code = _invoke_command(arguments, invocation)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()  # whoever read it has read enough
        return ExitCode.ERROR
    except OSError as problem:
        _discard_output()
        what = f"the output cannot be written: {problem.strerror}\n    Send it somewhere else."
        return _report_failure(problem, what, invocation)
    return code


def _can_write_output() -> bool:
    """Whether an error that names no file was another one's than the output's. An empty line more harms nobody."""
    try:
        sys.stdout.write("\n")
        sys.stdout.flush()
    except OSError:
        return False
    return True


def _discard_output() -> None:
    """So that the interpreter does not complain when it flushes at exit."""
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
    except click.UsageError as wrong:
        wrong.show()
        return ExitCode.WRONG_USE
    except click.ClickException as problem:
        problem.show()
        return ExitCode.ERROR
    except Refusal as refusal:
        return _report_refusal(refusal, invocation)
    except BrokenPipeError:
        raise
    except OSError as problem:
        if problem.filename is None and not _can_write_output():
            raise
        what = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem.strerror or problem)
        return _report_failure(problem, what, invocation)
    except Exception as problem:  # noqa: BLE001 - the outermost door
        # its text is not shown: it may hold what must not be seen
        what = f"unexpected {type(problem).__name__}; run again with --debug and report what it prints"
        return _report_failure(problem, what, invocation)
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
