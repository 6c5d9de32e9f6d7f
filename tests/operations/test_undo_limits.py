"""Limits apply to the removals of an undo, but not to what it restores."""

from __future__ import annotations

import pytest

from tests.support.customers.project import Project
from tests.support.operations.undo_steps import DAY_ONE, STUDENTS, account, applied, is_as_of, loaded, planned, undo

pytestmark = pytest.mark.slow


@pytest.fixture
def springfield(project: Project) -> Project:
    return loaded(project)


def test_deletions_of_an_undo_are_held_and_released_by_id(springfield: Project) -> None:
    more = DAY_ONE
    for number in range(30):
        more = more.with_user(f"u-9{number:02d}")
    run = applied(springfield, more)
    plan = planned(springfield, run)
    hold = plan.json["customers"][0]["hold"]
    assert hold["people"] == 30
    limit = next(each for each in plan.json["customers"][0]["limits"] if each["exceeded"])
    assert (limit["kind"], limit["seen"], limit["allowed"], limit["of"]) == ("user", 30, 7, 70)

    first = undo(springfield, run, code=3)
    assert f"reconciler undo {run}" in first.out
    assert f"--approve {hold['id']}" in first.out
    assert account(springfield, "u-900")[-1]
    assert springfield.run("holds", "--format", "json").json["holds"] == [], "no roster is waiting"
    undo(springfield, run, "--approve", "springfield:30:000000", code=3)
    assert account(springfield, "u-900")[-1]

    undo(springfield, run, "--approve", hold["id"])
    assert is_as_of(springfield, DAY_ONE)
    newest = springfield.run("history", "--format", "json").json["runs"][0]
    assert (newest["approvals"], newest["undoes"]) == ([hold["id"]], run)


def test_200_undo_that_would_empty_a_grade_is_held(springfield: Project) -> None:
    more = DAY_ONE
    for number in range(2):
        more = more.with_user(f"u-9{number:02d}", grades="12")
    run = applied(springfield, more)
    hold = planned(springfield, run).json["customers"][0]["hold"]
    assert (hold["people"], hold["causes"][0]) == (2, "Nobody of grade 12 would be left: all 2 would go.")
    undo(springfield, run, code=3)
    assert account(springfield, "u-900")[-1]

    undo(springfield, run, "--approve", hold["id"])
    assert is_as_of(springfield, DAY_ONE)


def test_200_values_are_put_back_without_a_limit(springfield: Project) -> None:
    more = DAY_ONE.with_rows("users", [{**row, "middleName": "X"} for row in DAY_ONE.tables["users"]])
    run = applied(springfield, more)
    undo(springfield, run)
    assert is_as_of(springfield, DAY_ONE)


def test_undo_may_delete_freely_within_the_limits(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.with_user("u-one").with_user("u-two"))
    undo(springfield, run)
    assert is_as_of(springfield, DAY_ONE)


def test_approved_run_is_undone_without_another_approval(springfield: Project) -> None:
    later = DAY_ONE.without_users(STUDENTS[:20])
    held = springfield.plan("springfield", "--zip", later.zip(springfield.folder / "later.zip"))
    run = applied(springfield, later, "--approve", held.json["customers"][0]["hold"]["id"])
    undo(springfield, run)
    assert is_as_of(springfield, DAY_ONE)


def test_limits_are_the_last_applied_not_the_files(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.with_user("u-one").with_user("u-two"))
    strict = "  limits: {users: {percent: 0, floor: 0, per_school_percent: 0}}\n"
    springfield.customer(more=strict)
    assert planned(springfield, run).json["customers"][0]["hold"] is None
    assert springfield.apply("springfield").code == 0
    assert planned(springfield, run).json["customers"][0]["hold"]["people"] == 2


def test_undo_leaves_a_roster_hold_unchanged(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.with_user("u-one"))
    applied(springfield, DAY_ONE.with_user("u-one").without_users(STUDENTS[:20]), code=3)
    waiting = springfield.run("holds", "--format", "json").json["holds"]
    assert len(waiting) == 1
    undo(springfield, run)
    assert springfield.run("holds", "--format", "json").json["holds"] == waiting
