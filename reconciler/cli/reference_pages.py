"""Write the reference pages that are generated from code: `python -m reconciler.cli.reference_pages docs/reference`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from reconciler.cli.exit_code import EXIT_CODE_MEANINGS, PRECEDENCE
from reconciler.cli.main import COMMANDS
from reconciler.config import reference_pages as yaml_pages
from reconciler.oneroster.strict import render_strict_page
from reconciler.planning.holds import render_holds_page
from reconciler.reports.plan import render_gates_page, render_reasons_page

#: the folders of cli.commands, with the titles of their pages
GROUPS = {
    "changes": "Plan, apply and undo",
    "people": "People",
    "files": "Files in git",
    "rosters": "Rosters",
    "web": "Web application",
    "store": "Store",
}

INDEX_HEAD = """\
# Commands

Every command takes `--dir` (default `customers`), `--env` and `--store`. Results go to stdout; progress and messages go
to stderr. `reconciler COMMAND --help` prints the same as these pages.

| command | does |
| --- | --- |
"""

EXIT_CODES = """\
# Exit codes

| code | meaning |
| --- | --- |
{rows}
If several apply, the program exits with the first of these: {precedence}.

A customer with invalid YAML fails, and never counts as removed. The other customers go on: `plan` then exits 65, and
`apply` exits 5 if it applied another customer, or else 65.
"""


def render_pages() -> dict[str, str]:
    """Return the Markdown of every generated page, by file name below `docs/reference`."""
    commands = {f"commands/{group}.md": _render_group(group) for group in GROUPS}
    return {
        "commands/index.md": _render_index(),
        **commands,
        "exit-codes.md": _render_exit_codes(),
        **yaml_pages.render_pages(),
        "gates.md": render_gates_page(),
        "holds.md": render_holds_page(),
        "reasons.md": render_reasons_page(),
        "strict.md": render_strict_page(),
    }


def _get_group(name: str) -> str:
    """Return the folder or module of a command below cli.commands."""
    return COMMANDS[name].import_path.partition(":")[0].removeprefix("reconciler.cli.commands.").partition(".")[0]


def _iterate_commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            below = {each: command.get_command(context, each) for each in command.list_commands(context)}
        for each, found in below.items():
            if found is not None:
                yield from _iterate_commands(f"{name} {each}", found)
    else:
        yield name, command


def _render_index() -> str:
    rows = []
    for name, verb in COMMANDS.items():
        for path, command in _iterate_commands(name, verb.load_command()):
            summary = verb.summary if path == name else command.get_short_help_str(200)
            link = f"{_get_group(name)}.md#{path.replace(' ', '-')}"
            rows.append(f"| [`{path}`]({link}) | {summary} |\n")
    return INDEX_HEAD + "".join(rows)


def _render_group(group: str) -> str:
    parts = [f"# {GROUPS[group]}\n"]
    for name, verb in COMMANDS.items():
        if _get_group(name) == group:
            parts += [_render_section(path, command) for path, command in _iterate_commands(name, verb.load_command())]
    return "\n".join(parts)


def _render_section(path: str, command: click.Command) -> str:
    with click.Context(command, info_name=f"reconciler {path}", terminal_width=200) as context:
        usage = " ".join(command.collect_usage_pieces(context))
        rows = [_render_row(parameter, context) for parameter in command.params if isinstance(parameter, click.Option)]
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in (command.help or "").split("\n\n"))
    table = "".join(["| option | does |\n| --- | --- |\n", *rows])
    return f"## {path}\n\n```text\nreconciler {path} {usage}\n```\n\n{text}\n\n{table}"


def _render_row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    if record is None:
        return ""
    names, text = (" ".join(part.split()) for part in record)
    # In a table no Markdown for code shows a pipe both on the site and on a forge.
    return f"| <code>{names.replace('|', '&#124;')}</code> | {text.replace('|', '&#124;')} |\n"


def _render_exit_codes() -> str:
    rows = "".join(f"| {code.value} | {meaning} |\n" for code, meaning in EXIT_CODE_MEANINGS.items())
    return EXIT_CODES.format(rows=rows, precedence=", ".join(str(code.value) for code in PRECEDENCE))


def write_pages(folder: Path) -> None:
    """Write every page below the folder."""
    for name, text in render_pages().items():
        folder.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        folder.joinpath(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
