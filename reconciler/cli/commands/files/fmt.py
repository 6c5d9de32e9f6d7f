"""`fmt`: puts documents into their canonical form, or says which are not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from reconciler.cli.exit_code import ExitCode, worst
from reconciler.cli.options import files_options
from reconciler.config.atomic_write import replace
from reconciler.config.formatting.files import named, of_repository, shown
from reconciler.config.formatting.format import canonical, opened
from reconciler.config.formatting.format_diff import difference
from reconciler.config.yaml.reader import BOM, MAX_BYTES
from reconciler.model.diagnostic import ConfigurationRefusal, Refusal, Span, error


@dataclass(frozen=True, slots=True)
class Formatted:
    """A file that can be written: before and after are the same where it is in canonical form already."""

    path: Path
    name: str
    before: bytes
    after: str

    @property
    def changes(self) -> bool:
        return self.before != self.after.encode()


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option("--check", is_flag=True, help="Write nothing; show what would change, and exit 1 if anything would.")
@files_options
def fmt(paths: tuple[Path, ...], check: bool, directory: Path) -> ExitCode:
    """Write documents in their canonical form. Comments, values and the order of lists are kept.

    Without PATH: every document below --dir, and reconciler.yaml beside it. Of a folder, the documents below it.
    A file that cannot be read is left as it is, and the others go on.
    """
    files = named(paths) if paths else of_repository(directory)
    if paths and not files:
        raise click.UsageError("no PATH holds a document: nothing was looked at")
    codes = [ExitCode.DONE]
    changed = 0
    for path in files:
        try:
            each = _formatted(path)
            if each.changes:
                changed += 1
                codes.append(_show(each) if check else _write(each))
        except Refusal as refusal:
            unreadable = isinstance(refusal, ConfigurationRefusal)
            codes.append(ExitCode.INVALID_CONFIGURATION if unreadable else ExitCode.ERROR)
            for diagnostic in refusal.diagnostics:
                click.echo(str(diagnostic), err=True)
    click.echo(_total(changed, len(files), check), err=True)
    return worst(codes)


def _formatted(path: Path) -> Formatted:
    name = shown(path)
    try:
        with path.open("rb") as stream:
            before = stream.read(MAX_BYTES + 1)
    except OSError as problem:
        hint = "make it a readable file"
        raise ConfigurationRefusal(
            [error("unreadable-file", f"the file cannot be read: {problem.strerror}", Span(name), hint)]
        ) from problem
    return Formatted(path, name, before, canonical(before, name))


def _show(file: Formatted) -> ExitCode:
    text = file.before.decode("utf-8").removeprefix(BOM)
    click.echo(difference(text, file.after, file.name, opened(file.before, file.name).root), nl=False)
    return ExitCode.ERROR


def _write(file: Formatted) -> ExitCode:
    replace(file.path, file.after, file.before)
    click.echo(file.name)
    return ExitCode.DONE


def _total(changed: int, files: int, check: bool) -> str:
    of = f"{changed:,} of {files:,} {'file' if files == 1 else 'files'}"
    if check:
        return f"{of} would change: reconciler fmt writes them." if changed else f"{of} would change."
    return f"{of} changed."
