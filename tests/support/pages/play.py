"""Run the commands of a page in one shell, in a fresh folder that looks like the project after `make demo`."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from demo.people import write_day_one, write_day_two
from tests.support.pages.blocks import Command, fill_in, find_commands

ROOT = Path(__file__).resolve().parents[3]
END = "~~~ end of a command ~~~"
PROJECT = "reconciler"
STAGE = Path(__file__).with_name("stage.sh")


def find_pages() -> list[Path]:
    """Return the README and every page of the site that has commands to play."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if find_commands(page.read_text(encoding="utf-8"))]


def play_page(page: str, folder: Path) -> str:
    """Return the page with what its commands print now. Raises CommandFailed where a setup fails.

    folder: an empty one; the shell starts in `reconciler` inside it.
    """
    project = _set_up_project(folder)
    commands = find_commands(page)
    script = f"exec 2>&1\n. {STAGE}\n" + "".join(map(_build_script, commands))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=project,
        env=_remove_settings(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    printed = done.stdout.replace(f"{getpass.getuser()}@{socket.gethostname()}", "ann@pc").replace(
        str(folder), "/home/ann"
    )
    outputs = printed.split(f"{END}\n")
    if len(outputs) != len(commands) + 1:
        raise CommandFailed(f"a setup failed, or a command ended the shell:\n{outputs[-1]}")
    return fill_in(page, (output.rstrip("\n") for output in outputs))


class CommandFailed(Exception):  # noqa: N818 - it reads as a sentence
    """A page cannot be played to its end."""


def _build_script(command: Command) -> str:
    if command.shown:
        return f"{command.text}\necho '{END}'\n"
    return f"set -e\n{{\n{command.text}\n}} >setup.log\nset +e\necho '{END}'\n"


def _set_up_project(folder: Path) -> Path:
    project = folder / PROJECT
    (project / ".demo").mkdir(parents=True)
    (project / ".venv").symlink_to(Path(sys.executable).parent.parent)
    for name in ("schemas", "customers"):
        (project / name).symlink_to(ROOT / name)
    write_day_one(project / ".demo" / "day-1.zip")
    write_day_two(project / ".demo" / "day-2.zip")
    return project


def _remove_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of somebody who has set nothing of the program's."""
    kept = {name: value for name, value in environment.items() if not name.startswith(("RECONCILER_", "COLUMNS"))}
    return {**kept, "PYTHONPATH": str(ROOT)}
