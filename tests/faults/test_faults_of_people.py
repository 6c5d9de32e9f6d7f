"""Faults 102 to 114: people and values that a roster seems to have lost."""

from __future__ import annotations

import pytest

from tests.support.customers.project import Project, Result, changes
from tests.support.rosters.bundles import Bundle, bundle
from tests.support.schools.by_files import DAY_ONE, STUDENTS, School

ONE = STUDENTS[0]
MOVED = [each for each in STUDENTS if DAY_ONE.tables["users"][int(each[2:]) - 1]["orgSourcedIds"] == "s-1"][:4]


def codes(result: Result) -> set[str]:
    return {each["code"] for each in result.json["customers"][0]["diagnostics"]}


def in_new_school(parent: str, people: list[str] = MOVED) -> Bundle:
    """Some pupils of s-1 are now in `south`, with a class of their own."""
    made = DAY_ONE.with_row("orgs", "south", name="South School", type="school", parentSourcedId=parent)
    made = made.with_row(
        "classes", "c-s", title="South 1", classType="scheduled", schoolSourcedId="south", courseSourcedId="x"
    )
    for each in people:
        made = made.with_user(each, orgSourcedIds="south")
    return made


def without_parents(made: Bundle = DAY_ONE) -> Bundle:
    """As some exports write it: no org has a parent."""
    return made.with_rows("orgs", [{**row, "parentSourcedId": ""} for row in made.tables["orgs"]])


def take_schools(school: School, value: str = "ours") -> None:
    path = school.project.customer()
    text = path.read_text(encoding="utf-8")
    path.write_text(
        text.replace("  match_with:", f"  schools_without_parent: {value}\n  match_with:"), encoding="utf-8"
    )


@pytest.mark.parametrize("parent", ["", "gone"])
def test_102_pupils_of_a_school_without_a_parent_stay_and_the_school_is_named(anywhere: School, parent: str) -> None:
    before = anywhere.live()
    made = in_new_school(parent)
    plan = anywhere.plan(made)

    assert plan.code == 0
    assert changes(plan, "user") == []
    (told,) = [
        each
        for each in plan.json["customers"][0]["diagnostics"]
        if (each["code"], each["severity"]) == ("unplaced-org", "warning")
    ]
    assert "South School (south)" in told["message"]
    assert "4 people and 1 class are in it" in told["message"]
    assert ("gone" in told["message"]) == bool(parent)
    assert "schools_without_parent: ours" in told["hint"]
    assert plan.json["customers"][0]["counts"]["user"]["quarantined"] == 4
    assert anywhere.apply(made).code == 0
    assert anywhere.live() == before
    last = anywhere.project.plan("springfield", "--roster", "last")
    assert (last.code, changes(last, "user")) == (0, [])


def test_102_check_and_explain_name_the_school(school: School) -> None:
    path = school.source(in_new_school("").with_user("u-new", orgSourcedIds="south"))
    checked = school.project.run("roster", "check", path)
    assert checked.code == 0
    assert "South School (south) has no parent in orgs.csv; 5 people and 1 class are in it" in checked.out
    for key in (MOVED[0], "u-new"):
        explained = school.project.run("explain", "springfield", key, "--zip", path, "--people", "full")
        assert "South School (south), which has no parent in orgs.csv" in explained.out + explained.err


def test_102_a_live_class_that_moved_to_such_a_school_keeps_its_enrollments(school: School) -> None:
    before = school.live()
    made = in_new_school("").with_row("classes", "c-02", schoolSourcedId="south")
    assert school.apply(made).code == 0
    assert before <= school.live()


def test_102_a_known_school_keeps_its_people_and_its_parent_without_one_in_the_file(school: School) -> None:
    customer = school.quiet(DAY_ONE.with_row("orgs", "s-1", parentSourcedId=""))
    assert customer["changes"] == []


def test_102_a_pupil_of_another_district_left_and_one_of_a_school_below_it_too(school: School) -> None:
    made = in_new_school("d-2").with_row("orgs", "d-2", name="Other", type="district")
    plan = school.plan(made)
    assert [(each["key"], each["reason"]) for each in changes(plan, "user")] == [
        (each, "scope_narrowed") for each in MOVED
    ]


@pytest.mark.parametrize("more", ["nobody", "administrator", "bad row"])
def test_103_a_file_without_parents_is_refused_with_the_key_to_write(project: Project, more: str) -> None:
    project.customer()
    made = without_parents()
    if more == "administrator":
        made = made.with_user("chief", orgSourcedIds="d-1", role="administrator")
    if more == "bad row":
        made = made.with_user(ONE, role="wizard")
    path = made.zip(project.folder / "first.zip")
    plan = project.plan("springfield", "--zip", path)

    customer = plan.json["customers"][0]
    assert (plan.code, customer["outcome"]) == (3, "refused")
    (told,) = customer["diagnostics"][-1:]
    assert told["code"] == "schools-without-parent"
    assert "School 1 (s-1) has no parent in orgs.csv" in told["message"]
    assert "schools_without_parent: ours" in told["hint"]
    assert project.apply("springfield", "--zip", path).code == 3
    assert "schools-without-parent" in project.run("roster", "check", path).out


def test_103_the_key_takes_all_schools_of_the_only_district(anywhere: School) -> None:
    take_schools(anywhere)
    customer = anywhere.quiet(without_parents())
    assert all(change["kind"] == "customer" for change in customer["changes"])
    plan = anywhere.plan(without_parents(in_new_school("")))
    assert {change["action"] for change in changes(plan, "user")} == {"update"}


def test_103_the_key_takes_nothing_where_another_district_is_in_the_file(school: School) -> None:
    take_schools(school)
    made = in_new_school("").with_row("orgs", "d-2", name="Other", type="district")
    plan = school.plan(made)
    assert "schools-of-several-districts" in codes(plan)
    assert changes(plan, "user") == []


def test_103_a_school_of_nobody_is_no_reason_to_refuse_a_district_of_one_office(project: Project) -> None:
    """All people are at the district itself, but for two in a school without a parent."""
    project.customer()
    made = bundle(users=20)
    for each in made.ids("users"):
        made = made.with_user(each, orgSourcedIds="d-1" if each > "u-0002" else "s-1")
    made = made.with_row("orgs", "s-1", parentSourcedId="")
    plan = project.plan("springfield", "--zip", made.zip(project.folder / "first.zip"))
    assert plan.code == 2
    assert len(changes(plan, "user")) == 18
