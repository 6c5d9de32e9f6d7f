"""`apply --expect` applies a new plan only if it matches the reviewed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.customers.project import Project, Result, changes
from tests.support.rosters.bundles import bundle

pytestmark = pytest.mark.slow

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


def test_adoption_of_an_account_managed_by_another_changes_the_plan(launched: Project) -> None:
    reviewed = expected(launched)
    with launched.by_hand() as cursor:
        cursor.execute(f"update accounts set managed_by = 'join_link' where identifier = '{NUMBER}'")

    assert expecting(launched, reviewed) == 4


def test_the_same_adoption_is_the_same_plan(launched: Project) -> None:
    assert expecting(launched, expected(launched)) == 0
    assert launched.ask(f"select managed_by from accounts where identifier = '{NUMBER}'") == [("roster",)]


def test_unexpected_plan_says_what_it_would_do_now(project: Project) -> None:
    project.customer()
    assert project.apply("springfield", "--zip", day_one(project)).code == 0
    one = DAY_ONE.without_users([STUDENT])
    reviewed = project.plan("springfield", "--zip", one.zip(project.folder / "one.zip")).json["plan_id"]
    later = one.with_user("u-9001").with_user(DAY_ONE.students()[1], email="new@example.com")

    told = project.run("apply", "springfield", "--zip", later.zip(project.folder / "two.zip"), "--expect", reviewed)
    assert told.code == 4
    assert "It would now delete 3, update 1, create 1." in told.err, "a person with two enrollments goes"
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
def test_people_changed_by_another_run_need_nothing_more(project: Project, reviewed: str, by: str) -> None:
    project.customer()
    (project.folder / "customers/springfield/communities/high.yaml").unlink()
    some = DAY_ONE.without_users(DAY_ONE.students()[:1])
    assert project.apply("springfield", "--zip", some.zip(project.folder / "some.zip")).code == 0
    assert left(project) == 1
    project.customer(title="New Name")
    project.write("customers/springfield/communities/high.yaml", HIGH.format(name="High"))

    told = again(project, reviewed if by == "id" else project.folder / "reviewed.plan")
    assert (told.code, left(project)) == (0, 2), told.err
    assert "the plan makes fewer changes than the reviewed one" in told.err
    if by == "id":
        assert "the others were applied since (run 2)" in told.err
    else:
        assert " - delete user P-" in told.err
        assert DAY_ONE.students()[0] not in told.err


@pytest.mark.parametrize("by", ["id", "file"])
def test_documents_changed_by_another_run_need_nothing_more(project: Project, reviewed: str, by: str) -> None:
    assert project.apply("springfield").code == 0, "without its roster: the rename and the community"

    told = again(project, reviewed if by == "id" else project.folder / "reviewed.plan")
    assert (told.code, left(project)) == (0, 2), told.err


def test_one_deletion_fewer_counts_as_less_than_reviewed(project: Project, reviewed: str) -> None:
    fewer = DAY_ONE.without_users(DAY_ONE.students()[:1]).with_user(DAY_ONE.students()[3], email="new@example.com")
    before = runs(project)

    by_id = again(project, reviewed, fewer)
    assert (by_id.code, runs(project), left(project)) == (4, before, 0)
    assert "--expect FILE" in by_id.err

    by_file = again(project, project.folder / "reviewed.plan", fewer)
    assert (by_file.code, left(project)) == (0, 1)
    assert "was reviewed but is no longer planned" in by_file.err


def test_more_than_was_reviewed_is_shown_and_not_done(project: Project, reviewed: str) -> None:
    one, two, third, fourth = DAY_ONE.students()[:4]
    more = DAY_ONE.without_users([one, third]).with_user(fourth, email="other@example.com")
    more = more.with_user("u-9001").with_user(two, email="two@example.com")
    before = runs(project)

    told = project.run(
        "apply", "springfield", "--zip", later(project, more), "--expect", project.folder / "reviewed.plan"
    )
    assert (told.code, runs(project), left(project)) == (4, before, 0)
    assert "[stale-plan]" in told.err
    assert "It would now delete" in told.err
    said = [line.strip() for line in told.err.splitlines()]
    people = [line for line in said if " user " in line]
    assert [" ".join(line.split()[:3]) for line in people] == [
        "+ delete user",
        "+ update user",
        "+ create user",
        "~ update user",
        "- delete user",
    ]
    assert people[3].endswith("differs from what was reviewed")
    assert not any(name in told.err for name in (one, two, third, fourth, "u-9001")), "people are masked"
    assert again(project, reviewed, more).code == 4


def test_changed_document_value_is_not_what_was_reviewed(project: Project, reviewed: str) -> None:
    project.customer(title="Another Name", more="status: deactivated\n")
    project.write("customers/springfield/communities/high.yaml", HIGH.format(name="Higher"))

    told = again(project, project.folder / "reviewed.plan")
    assert told.code == 4
    said = [line.strip() for line in told.err.splitlines()]
    assert "~ update customer springfield name differs from what was reviewed" in said
    assert "~ create community high differs from what was reviewed" in said
    assert "+ update customer springfield status was not reviewed" in said
    assert project.ask("select name from customers") == [("Springfield District",)]


def test_a_document_that_changes_no_more_is_less(project: Project, reviewed: str) -> None:
    project.customer()

    told = again(project, project.folder / "reviewed.plan")
    assert (told.code, left(project)) == (0, 2)
    assert "- update customer springfield name was reviewed but is no longer planned" in told.err


@pytest.mark.parametrize("by", ["id", "file"])
def test_a_customer_that_was_applied_meanwhile_drops_out(project: Project, by: str) -> None:
    for name in ("ogdenville", "springfield"):
        project.customer(name)
    expected = str(project.plan("--out", project.folder / "reviewed.plan").json["plan_id"])
    assert project.apply("ogdenville").code == 0

    told = project.run("apply", "--expect", expected if by == "id" else project.folder / "reviewed.plan")
    assert told.code == 0, told.err
    assert project.ask("select slug from customers order by slug") == [("ogdenville",), ("springfield",)]


def test_customer_with_its_change_reverted_drops_out(project: Project) -> None:
    for name in ("ogdenville", "springfield"):
        project.customer(name)
    assert project.apply().code == 0
    for name in ("ogdenville", "springfield"):
        project.customer(name, title="New Name")
    expected = str(project.plan("--out", project.folder / "reviewed.plan").json["plan_id"])
    project.customer("ogdenville")
    before = runs(project)

    assert project.run("apply", "--expect", expected).code == 4
    assert runs(project) == before
    assert project.run("apply", "--expect", project.folder / "reviewed.plan").code == 0
    assert project.ask("select name from customers where slug = 'springfield'") == [("New Name",)]


def test_partly_applied_plan_can_be_expected_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    lti = "lti: {platforms: [{id: lms, consumer_key: %s, shared_secret: {secret: lms}, community: high}]}\n"
    for name in ("ogdenville", "springfield"):
        project.customer(name, more=lti % name if name == "springfield" else "")
        project.write(f"customers/{name}/communities/high.yaml", HIGH.format(name="High"))
    project.write(
        "customers/lessons/cells.yaml", "kind: lesson\nid: cells\ntitle: Cells\nurl: https://l.example/cells\n"
    )
    expected = str(project.plan().json["plan_id"])
    assert project.run("apply", "--expect", expected).code == 5, "springfield's secret is not set"
    assert project.ask("select slug from lessons") == [("cells",)]
    assert project.ask("select slug from customers") == [("ogdenville",)]
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__LMS", "very secret")

    told = project.run("apply", "--expect", expected)
    assert told.code == 0, told.err
    assert project.ask("select slug from customers order by slug") == [("ogdenville",), ("springfield",)]


@pytest.mark.parametrize("by", ["id", "file"])
def test_hold_can_be_approved_with_the_reviewed_plan(project: Project, by: str) -> None:
    project.customer()
    assert project.apply("springfield", "--zip", day_one(project)).code == 0
    many = DAY_ONE.without_users(DAY_ONE.students()[:10]).with_user("u-9001")
    plan = project.plan("springfield", "--zip", later(project, many), "--out", project.folder / "reviewed.plan")
    expected = plan.json["plan_id"] if by == "id" else project.folder / "reviewed.plan"

    assert again(project, expected, many).code == 3
    assert left(project) == 0
    (hold,) = [customer["hold"]["id"] for customer in plan.json["customers"]]
    told = project.run("apply", "springfield", "--zip", later(project, many), "--expect", expected, "--approve", hold)
    assert (told.code, left(project)) == (0, 10), told.err


def test_hold_released_by_a_run_keeps_its_reviewed_id(project: Project) -> None:
    for name in ("ogdenville", "springfield"):
        project.customer(name)
        project.write(f"customers/{name}/communities/high.yaml", HIGH.format(name="High"))
    assert project.apply().code == 0
    for name in ("ogdenville", "springfield"):
        project.customer(name, title="New Name")
    (project.folder / "customers/springfield/communities/high.yaml").unlink()
    plan = project.plan()
    (hold,) = [customer["hold"]["id"] for customer in plan.json["customers"] if customer["hold"]]
    assert project.apply("springfield", "--approve", hold).code == 0

    told = project.run("apply", "--expect", plan.json["plan_id"])
    assert told.code == 0, told.err
    assert "the others were applied since (run" in told.err
    assert project.ask("select count(*) from customers where name = 'New Name'") == [(2,)]


def test_effects_of_a_run_count_whatever_follows(project: Project, reviewed: str) -> None:
    assert project.apply("springfield").code == 0, "without its roster: the rename and the community"
    with project.by_hand() as cursor:
        cursor.execute("delete from memberships")
        cursor.execute("delete from communities")
    (project.folder / "customers/springfield/communities/high.yaml").unlink()

    told = again(project, reviewed)
    assert (told.code, left(project)) == (0, 2), told.err


def test_a_run_whose_effects_are_not_kept_proves_nothing(project: Project, reviewed: str) -> None:
    assert project.apply("springfield").code == 0
    with project.by_hand() as cursor:
        cursor.execute("delete from run_effects")
    before = runs(project)

    told = again(project, reviewed)
    assert (told.code, runs(project), left(project)) == (4, before, 0)
    assert "--expect FILE" in told.err


def test_change_reviewed_as_held_needs_approval(project: Project) -> None:
    project.customer()
    everybody = bundle(users=60)
    assert project.apply("springfield", "--zip", everybody.zip(project.folder / "day.zip")).code == 0
    fewer = everybody.without_users(everybody.students()[:8])
    plan = project.plan("springfield", "--zip", later(project, fewer), "--out", project.folder / "reviewed.plan")
    assert plan.code == 3, "more than the limit, and too few for a source to be doubted"
    project.customer(more="  limits: {users: {percent: 100, per_school_percent: 100}, enrollments: {percent: 100}}\n")
    assert project.apply("springfield").code == 0

    told = again(project, project.folder / "reviewed.plan", fewer)
    assert (told.code, left(project)) == (4, 0)
    assert "was waiting for approval" in told.err


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ("no/such.plan", 64, "plan file no/such.plan not found"),
        ("reconciler.yaml", 1, "[bad-plan-file]"),
        ("monday", 64, "neither a plan ID"),
    ],
)
def test_invalid_reviewed_plan_is_reported_before_any_work(project: Project, given: str, code: int, said: str) -> None:
    project.customer()
    told = project.run("apply", "springfield", "--expect", given)
    assert (told.code, said in told.err) == (code, True), told.err
    assert project.ask("select count(*) from customers") == [(0,)]
