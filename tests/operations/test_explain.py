"""`explain` shows the state of a row, its reasons, and the next plan's change to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.customers.project import Project, Result
from tests.support.rosters.bundles import bundle

pytestmark = pytest.mark.slow

DAY_ONE = bundle(users=40)
STUDENT = DAY_ONE.students()[0]


def zipped(project: Project, made: Any, name: str = "day.zip") -> Path:
    return made.zip(project.folder / name)


@pytest.fixture
def springfield(project: Project) -> Project:
    project.customer()
    assert project.apply("springfield", "--zip", zipped(project, DAY_ONE)).code == 0
    return project


def told(project: Project, key: str, *more: str | Path) -> Result:
    return project.run("explain", "springfield", key, "--people", "full", *more)


def thing(project: Project, key: str, *more: str | Path) -> dict[str, Any]:
    result = told(project, key, "--format", "json", *more)
    assert result.code == 0, result.err
    (found,) = result.json["things"]
    return dict(found)


def test_person_is_explained_with_run_line_and_belongings(springfield: Project) -> None:
    line = DAY_ONE.ids("users").index(STUDENT) + 2
    found = thing(springfield, STUDENT)
    assert (found["kind"], found["state"], found["managed_by"]) == ("user", "live", "roster")
    assert found["origin"] == {"file_and_line": f"users.csv:{line}", "run": 1, "created_run": 1}
    assert found["runs"] == [{"run": 1, "action": "create"}]
    assert found["identities"] == [f"springfield/main: {STUDENT}"]
    assert found["goes_along"]["classes"] > 0
    assert found["next"]["action"] is None
    text = told(springfield, STUDENT).out
    assert "active, managed by roster" in text
    assert f"from users.csv:{line}" in text
    assert "no change, by zip day.zip" in text


def test_a_person_is_found_by_username_pseudonym_and_kind(springfield: Project) -> None:
    username = next(row["username"] for row in DAY_ONE.tables["users"] if row["sourcedId"] == STUDENT)
    masked = springfield.run("explain", "springfield", STUDENT).out.split()[1]
    assert masked.startswith("P-")
    for key in (username.upper(), masked, f"user:{STUDENT}"):
        assert thing(springfield, key)["key"] == STUDENT


def test_outside_a_terminal_nobody_is_named(springfield: Project) -> None:
    row = next(row for row in DAY_ONE.tables["users"] if row["sourcedId"] == STUDENT)
    for form in ("text", "json"):
        out = springfield.run("explain", "springfield", STUDENT, "--format", form).out
        for value in (STUDENT, row["familyName"], row["email"], row["username"]):
            assert value not in out


def test_next_change_is_explained_with_reason_and_hold(springfield: Project) -> None:
    fewer = zipped(springfield, DAY_ONE.without_users([STUDENT]), "fewer.zip")
    found = thing(springfield, STUDENT, "--zip", fewer)
    assert (found["next"]["action"], found["next"]["reason"]) == ("delete", "roster_row_missing")
    assert "to remove: It is no longer in the roster." in told(springfield, STUDENT, "--zip", fewer).out
    many = zipped(springfield, DAY_ONE.without_users(DAY_ONE.students()[:9]), "many.zip")
    assert thing(springfield, STUDENT, "--zip", many)["next"]["held"]


def test_removed_person_is_explained_with_the_removing_run(springfield: Project) -> None:
    springfield.apply("springfield", "--zip", zipped(springfield, DAY_ONE.without_users([STUDENT])))
    found = thing(springfield, STUDENT)
    assert (found["state"], found["runs"]) == (
        "removed",
        [{"run": 1, "action": "create"}, {"run": 2, "action": "delete"}],
    )
    assert "by run 2, and can be restored" in told(springfield, STUDENT).out


def test_a_class_and_an_org_are_told(springfield: Project) -> None:
    class_ = thing(springfield, "class:c-01")
    assert (class_["kind"], class_["goes_along"]["enrollments"] > 0) == ("class", True)
    school = thing(springfield, "s-1")
    assert (school["kind"], school["goes_along"]["people"] > 0) == ("org", True)


def test_what_another_hand_changed_is_told(springfield: Project) -> None:
    with springfield.by_hand() as cursor:
        cursor.execute("UPDATE accounts SET given_name = 'Other' WHERE managed_by = 'roster'")
    found = thing(springfield, STUDENT)
    assert found["changed_by_hand"]
    assert (found["next"]["action"], found["next"]["reason"]) == ("update", "drift")


def test_an_administrator_is_told_to_stay(springfield: Project) -> None:
    assert any("config manages it" in sentence for sentence in thing(springfield, "ada")["stays"])


@pytest.mark.parametrize("key", ["nobody", "P-00000000", "class:u-0001"])
def test_unknown_key_is_reported_with_the_possible_forms(springfield: Project, key: str) -> None:
    result = told(springfield, key)
    assert (result.code, result.out) == (1, "")
    assert "unknown-key" in result.err
    assert "pseudonym" in result.err


def test_explaining_writes_nothing(springfield: Project) -> None:
    before = springfield.ask("SELECT count(*) FROM runs")
    thing(springfield, STUDENT)
    assert springfield.ask("SELECT count(*) FROM runs") == before
