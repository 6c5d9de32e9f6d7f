"""A roster with `select`: people who leave and return, its own limit, and an empty selection."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.customers.project import Project, Result, changes
from tests.support.rosters.bundles import bundle

pytestmark = pytest.mark.slow

MADE = bundle(users=40, schools=2, classes=8)
THEIRS = {row["sourcedId"]: row["orgSourcedIds"] for row in MADE.tables["users"]}
AT_FIRST = [key for key, school in THEIRS.items() if school == "s-1"]
ONE = next(key for key in MADE.students() if THEIRS[key] == "s-1")


@pytest.fixture
def day(project: Project) -> Path:
    return MADE.zip(project.folder / "day.zip")


def plan(project: Project, path: Path) -> Result:
    return project.plan("springfield", "--zip", path)


def live(project: Project, table: str) -> int:
    return int(project.ask(f"select count(*) from {table} where tombstoned_at is null")[0][0])


def line_of(text: str) -> int:
    lines = Path("customers/springfield/customer.yaml").read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if text in line)


def test_only_what_is_selected_is_loaded(project: Project, day: Path) -> None:
    project.customer(more="  select: {schools: [s-1]}\n")
    assert project.apply("springfield", "--zip", day).code == 0
    assert project.ask("select count(*) from accounts where managed_by = 'roster'") == [(len(AT_FIRST),)]
    assert project.ask("select sourced_id from orgs order by sourced_id") == [("d-1",), ("s-1",)]
    again = plan(project, day)
    assert again.code == 0
    assert [
        each["code"] for each in again.json["customers"][0]["diagnostics"] if each["code"] == "not-yet-in-force"
    ] == []


def test_narrower_selection_has_its_own_limit_and_widening_restores(project: Project, day: Path) -> None:
    project.customer()
    assert project.apply("springfield", "--zip", day).code == 0
    enrolled = live(project, "enrollments")
    project.customer(more="  select: {schools: [s-1]}\n")

    narrowed = plan(project, day)
    assert narrowed.code == 3
    gone = [each for each in changes(narrowed, "user") if each["action"] == "delete"]
    assert [each["key"] for each in gone] == sorted(set(THEIRS) - set(AT_FIRST))
    assert {each["reason"] for kind in ("org", "user", "class", "enrollment") for each in changes(narrowed, kind)} == {
        "scope_narrowed"
    }
    limits = narrowed.json["customers"][0]["limits"]
    used = {each["name"]: each["seen"] for each in limits if each["scope"] == "customer"}
    assert (used["scope_narrowed"], used["users"]) == (len(gone), 0)
    assert project.apply("springfield", "--zip", day).code == 3
    assert live(project, "enrollments") == enrolled

    hold = plan(project, day).json["customers"][0]["hold"]["id"]
    assert project.apply("springfield", "--zip", day, "--approve", hold).code == 0
    assert plan(project, day).code == 0
    assert live(project, "orgs") == 2

    project.customer()
    assert {each["action"] for each in changes(plan(project, day), "user")} == {"restore"}
    assert project.apply("springfield", "--zip", day).code == 0
    assert live(project, "enrollments") == enrolled


def test_the_last_roster_shows_what_another_selection_would_do(project: Project, day: Path) -> None:
    project.customer(more="  select: {schools: [s-1]}\n")
    assert project.apply("springfield", "--zip", day).code == 0
    project.customer()
    wider = project.plan("springfield", "--roster", "last")
    created = [each["key"] for each in changes(wider, "user") if each["action"] == "create"]
    assert created == sorted(set(THEIRS) - set(AT_FIRST))


@pytest.mark.parametrize(("missing", "action"), [("suspend", "suspend"), ("delete", "delete")])
def test_somebody_who_changes_school_leaves_the_selection(project: Project, missing: str, action: str) -> None:
    project.customer(more=f"  missing: {missing}\n  select: {{schools: [s-1], roles: [student, teacher]}}\n")
    assert project.apply("springfield", "--zip", MADE.zip(project.folder / "day.zip")).code == 0
    moved = MADE.with_user(ONE, orgSourcedIds="s-2").zip(project.folder / "next.zip")
    (change,) = changes(plan(project, moved), "user")
    assert (change["action"], change["reason"], change["held"]) == (action, "scope_narrowed", False)
    assert project.apply("springfield", "--zip", moved).code == 0
    assert plan(project, moved).code == 0


def test_selection_matching_nobody_is_refused_and_loses_nobody(project: Project, day: Path) -> None:
    project.customer()
    assert project.apply("springfield", "--zip", day).code == 0
    people = live(project, "accounts")
    project.customer(more="  select:\n    grades: ['05']\n    roles: [aide]\n")
    refused = plan(project, day)
    assert (refused.code, refused.json["customers"][0]["outcome"]) == (3, "refused")
    (found,) = [
        each for each in refused.json["customers"][0]["diagnostics"] if each["code"] == "selection-matches-nobody"
    ]
    assert "rostering.select.roles" in found["message"]
    assert (found["file"], found["line"]) == ("customers/springfield/customer.yaml", line_of("roles: [aide]"))
    project.apply("springfield", "--zip", day)
    assert live(project, "accounts") == people


def test_school_missing_from_the_file_warns_at_its_line(project: Project, day: Path) -> None:
    project.customer(more="  select:\n    schools:\n      - s-1\n      - s-7\n")
    (found,) = [
        each
        for each in plan(project, day).json["customers"][0]["diagnostics"]
        if each["code"] == "selected-row-missing"
    ]
    assert (found["severity"], found["line"]) == ("warning", line_of("- s-7"))
