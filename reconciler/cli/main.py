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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import click

from reconciler import __version__
from reconciler.cli.exit_code import MEANINGS, ExitCode
from reconciler.model.diagnostic import ConfigurationRefusal, Refusal


@dataclass(frozen=True, slots=True)
class Verb:
    """command: `module:name` of a click command. summary: its line in --help."""

    command: str
    summary: str

    def load(self) -> click.Command:
        module, name = self.command.split(":")
        command = getattr(importlib.import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.command} is no command")
        return command


#: in the order of --help
VERBS: dict[str, Verb] = {
    "plan": Verb(
        "reconciler.cli.commands.changes.plan:plan", "Compare with the live store and show what an apply would do."
    ),
    "show": Verb("reconciler.cli.commands.changes.show:show", "Show a saved plan."),
    "apply": Verb("reconciler.cli.commands.changes.apply:apply", "Show a plan, ask, and carry out exactly that plan."),
    "holds": Verb("reconciler.cli.commands.changes.holds:holds", "List deletions that wait for approval."),
    "history": Verb("reconciler.cli.commands.changes.history:history", "List what was applied, newest first."),
    "undo": Verb(
        "reconciler.cli.commands.changes.undo:undo", "Take back one run, as far as nothing was changed since."
    ),
    "explain": Verb(
        "reconciler.cli.commands.people.explain:explain", "Say what a thing is, why, and what would become of it."
    ),
    "purge": Verb(
        "reconciler.cli.commands.people.purge:purge", "Remove what was deleted longer ago than its retention."
    ),
    "erase": Verb("reconciler.cli.commands.people.erase:erase", "Remove a person, or a removed customer, on request."),
    "init": Verb("reconciler.cli.commands.files.init:init", "Write a new customers repository, with CI if you like."),
    "new": Verb(
        "reconciler.cli.commands.files.new:new", "Write one new, commented file of a customer, community or lesson."
    ),
    "validate": Verb(
        "reconciler.cli.commands.files.validate:validate", "Check YAML, without store, secrets or network."
    ),
    "fmt": Verb("reconciler.cli.commands.files.fmt:fmt", "Write YAML in its canonical form, comments kept."),
    "import": Verb("reconciler.cli.commands.files.import_:import_", "Write the live settings as YAML."),
    "schema": Verb(
        "reconciler.cli.commands.files.schema:schema", "Write the JSON Schemas that editors complete and explain from."
    ),
    "roster": Verb(
        "reconciler.cli.commands.rosters.check:roster", "check, fetch, probe: look at a roster or its server."
    ),
    "sync": Verb(
        "reconciler.cli.commands.rosters.sync:sync",
        "Fetch rosters, plan, and apply within limits, by what was last applied.",
    ),
    "store": Verb(
        "reconciler.cli.commands.store:store", "status, upgrade, assign: the live store's schema, and whose it is."
    ),
}

#: diagnostics that are about the command line and not about what it names
WRONG_USE = frozenset({"unknown-customer", "unknown-environment", "unknown-run", "invalid-address"})


class LazyGroup(click.Group):
    """A group that knows its verbs by name and imports the one that is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = VERBS.get(cmd_name)
        return verb.load() if verb else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.summary) for name, verb in VERBS.items()])
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code.value), meaning) for code, meaning in MEANINGS.items()])


@dataclass(slots=True)
class Invocation:
    """What the door has to know when a verb fails."""

    debug: bool = False


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="reconciler", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def reconciler(context: click.Context, debug: bool) -> None:
    """Compare customers in YAML and OneRoster rosters with the live store; plan, show and apply exactly that."""
    if debug:
        context.ensure_object(Invocation).debug = True
        context.with_resource(tracebacks())


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
        code = _called(arguments, invocation)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()  # whoever read it has read enough
        return ExitCode.ERROR
    except OSError as problem:
        _discard_output()
        what = f"the output cannot be written: {problem.strerror}\n    Send it somewhere else."
        return _failed(problem, what, invocation)
    return code


def _output_is_taken() -> bool:
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


def _called(arguments: Sequence[str], invocation: Invocation) -> int:
    try:
        with reconciler.make_context("reconciler", list(arguments), obj=invocation) as context:
            result = reconciler.invoke(context)
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
        return _refused(refusal, invocation)
    except BrokenPipeError:
        raise
    except OSError as problem:
        if problem.filename is None and not _output_is_taken():
            raise
        what = f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem.strerror or problem)
        return _failed(problem, what, invocation)
    except Exception as problem:  # noqa: BLE001 - the outermost door
        # its text is not shown: it may hold what must not be seen
        what = f"unexpected {type(problem).__name__}; run again with --debug and report what it prints"
        return _failed(problem, what, invocation)
    return result if isinstance(result, int) else ExitCode.DONE


def _refused(refusal: Refusal, invocation: Invocation) -> ExitCode:
    if invocation.debug:
        traceback.print_exception(refusal)
    for diagnostic in refusal.diagnostics:
        click.echo(str(diagnostic), err=True)
    if refusal.diagnostics and all(each.code in WRONG_USE for each in refusal.diagnostics):
        return ExitCode.WRONG_USE
    if refusal.diagnostics and all(each.code == "unknown-hold" for each in refusal.diagnostics):
        return ExitCode.HELD
    return ExitCode.INVALID_CONFIGURATION if isinstance(refusal, ConfigurationRefusal) else ExitCode.ERROR


def _failed(problem: Exception, what: str, invocation: Invocation) -> ExitCode:
    if invocation.debug:
        traceback.print_exception(problem)
    click.echo(f"error: {what}", err=True)
    return ExitCode.ERROR


# What `--debug` shows of failures that did not stop the program.


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


@contextmanager
def tracebacks() -> Iterator[None]:
    """While this lasts, what operations log goes to stderr, tracebacks included."""
    log, handler = logging.getLogger("reconciler"), _ToStderr()
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
