"""`init`: create a customers repository, optionally with the jobs of a CI system. Overwrites nothing."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import click
import jinja2

from reconciler import __version__
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.options import add_ignored_store_options

#: folders of templates/init that make up a repository, by CI system; no file is in two of them
TEMPLATE_FOLDERS: dict[str | None, tuple[str, ...]] = {
    None: ("common",),
    "github": ("common", "ci", "github"),
    "gitlab": ("common", "ci", "gitlab"),
}
TEMPLATE_SUFFIX = ".j2"

NEXT_STEPS = ("reconciler new customer ID      # the first customer", "reconciler validate")
CI_NEXT_STEP = "set up CODEOWNERS, protected branches and the jobs' secrets: README.md, One-time setup"


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--ci",
    type=click.Choice([name for name in TEMPLATE_FOLDERS if name]),
    help="Also create CI jobs that plan and apply.",
)
@add_ignored_store_options
def init(directory: Path, ci: str | None) -> ExitCode:
    """Create a customers repository in DIR, which must be empty (except .git) or not exist yet."""
    present = sorted(each.name for each in directory.iterdir() if each.name != ".git") if directory.exists() else []
    if present:
        more = f" and {len(present) - 1:,} more" if len(present) > 1 else ""
        raise click.ClickException(
            f"{directory} is not empty: {present[0]}{more}; nothing was written\n"
            "    Pass an empty or new directory, and copy from it what you want."
        )
    for name, text in render_scaffold(ci):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        click.echo(path)
    for line in ("Next steps:", *(f"    {step}" for step in _list_next_steps(directory, ci))):
        click.echo(line, err=True)
    return ExitCode.DONE


def render_scaffold(ci: str | None) -> Iterator[tuple[PurePosixPath, str]]:
    """Return the name and text of each file of a new repository."""
    root = files("reconciler.cli") / "templates" / "init"
    for part in TEMPLATE_FOLDERS[ci]:
        for name, template in _iterate_template_files(root / part, PurePosixPath()):
            text = template.read_text(encoding="utf-8")
            if name.suffix == TEMPLATE_SUFFIX:
                yield name.with_suffix(""), _render_template(text, ci)
            else:
                yield name, text


def _iterate_template_files(folder: Traversable, name: PurePosixPath) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for each in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if each.is_file():
            yield name / each.name, each
        elif each.name != "__pycache__":
            yield from _iterate_template_files(each, name / each.name)


def _render_template(text: str, ci: str | None) -> str:
    environment = jinja2.Environment(
        autoescape=False,  # Markdown; no inserted value comes from outside
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.from_string(text).render(version=__version__, ci=ci)


def _list_next_steps(directory: Path, ci: str | None) -> Iterator[str]:
    if directory != Path():
        yield f"cd {directory}"
    yield from NEXT_STEPS
    if ci:
        yield CI_NEXT_STEP
