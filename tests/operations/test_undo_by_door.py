"""An undo plan through the CLI: shown, saved, applied and refused."""

from __future__ import annotations

import json
import stat
import zipfile

import pytest

from tests.support.customers.project import Project
from tests.support.operations.undo_steps import ANN, DAY_ONE, account, applied, codes, loaded, planned, undo

pytestmark = pytest.mark.slow


@pytest.fixture
def springfield(project: Project) -> Project:
    return loaded(project)


def test_saved_undo_is_shown_and_applied_like_a_plan(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.without_users([ANN]))
    path = springfield.folder / "undo.plan"
    saved = undo(springfield, run, "--out", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "Nothing was changed." in saved.out
    assert springfield.run("show", path).code == 0
    assert springfield.apply(path).code == 0
    assert account(springfield, ANN)[-1]
    assert springfield.run("history", "--format", "json").json["runs"][0]["undoes"] == run
    text = springfield.run("history").out
    assert f"undid run {run}" in text
    assert f"undone by run {run + 1}" in text
    assert springfield.run("history", "--verify").code == 0


def test_saved_undo_ignores_the_current_files(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.without_users([ANN]))
    path = springfield.folder / "undo.plan"
    undo(springfield, run, "--out", path)
    springfield.customer(title="Another Name")
    assert springfield.apply(path).code == 0
    assert account(springfield, ANN)[-1]
    (springfield.folder / "customers/springfield/customer.yaml").write_text("kind: customer\nid: [")
    assert undo(springfield, run + 1).code == 0


def test_saved_undo_is_stale_once_its_rows_change(springfield: Project) -> None:
    later = DAY_ONE.with_user(ANN, email="ann@new.example")
    run = applied(springfield, later)
    path = springfield.folder / "undo.plan"
    undo(springfield, run, "--out", path)
    applied(springfield, later.with_user(ANN, email="ann@newest.example"))
    assert springfield.apply(path).code == 4
    assert account(springfield, ANN)[2] == "ann@newest.example"


def test_saved_undo_does_nothing_the_second_time(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.without_users([ANN]))
    path = springfield.folder / "undo.plan"
    undo(springfield, run, "--out", path)
    assert springfield.apply(path).code == 0
    runs = springfield.ask("select count(*) from runs")
    springfield.apply(path)
    assert springfield.ask("select count(*) from runs") == runs
    assert account(springfield, ANN)[-1]


def test_a_run_with_nothing_left_to_undo_says_so(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.without_users([ANN]))
    undo(springfield, run)
    runs = springfield.ask("select count(*) from runs")
    result = undo(springfield, run)
    assert f"run {run}: nothing left to undo" in result.out
    assert springfield.ask("select count(*) from runs") == runs


def test_opening_names_the_runs_author_and_contrary_sources(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.without_users([ANN]))
    found = codes(planned(springfield, run))
    assert found["takes-back-run"][0].startswith(f"undoes run {run} of springfield, applied at 20")
    assert found["roster-says-otherwise"] == [
        "the roster still contains the change you are undoing; the next roster would make it again"
    ]
    assert "files-say-otherwise" not in found


def test_a_run_that_is_not_there_is_wrong_use(springfield: Project) -> None:
    result = springfield.run("undo", "99", "--yes")
    assert result.code == 64
    assert "unknown run 99 [unknown-run]" in result.err


@pytest.mark.parametrize(
    "options",
    [[], ["--out", "x.plan", "--yes"], ["--out", "x.plan", "--approve", "a:1:b"], ["--yes", "--format", "json"]],
)
def test_options_that_do_not_fit_are_wrong_use(springfield: Project, options: list[str]) -> None:
    assert springfield.run("undo", "1", *options).code == 64


def test_undo_plan_differs_from_an_equivalent_plan(springfield: Project) -> None:
    """Two runs of one effect: their undoes change the same rows in the same way."""
    later = DAY_ONE.without_users([ANN])
    one = applied(springfield, later)
    first = planned(springfield, one).json
    applied(springfield, DAY_ONE)
    two = applied(springfield, later)
    second = planned(springfield, two).json
    assert first["customers"][0]["changes"] == second["customers"][0]["changes"]
    assert first["plan_id"] != second["plan_id"]
    assert planned(springfield, two).json["plan_id"] == second["plan_id"]


def test_a_plan_file_is_an_undo_for_good(springfield: Project) -> None:
    """Taking the mark off would bring the check of the files back; the seal and the id see it."""
    run = applied(springfield, DAY_ONE.without_users([ANN]))
    path = springfield.folder / "undo.plan"
    undo(springfield, run, "--out", path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = json.loads(members["plan.json"])
    assert head["undoes"] == run
    members["plan.json"] = json.dumps({**head, "undoes": None}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    result = springfield.apply(path)
    assert result.code == 1
    assert "[bad-plan-file]" in result.err
