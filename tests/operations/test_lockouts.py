"""Settings that lock people out are held and count people, like removals."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.customers.project import Project, Result
from tests.support.operations.undo_steps import loaded

COMMUNITY = """\
kind: community
id: high
name: High
site_license: {{seats: 99, starts: 2026-08-01, ends: {ends}}}
{more}"""


def community(project: Project, ends: str = "2099-07-31", more: str = "") -> None:
    project.write("customers/springfield/communities/high.yaml", COMMUNITY.format(ends=ends, more=more))


@pytest.fixture
def springfield(project: Project) -> Project:
    """Forty people, all members of one community."""
    loaded(project)
    community(project)
    project.customer()
    assert project.apply("springfield").code == 0
    return project


def count_members(project: Project) -> int:
    return int(project.ask("select count(distinct account_id) from memberships where source = 'roster'")[0][0])


def waiting(plan: Result) -> dict[str, Any]:
    """The one held change of a plan."""
    (change,) = [each for each in plan.json["customers"][0]["changes"] if each["held"]]
    return dict(change)


def set_status(project: Project, status: str) -> Path:
    path = project.customer()
    path.write_text(path.read_text() + f"status: {status}\n")
    return path


def test_143_deactivation_waits_with_all_its_people(springfield: Project) -> None:
    people = springfield.ask("select count(*) from accounts where tombstoned_at is null")[0][0]
    set_status(springfield, "deactivated")
    plan = springfield.plan()
    change = waiting(plan)
    assert (plan.code, change["reason"], change["impact"]) == (3, "locks_out", {"people": people})
    assert plan.json["customers"][0]["hold"]["people"] == people
    assert plan.json["customers"][0]["weakened"][0]["protection"] == "lockout"
    for output in ("text", "markdown", "html"):
        shown = springfield.run("plan", "--format", output).out
        assert f"{people} people to lock out, HELD" in shown
        assert f"Settings would lock out {people} people; nobody is deleted." in shown
    assert springfield.apply().code == 3
    assert "deactivated" not in springfield.ask("select document from customers")[0][0]
    hold = springfield.plan().json["customers"][0]["hold"]["id"]
    assert springfield.apply("springfield", "--approve", hold).code == 0
    assert "deactivated" in springfield.ask("select document from customers")[0][0]
    assert springfield.plan().code == 0
    set_status(springfield, "active")
    assert springfield.plan().code == 2


def test_143_a_license_that_ends_in_the_past_waits_with_its_members(springfield: Project) -> None:
    members = count_members(springfield)
    assert members > 30
    community(springfield, ends="2026-08-02")
    change = waiting(springfield.plan())
    assert (change["kind"], change["reason"], change["impact"]) == ("community", "locks_out", {"people": members})
    community(springfield, ends="2098-07-31")
    assert springfield.plan().code == 2


def test_143_narrowed_members_wait_and_the_rest_goes_on(springfield: Project) -> None:
    members = count_members(springfield)
    teachers = springfield.ask(
        "select count(distinct account_id) from memberships where source = 'roster' and role = 'teacher'"
    )[0][0]
    community(springfield, more="members: {roles: [teacher]}\n")
    path = springfield.folder / "customers/springfield/customer.yaml"
    path.write_text(path.read_text().replace("name: Springfield District", "name: Springfield Unified"))
    assert waiting(springfield.plan())["impact"] == {"people": members - teachers}
    done = springfield.apply()
    assert done.code == 3, done
    assert count_members(springfield) == members
    assert springfield.ask("select name from customers") == [("Springfield Unified",)]

    again = springfield.plan()
    assert (again.code, waiting(again)["key"]) == (3, "high")
    assert "drift" not in again.out
    hold = again.json["customers"][0]["hold"]["id"]
    assert springfield.apply("springfield", "--approve", hold).code == 0
    assert count_members(springfield) == teachers
    assert springfield.plan().code == 0


def test_143_a_school_that_is_taken_out_counts_its_people_alone(springfield: Project) -> None:
    community(springfield, more="members: {schools: [s-1, s-2]}\n")
    springfield.apply("--yes")
    hold = springfield.plan().json["customers"][0]["hold"]
    if hold:
        springfield.apply("springfield", "--approve", hold["id"])
    before = count_members(springfield)
    community(springfield, more="members: {schools: [s-1]}\n")
    people = waiting(springfield.plan())["impact"]["people"]
    hold = springfield.plan().json["customers"][0]["hold"]["id"]
    assert springfield.apply("springfield", "--approve", hold).code == 0
    assert count_members(springfield) == before - people


def test_144_another_address_of_a_lesson_counts_its_readers(springfield: Project) -> None:
    lesson = "kind: lesson\nid: leaves\ntitle: Leaves\nurl: https://{host}.example/leaves\n"
    springfield.write("customers/springfield/lessons/leaves.yaml", lesson.format(host="lessons"))
    assert springfield.apply("springfield").code == 0
    springfield.write("customers/springfield/lessons/leaves.yaml", lesson.format(host="evil"))
    plan = springfield.plan()
    (change,) = plan.json["customers"][0]["changes"]
    assert (change["held"], change["impact"]) == (False, {"people": count_members(springfield)})
    assert plan.json["customers"][0]["weakened"][0]["protection"] == "lesson_url"
