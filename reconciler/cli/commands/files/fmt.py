"""`fmt`: format documents, or list those that are not formatted."""

from dataclasses import dataclass
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode, select_worst_exit_code
from reconciler.cli.options import add_files_options
from reconciler.config.atomic_write import replace_file
from reconciler.config.formatting import (
    expand_paths,
    format_canonical_text,
    format_path,
    list_repository_files,
    parse_document,
    render_diff,
)
from reconciler.config.yaml import BOM, MAX_BYTES
from reconciler.model.diagnostic import ConfigurationRefusal, Refusal, Span, build_error


@dataclass(frozen=True, slots=True)
class FormatResult:
    """A file and its canonical form."""

    path: Path
    #: the path as messages show it
    name: str
    before: bytes
    #: the same text as `before` if the file is formatted
    after: str

    @property
    def changes(self) -> bool:
        return self.before != self.after.encode()


@click.command("fmt")
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option("--check", is_flag=True, help="Write nothing; show the changes and exit 1 if there are any.")
@add_files_options
def format_documents(paths: tuple[Path, ...], check: bool, directory: Path) -> ExitCode:
    """Format the YAML files. Keeps comments, values and the order of lists.

    Without PATH, formats every document below --dir, and reconciler.yaml next to it. A PATH may be a folder. A file
    that cannot be read is skipped with an error.
    """
    files = expand_paths(paths) if paths else list_repository_files(directory)
    if paths and not files:
        raise click.UsageError("no documents found in PATH")
    codes = [ExitCode.DONE]
    changed = 0
    for path in files:
        try:
            each = _format_file(path)
            if each.changes:
                changed += 1
                codes.append(_print_difference(each) if check else _write_file(each))
        except Refusal as refusal:
            unreadable = isinstance(refusal, ConfigurationRefusal)
            codes.append(ExitCode.INVALID_CONFIGURATION if unreadable else ExitCode.ERROR)
            for diagnostic in refusal.diagnostics:
                click.echo(str(diagnostic), err=True)
    click.echo(_summarize_changes(changed, len(files), check), err=True)
    return select_worst_exit_code(codes)


def _format_file(path: Path) -> FormatResult:
    name = format_path(path)
    try:
        with path.open("rb") as stream:
            before = stream.read(MAX_BYTES + 1)
    except OSError as problem:
        hint = "Check that it is a file and that you may read it."
        raise ConfigurationRefusal(
            [build_error("unreadable-file", f"the file cannot be read: {problem.strerror}", Span(name), hint)]
        ) from problem
    return FormatResult(path, name, before, format_canonical_text(before, name))


def _print_difference(file: FormatResult) -> ExitCode:
    text = file.before.decode("utf-8").removeprefix(BOM)
    click.echo(render_diff(text, file.after, file.name, parse_document(file.before, file.name).root), nl=False)
    return ExitCode.ERROR


def _write_file(file: FormatResult) -> ExitCode:
    replace_file(file.path, file.after, file.before)
    click.echo(file.name)
    return ExitCode.DONE


def _summarize_changes(change_count: int, files: int, check: bool) -> str:
    of = f"{change_count:,} of {files:,} {'file' if files == 1 else 'files'}"
    if check:
        return f"{of} would change. To write them: reconciler fmt" if change_count else f"{of} would change."
    return f"{of} changed."
