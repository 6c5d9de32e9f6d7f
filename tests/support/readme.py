"""Runs the commands of the README and fills in their output."""

# `python -m tests.support.readme` rewrites the file. A line that begins with `$ ` in a tour block is a command, `> `
# goes on with it, everything else is its output.

from __future__ import annotations

import getpass
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from demo.people import write_day_one, write_day_two

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
TOUR = re.compile(r"(<!-- tour -->\n```console\n)(.*?)(```)", re.DOTALL)
SECOND_DAY = re.compile(r"(<!-- the demo's plan of the second day -->\n```text\n)(.*?)(```)", re.DOTALL)
END = "~~~ end of a command ~~~"

#: what differs from run to run: a store's pseudonyms, the day, a store's plan ids, who runs it
VARYING = (
    (re.compile(r"P-[0-9A-F]{8}"), "P-XXXXXXXX"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?"), "DAY TIME"),
    (re.compile(r"plan [0-9a-f]{12}"), "plan XXXXXXXXXXXX"),
    (re.compile(r" {2,}"), "  "),
)


def plain(text: str) -> str:
    for pattern, stand_in in VARYING:
        text = pattern.sub(stand_in, text)
    return text


def played(text: str, folder: Path) -> str:
    """The README with every output as it is now. folder: where the project's folder is played."""
    project = folder / "reconciler"
    (project / ".demo").mkdir(parents=True)
    (project / ".venv").symlink_to(Path(sys.executable).parent.parent)
    (project / "schemas").symlink_to(ROOT / "schemas")
    write_day_one(project / ".demo" / "day-1.zip")
    write_day_two(project / ".demo" / "day-2.zip")
    commands = [command for block in TOUR.findall(text) for command in _commands(block[1])]
    outputs = iter(_run(commands, project))

    def filled(match: re.Match[str]) -> str:
        lines = []
        for command in _commands(match[2]):
            first, *more = command.split("\n")
            lines += [f"$ {first}", *(f"> {line}" for line in more)]
            output = next(outputs).rstrip("\n")
            lines += [output] if output else []
        return match[1] + "\n".join(lines) + "\n" + match[3]

    return SECOND_DAY.sub(lambda match: match[1] + _second_day(folder) + match[3], TOUR.sub(filled, text))


def _commands(block: str) -> list[str]:
    commands: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append(line[2:])
        elif line.startswith("> ") and commands:
            commands[-1] += "\n" + line[2:]
    return commands


def _run(commands: list[str], project: Path) -> list[str]:
    script = "exec 2>&1\n" + "".join(f"{command}\necho '{END}'\n" for command in commands)
    return _output(["bash", "-c", script], project, clean(os.environ)).split(f"{END}\n")


def _second_day(folder: Path) -> str:
    """The demo's plan of the second day, in a store of its own."""
    place = folder / "second-day"
    (place / ".demo").mkdir(parents=True)
    for name in ("customers", "reconciler.yaml"):
        (place / name).symlink_to(ROOT / name)
    from demo.stage import Stage

    stage = Stage.create_fresh(place)
    write_day_one(place / ".demo" / "day-1.zip")
    write_day_two(place / ".demo" / "day-2.zip")
    reconciler = str(Path(sys.executable).with_name("reconciler"))
    for arguments in (
        ["apply", "--yes"],
        ["apply", "springfield", "--zip", ".demo/day-1.zip", "--yes"],
        ["plan", "springfield", "--zip", ".demo/day-2.zip", "--people", "full"],
    ):
        output = _output([reconciler, *arguments], place, stage.environment)
    return output


def _output(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    # Who ran it, and where, is nobody's business.
    who = f"{getpass.getuser()}@{socket.gethostname()}"
    return done.stdout.replace(who, "ann@pc")


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if not name.startswith(("RECONCILER_", "COLUMNS"))}


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        README.write_text(played(README.read_text(encoding="utf-8"), Path(temporary)), encoding="utf-8")
