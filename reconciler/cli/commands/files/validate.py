"""`validate`: checks YAML. Needs no store, no secrets, no network, and imports no polars."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

import reconciler
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import files_options
from reconciler.config.repository import load
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic
from reconciler.reports.diagnostics import github as workflow_commands
from reconciler.reports.diagnostics import sarif
from reconciler.reports.diagnostics.places import repository_root, seen_from

FORMAT_VERSION = "1.0"
FORMATS = ("text", "json", "github", "sarif")


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@files_options
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
def validate(paths: tuple[Path, ...], directory: Path, form: str) -> ExitCode:
    """Check the customers' files, without store, secrets or network.

    All files are read, since they refer to each other; PATH limits which ones are reported.
    """
    files, found = _checked(directory, paths, form)
    _print(found, files, form, directory)
    return ExitCode.INVALID_CONFIGURATION if any(each.is_error for each in found) else ExitCode.DONE


def _checked(directory: Path, paths: Sequence[Path], form: str) -> tuple[int, Sequence[Diagnostic]]:
    """How many of the files are asked for, and what is to be said of them. A folder that cannot be listed is a
    diagnostic as well for a program that reads them; to a person the door says it."""
    try:
        repository = load(directory)
    except ConfigurationRefusal as refusal:
        if form == "text":
            raise
        return 0, refusal.diagnostics
    files = sum(_is_among(name, paths) for name in repository.file_names)
    if paths and not files:
        raise click.UsageError(f"no PATH holds a file of {directory}: nothing was checked")
    found = [each for each in repository.diagnostics if each.span is None or _is_among(each.span.file, paths)]
    return files, found


def _print(found: Sequence[Diagnostic], files: int, form: str, directory: Path) -> None:
    if form == "text":
        click.echo(_as_text(found, files))
    elif form == "json":
        click.echo(_as_json(found, files))
    elif form == "sarif":
        path = seen_from(repository_root(directory))
        click.echo(sarif.render(found, path, reconciler.__version__), nl=False)
    else:
        click.echo(workflow_commands.render(found, seen_from(repository_root(directory))), nl=False)
        click.echo(_total(found, files), err=True)
        if max(Counter(each.severity for each in found).values(), default=0) > workflow_commands.SHOWN_PER_LEVEL:
            shown = workflow_commands.SHOWN_PER_LEVEL
            click.echo(f"A pull request shows the first {shown} of a kind; this log has all.", err=True)


def _is_among(name: str, paths: Sequence[Path]) -> bool:
    file = Path(name).absolute()
    return not paths or any(file.is_relative_to(path.absolute()) for path in paths)


def _as_text(found: Sequence[Diagnostic], files: int) -> str:
    return "\n".join([*(str(each) for each in found), _total(found, files)])


def _total(found: Sequence[Diagnostic], files: int) -> str:
    errors = [each for each in found if each.is_error]
    if errors:
        broken = len({each.span.file for each in errors if each.span})
        return f"{_count(len(errors), 'error')} in {broken:,} of {_count(max(files, broken), 'file')}."
    if not files:
        return "There is nothing to check yet: reconciler new customer ID writes the first file."
    return f"{_count(files, 'file')} {'is' if files == 1 else 'are'} valid."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _as_json(found: Sequence[Diagnostic], files: int) -> str:
    document = {
        "format_version": FORMAT_VERSION,
        "files": files,
        "diagnostics": [
            {
                "code": each.code,
                "severity": each.severity.value,
                "message": each.message,
                "file": each.span.file if each.span else None,
                "line": (each.span.line or None) if each.span else None,
                "column": (each.span.column or None) if each.span else None,
                "hint": each.hint,
            }
            for each in found
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
