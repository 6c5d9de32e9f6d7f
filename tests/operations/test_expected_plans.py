"""`apply --expect`: what is planned again is what was reviewed, or nothing is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundles import bundle
from project import Project, changes

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
