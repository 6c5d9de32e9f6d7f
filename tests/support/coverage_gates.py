"""Compare the branch coverage of each room with its gate: `python -m tests.support.coverage_gates`.

Reads what `make coverage` measured and the table `tool.coverage-gates` of pyproject.toml. SlipCover measures because
coverage.py needs 70 % more processor time on Python 3.11, and SlipCover 2 %.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / ".coverage.json"
#: The room of modules that lie in no folder.
NO_FOLDER = "(root)"


@dataclass(frozen=True)
class RoomCoverage:
    room: str
    branches: int
    covered: int
    #: Percent; None if the room has none
    gate: int | None

    @property
    def percent(self) -> float:
        """Return the covered branches in percent; a room without branches is covered."""
        return 100 * self.covered / self.branches if self.branches else 100.0

    @property
    def passes(self) -> bool:
        return self.gate is not None and self.percent >= self.gate


def measure_rooms(files: Mapping[str, Any], gates: Mapping[str, int]) -> list[RoomCoverage]:
    """Return the coverage of every room that has files or a gate, by name.

    `files` is the part of that name in SlipCover's JSON report.
    """
    branches: Counter[str] = Counter()
    covered: Counter[str] = Counter()
    for path, file in files.items():
        _, *folders, _ = Path(path).parts
        room = folders[0] if folders else NO_FOLDER
        summary = file["summary"]
        branches[room] += summary["covered_branches"] + summary["missing_branches"]
        covered[room] += summary["covered_branches"]
    return [RoomCoverage(room, branches[room], covered[room], gates.get(room)) for room in sorted({*branches, *gates})]


def render_table(rooms: list[RoomCoverage]) -> str:
    lines = [f"{'room':<12}{'branches':>10}{'covered':>10}{'gate':>8}"]
    for room in rooms:
        gate = "none" if room.gate is None else f"{room.gate} %"
        verdict = "" if room.passes else "  below its gate" if room.gate is not None else "  needs a gate"
        lines.append(f"{room.room:<12}{room.branches:>10}{room.percent:>8.1f} %{gate:>8}{verdict}")
    return "\n".join(lines)


def read_gates() -> dict[str, int]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(settings["tool"]["coverage-gates"])


def read_report() -> dict[str, Any]:
    return dict(json.loads(REPORT.read_text(encoding="utf-8"))["files"])


def main() -> int:
    rooms = measure_rooms(read_report(), read_gates())
    print(render_table(rooms))
    if all(room.passes for room in rooms):
        return 0
    print(
        "error: branch coverage of the quick tests is below a gate of pyproject.toml; add quick tests", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
