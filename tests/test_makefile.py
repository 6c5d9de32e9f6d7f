"""Test the targets of the Makefile that decide something themselves."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("room", ["nowhere", "", "support", "store; true", "cli config"])
def test_unknown_room_lists_the_rooms_and_sets_up_nothing(room: str) -> None:
    result = subprocess.run(
        ["make", "--no-print-directory", "test-one", f"ROOM={room}"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stdout) == (2, "")
    rooms = {path.parent.name for path in ROOT.glob("tests/*/__init__.py")} - {"support"}
    first, _, listed = result.stderr.splitlines()[0].partition("; choose ROOM from: ")
    assert first == f"error: no room '{room}'"
    assert set(listed.split()) == rooms


def test_a_room_runs_its_quick_and_slow_tests() -> None:
    result = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--old-file=.venv/.ready", "test-one", "ROOM=planning"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines()[-1] == ".venv/bin/python -m pytest -n 2 --dist worksteal tests/planning"
