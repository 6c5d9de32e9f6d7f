"""`validate`: check the YAML files. Needs no store, secrets or network, and does not import polars."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

import reconciler
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_files_options
from reconciler.config.repository import load_repository
from reconciler.model.diagnostic import ConfigurationRefusal, Diagnostic
from reconciler.reports.diagnostics import (
    SHOWN_PER_LEVEL,
    create_path_mapper,
    find_repository_root,
    render_sarif,
    render_workflow_commands,
)

FORMAT_VERSION = "1.0"
FORMATS = ("text", "json", "github", "sarif")


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@add_files_options
@click.option("--format", "output_format", type=click.Choice(FORMATS), default="text", show_default=True)
def validate(paths: tuple[Path, ...], directory: Path, output_format: str) -> ExitCode:
    """Check the YAML files. Needs no store, secrets or network.

    Reads all files, because they refer to each other; PATH limits which ones are reported.
    """
    files, found = _collect_diagnostics(directory, paths, output_format)
    _print_diagnostics(found, files, output_format, directory)
    return ExitCode.INVALID_CONFIGURATION if any(each.is_error for each in found) else ExitCode.DONE


def _collect_diagnostics(
    directory: Path, paths: Sequence[Path], output_format: str
) -> tuple[int, Sequence[Diagnostic]]:
    """Return the number of files to report and their diagnostics.

    A folder that cannot be listed is a diagnostic for formats that programs read; for text, Refusal is raised."""
    try:
        repository = load_repository(directory)
    except ConfigurationRefusal as refusal:
        if output_format == "text":
            raise
        return 0, refusal.diagnostics
    files = sum(_is_among(name, paths) for name in repository.file_names)
    if paths and not files:
        raise click.UsageError(f"no PATH contains a file of {directory}; nothing was checked")
    found = [each for each in repository.diagnostics if each.span is None or _is_among(each.span.file, paths)]
    return files, found


def _print_diagnostics(diagnostics: Sequence[Diagnostic], file_count: int, output_format: str, directory: Path) -> None:
    if output_format == "text":
        click.echo(_format_text(diagnostics, file_count))
    elif output_format == "json":
        click.echo(_format_json(diagnostics, file_count))
    elif output_format == "sarif":
        path = create_path_mapper(find_repository_root(directory))
        click.echo(render_sarif(diagnostics, path, reconciler.__version__), nl=False)
    else:
        click.echo(
            render_workflow_commands(diagnostics, create_path_mapper(find_repository_root(directory))),
            nl=False,
        )
        click.echo(_summarize_validation(diagnostics, file_count), err=True)
        if max(Counter(each.severity for each in diagnostics).values(), default=0) > SHOWN_PER_LEVEL:
            shown = SHOWN_PER_LEVEL
            click.echo(f"A pull request shows only the first {shown} of each severity; this log has all.", err=True)


def _is_among(name: str, paths: Sequence[Path]) -> bool:
    file = Path(name).absolute()
    return not paths or any(file.is_relative_to(path.absolute()) for path in paths)


def _format_text(diagnostics: Sequence[Diagnostic], file_count: int) -> str:
    return "\n".join([*(str(each) for each in diagnostics), _summarize_validation(diagnostics, file_count)])


def _summarize_validation(diagnostics: Sequence[Diagnostic], file_count: int) -> str:
    errors = [each for each in diagnostics if each.is_error]
    if errors:
        broken = len({each.span.file for each in errors if each.span})
        return (
            f"{_format_count(len(errors), 'error')} in {broken:,} of {_format_count(max(file_count, broken), 'file')}."
        )
    if not file_count:
        return "No files to check. Create the first one: reconciler new customer ID"
    return f"{_format_count(file_count, 'file')} {'is' if file_count == 1 else 'are'} valid."


def _format_count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _format_json(diagnostics: Sequence[Diagnostic], file_count: int) -> str:
    document = {
        "format_version": FORMAT_VERSION,
        "files": file_count,
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
            for each in diagnostics
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
