"""`apply --expect`: what is planned again is what was reviewed, or nothing is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundles import bundle
from project import Project, Result, changes

DAY_ONE = bundle(users=20)
STUDENT = DAY_ONE.students()[0]
NUMBER = next(row["identifier"] for row in DAY_ONE.tables["users"] if row["sourcedId"] == STUDENT)


@pytest.fixture
def launched(project: Project) -> Project:
    """A customer with two accounts that a launch made; the first has a student's number."""
    project.customer()
    assert project.apply("springfield").code == 0
    with project.by_hand() as cursor:
        for number in (NUMBER, "somebody-else"):
            cursor.execute(
                "insert into accounts (customer_id, managed_by, status, identifier)"
                f" select id, 'lti', 'active', '{number}' from customers"
            )
    return project


def day_one(project: Project) -> Path:
    return DAY_ONE.zip(project.folder / "day.zip")


def expected(project: Project) -> str:
    plan = project.plan("springfield", "--zip", day_one(project))
    (adoption,) = [each for each in changes(plan, "user") if each["action"] == "adopt"]
    assert adoption["key"] == STUDENT
    return str(plan.json["plan_id"])


def expecting(project: Project, plan_id: str) -> int:
    return project.run("apply", "springfield", "--zip", day_one(project), "--expect", plan_id).code


def test_an_adoption_of_another_account_is_another_plan(launched: Project) -> None:
    reviewed = expected(launched)
    with launched.by_hand() as cursor:
        cursor.execute(f"update accounts set identifier = 'nobody' where identifier = '{NUMBER}'")
        cursor.execute(f"update accounts set identifier = '{NUMBER}' where identifier = 'somebody-else'")

    assert expected(launched) != reviewed
    assert expecting(launched, reviewed) == 4
    assert launched.ask("select count(*) from accounts where managed_by = 'lti'") == [(2,)]


def test_an_adoption_of_an_account_that_somebody_else_manages_is_another_plan(launched: Project) -> None:
    reviewed = expected(launched)
    with launched.by_hand() as cursor:
        cursor.execute(f"update accounts set managed_by = 'join_link' where identifier = '{NUMBER}'")

    assert expecting(launched, reviewed) == 4


def test_the_same_adoption_is_the_same_plan(launched: Project) -> None:
    assert expecting(launched, expected(launched)) == 0
    assert launched.ask(f"select managed_by from accounts where identifier = '{NUMBER}'") == [("roster",)]


def test_a_plan_that_was_not_expected_says_what_it_would_do_now(project: Project) -> None:
    project.customer()
    assert project.apply("springfield", "--zip", day_one(project)).code == 0
    one = DAY_ONE.without_users([STUDENT])
    reviewed = project.plan("springfield", "--zip", one.zip(project.folder / "one.zip")).json["plan_id"]
    later = one.with_user("u-9001").with_user(DAY_ONE.students()[1], email="new@example.com")

    told = project.run("apply", "springfield", "--zip", later.zip(project.folder / "two.zip"), "--expect", reviewed)
    assert told.code == 4
    assert "Now it would delete 3, update 1, create 1." in told.err, "a person with two enrollments goes"
    assert STUDENT not in told.err
    assert "1 person to update · 1 to add" in told.out, "the plan as it is now is shown"


HIGH = """\
kind: community
id: high
name: {name}
site_license: {{seats: 100, starts: 2026-08-01, ends: 2027-07-31}}
"""
LATER = DAY_ONE.without_users(DAY_ONE.students()[:2]).with_user(DAY_ONE.students()[3], email="new@example.com")


@pytest.fixture
def reviewed(project: Project) -> str:
    """The id of a plan that deletes two people, changes one, renames Springfield and adds a community to it and a
    customer; it is saved as `reviewed.plan`."""
    project.customer()
    assert project.apply("springfield", "--zip", day_one(project)).code == 0
    project.customer(title="New Name")
    project.write("customers/springfield/communities/high.yaml", HIGH.format(name="High"))
    plan = project.plan("springfield", "--zip", later(project), "--out", project.folder / "reviewed.plan")
    assert plan.code == 2
    return str(plan.json["plan_id"])


def later(project: Project, roster: object = None) -> Path:
    made = roster or LATER
    return made.zip(project.folder / "later.zip")  # type: ignore[attr-defined, no-any-return]


def again(project: Project, expect: str | Path, roster: object = None) -> Result:
    return project.run("apply", "springfield", "--zip", later(project, roster), "--expect", expect)


def runs(project: Project) -> int:
    return int(project.ask("select count(*) from runs")[0][0])


def left(project: Project) -> int:
    return int(project.ask("select count(*) from accounts where tombstoned_at is not null")[0][0])


@pytest.mark.parametrize("by", ["id", "file"])
def test_the_same_effects_are_applied(project: Project, reviewed: str, by: str) -> None:
    assert again(project, reviewed if by == "id" else project.folder / "reviewed.plan").code == 0
    assert left(project) == 2
    assert project.ask("select name from customers") == [("New Name",)]


@pytest.mark.parametrize("by", ["id", "file"])
def test_what_another_run_has_done_of_the_people_is_no_more_to_be_done(project: Project, reviewed: str, by: str) -> None:
    project.customer()
    (project.folder / "customers/springfield/communities/high.yaml").unlink()
    some = DAY_ONE.without_users(DAY_ONE.students()[:1])
    assert project.apply("springfield", "--zip", some.zip(project.folder / "some.zip")).code == 0
    assert left(project) == 1
    project.customer(title="New Name")
    project.write("customers/springfield/communities/high.yaml", HIGH.format(name="High"))

    told = again(project, reviewed if by == "id" else project.folder / "reviewed.plan")
    assert (told.code, left(project)) == (0, 2), told.err
    assert "the plan does less than the reviewed one" in told.err
    if by == "id":
        assert "was carried out since (run 2)" in told.err
    else:
        assert " - delete user P-" in told.err
        assert DAY_ONE.students()[0] not in told.err


@pytest.mark.parametrize("by", ["id", "file"])
def test_what_another_run_has_done_of_the_documents_is_no_more_to_be_done(
    project: Project, reviewed: str, by: str
) -> None:
    assert project.apply("springfield").code == 0, "without its roster: the rename and the community"

    told = again(project, reviewed if by == "id" else project.folder / "reviewed.plan")
    assert (told.code, left(project)) == (0, 2), told.err
