"""`validate`: checks YAML. Needs no store, no secrets, no network, and imports no polars."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import files_options
from reconciler.config.repository import load
from reconciler.model.diagnostic import Diagnostic

FORMAT_VERSION = "1.0"


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@files_options
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def validate(paths: tuple[Path, ...], directory: Path, form: str) -> ExitCode:
    """Check the customers' files, without store, secrets or network.

    All files are read, since they refer to each other; PATH limits which ones are reported.
    """
    repository = load(directory)
    files = [name for name in repository.file_names if _is_among(name, paths)]
    if paths and not files:
        raise click.UsageError(f"no PATH holds a file of {directory}: nothing was checked")
    found = [each for each in repository.diagnostics if each.span is None or _is_among(each.span.file, paths)]
    if form == "json":
        click.echo(_as_json(found, len(files)))
    else:
        click.echo(_as_text(found, len(files)))
    return ExitCode.INVALID_CONFIGURATION if any(each.is_error for each in found) else ExitCode.DONE


def _is_among(name: str, paths: Sequence[Path]) -> bool:
    file = Path(name).absolute()
    return not paths or any(file.is_relative_to(path.absolute()) for path in paths)


def _as_text(found: Sequence[Diagnostic], files: int) -> str:
    errors = [each for each in found if each.is_error]
    if errors:
        broken = len({each.span.file for each in errors if each.span})
        total = f"{_count(len(errors), 'error')} in {broken:,} of {_count(max(files, broken), 'file')}."
    elif not files:
        total = "There is nothing to check yet: reconciler new customer ID writes the first file."
    else:
        total = f"{_count(files, 'file')} {'is' if files == 1 else 'are'} valid."
    return "\n".join([*(str(each) for each in found), total])


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
