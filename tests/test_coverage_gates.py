"""Test the gates on branch coverage."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import coverage_gates
from tests.support.coverage_gates import NO_FOLDER, ROOT, measure_rooms, read_gates, render_table


def file(branches: int, covered: int) -> dict[str, Any]:
    return {"summary": {"covered_branches": covered, "missing_branches": branches - covered}}


FILES = {
    "reconciler/store/open.py": file(10, 9),
    "reconciler/store/read/runs.py": file(30, 27),
    "reconciler/model/ids.py": file(0, 0),
    "reconciler/clock.py": file(4, 4),
}
GATES = {"store": 90, "model": 100, NO_FOLDER: 100}


def test_a_room_is_the_sum_of_its_files() -> None:
    rooms = {room.room: (room.branches, room.covered, room.percent) for room in measure_rooms(FILES, GATES)}
    assert rooms == {"store": (40, 36, 90.0), "model": (0, 0, 100.0), NO_FOLDER: (4, 4, 100.0)}


@pytest.mark.parametrize(
    ("files", "gates", "verdict"),
    [
        (FILES, GATES, None),
        (
            FILES | {"reconciler/store/open.py": file(10, 8)},
            GATES,
            "store               40    87.5 %    90 %  below its gate",
        ),
        (FILES | {"reconciler/new/a.py": file(2, 2)}, GATES, "new                  2   100.0 %    none  needs a gate"),
    ],
)
def test_a_room_below_its_gate_or_without_one_fails(
    files: dict[str, Any],
    gates: dict[str, int],
    verdict: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(coverage_gates, "read_report", lambda: files)
    monkeypatch.setattr(coverage_gates, "read_gates", lambda: gates)
    assert coverage_gates.main() == (0 if verdict is None else 1)
    out, err = capsys.readouterr()
    assert out.strip() == render_table(measure_rooms(files, gates))
    assert [line for line in out.splitlines() if line.endswith(("gate", "a gate")) and "room" not in line] == (
        [] if verdict is None else [verdict]
    )
    assert (err != "") is (verdict is not None)


def test_rooms_and_gates_correspond_one_to_one() -> None:
    rooms = {path.parent.name for path in (ROOT / "reconciler").glob("*/__init__.py")}
    assert set(read_gates()) == {*rooms, NO_FOLDER}
