"""Runs and holds, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace

from syrupy.assertion import SnapshotAssertion

from reconciler.reports.history import Run, render_history_json, render_history_text
from reconciler.reports.holds import HoldReport, render_holds_json, render_holds_text

RUNS = (
    Run(
        id=12,
        customer="springfield",
        started_at="2026-11-22T03:00:00Z",
        finished_at="2026-11-22T03:00:04Z",
        actor="ned@ci-7",
        plan_id="sha256:" + "ab" * 32,
        outcome="applied",
        counts={"user": {"delete": 2, "create": 1200}, "enrollment": {"delete": 1}, "customer": {"update": 0}},
        git_commit="0123456789abcdef" * 2 + "01234567",
        approvals=("springfield:2:7f3a9c",),
        source_sha256="ef" * 32,
        undoes=9,
    ),
    Run(
        id=11,
        customer="shelbyville",
        started_at="2026-11-21T02:00:00Z",
        finished_at=None,
        actor="worker",
        plan_id="sha256:" + "cd" * 32,
        outcome="running",
        counts={},
        undone_by=(13, 15),
    ),
)
HOLDS = (
    HoldReport(
        id="springfield:12:7f3a9c",
        customer="springfield",
        people=12,
        rows=36,
        since="2026-11-22T03:00:04Z",
        plan_id="sha256:" + "ab" * 32,
        causes=("Lincoln Elementary (s-7) would lose everyone: 12 of 12.",),
        command="reconciler apply springfield --zip FILE --approve springfield:12:7f3a9c",
    ),
)


def test_history_reads_as_it_did(snapshot: SnapshotAssertion) -> None:
    assert render_history_text(RUNS) == snapshot


def test_no_history_line_exceeds_eighty_cells() -> None:
    counts = {
        kind: {"delete": 12_345, "rekey": 123, "update": 99_999, "create": 1_234_567} for kind in ("user", "class")
    }
    wide = replace(RUNS[0], counts=counts, approvals=tuple(f"springfield:{number}:7f3a9c" for number in range(9)))
    assert max(map(len, render_history_text((wide, *RUNS)).splitlines())) <= 80


def test_history_as_json_has_the_contracts_keys_in_order() -> None:
    runs = json.loads(render_history_json(RUNS))["runs"]
    assert [run["id"] for run in runs] == [12, 11]
    contract = ("id", "customer", "started_at", "finished_at", "actor", "plan_id", "outcome", "counts")
    added = ("git_commit", "approvals", "source_sha256", "undoes", "undone_by")
    assert list(runs[0]) == [*contract, *added]
    assert [runs[0][name] for name in added] == [RUNS[0].git_commit, ["springfield:2:7f3a9c"], "ef" * 32, 9, []]
    assert (runs[1]["undoes"], runs[1]["undone_by"]) == (None, [13, 15])
    assert runs[0]["counts"]["user"] == {"delete": 2, "create": 1200}
    assert runs[1]["finished_at"] is None


def test_a_store_without_runs_says_so() -> None:
    assert render_history_text(()) == "No runs yet. Nothing has been applied to this store.\n"
    assert json.loads(render_history_json(())) == {"runs": []}


def test_holds_read_as_they_did(snapshot: SnapshotAssertion) -> None:
    assert render_holds_text(HOLDS) == snapshot


def test_holds_as_json_say_what_approves_them() -> None:
    (hold,) = json.loads(render_holds_json(HOLDS))["holds"]
    assert hold["id"] == "springfield:12:7f3a9c"
    assert hold["command"].endswith("--approve springfield:12:7f3a9c")
    assert hold["causes"] == ["Lincoln Elementary (s-7) would lose everyone: 12 of 12."]


def test_nothing_held_says_so() -> None:
    assert render_holds_text(()) == "Nothing is held.\n"
    assert json.loads(render_holds_json(())) == {"holds": []}
