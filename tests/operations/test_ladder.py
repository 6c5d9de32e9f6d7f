"""Accounts of people who left, are disabled, or are not managed by the roster, through the CLI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.customers.project import Project, Result, changes
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

MADE = bundle(users=30, classes=4)
FIRST, SECOND = MADE.students()[:2]
TEACHER = "u-0010"


def day(project: Project, made: Bundle, name: str = "day.zip") -> Path:
    return made.zip(project.folder / name)


def loaded(project: Project, more: str = "", made: Bundle = MADE) -> Project:
    project.customer(more=more)
    assert project.apply("springfield", "--zip", day(project, made)).code == 0
    return project


def plan(project: Project, made: Bundle) -> Result:
    return project.plan("springfield", "--zip", day(project, made))


def applied(project: Project, made: Bundle) -> Result:
    """Applies the roster and sees that the next plan of it is empty."""
    done = project.apply("springfield", "--zip", day(project, made))
    assert plan(project, made).code == 0
    return done


def people(planned: Result) -> list[tuple[str, str, str]]:
    return [(each["action"], each["reason"], each["key"]) for each in changes(planned, "user")]


def account(project: Project, key: str) -> dict[str, Any]:
    ((status, deleted, manager, enrollments),) = project.ask(
        "select a.status, a.tombstoned_at is not null, a.managed_by, (select count(*) from enrollments e"
        " where e.account_id = a.id and e.tombstoned_at is null) from accounts a"
        f" join identities i on i.account_id = a.id where i.subject = '{key}'"
    )
    return {"status": status, "deleted": bool(deleted), "manager": manager, "enrollments": enrollments}


def managed_by(project: Project, key: str, manager: str) -> None:
    with project.by_hand() as cursor:
        cursor.execute(
            f"update accounts set managed_by = '{manager}' where id in"
            f" (select account_id from identities where subject = '{key}')"
        )


def said(planned: Result, code: str) -> list[str]:
    return [each["message"] for each in planned.json["customers"][0]["diagnostics"] if each["code"] == code]


def test_who_is_absent_is_suspended_and_resumed_with_everything(project: Project) -> None:
    loaded(project, "  missing: suspend\n")
    before = account(project, FIRST)
    gone = MADE.without_users([FIRST])

    assert people(plan(project, gone)) == [("suspend", "roster_row_missing", FIRST)]
    assert applied(project, gone).code == 0
    assert account(project, FIRST) == {**before, "status": "suspended"}
    assert said(plan(project, gone), "absent-kept") == [
        "1 people are not in the roster, or not selected, but stay suspended because of `missing: suspend`"
    ]

    assert people(plan(project, MADE)) == [("resume", "returned", FIRST)]
    assert applied(project, MADE).code == 0
    assert account(project, FIRST) == before


def test_absent_person_returning_disabled_stays_suspended(project: Project) -> None:
    loaded(project, "  missing: suspend\n")
    assert applied(project, MADE.without_users([FIRST])).code == 0
    disabled = MADE.with_user(FIRST, enabledUser="false")

    assert people(plan(project, disabled)) == []
    assert applied(project, disabled).code == 0
    assert account(project, FIRST)["status"] == "suspended"
    assert people(plan(project, MADE)) == [("resume", "returned", FIRST)]


def test_suspensions_for_absence_count_against_the_limits(project: Project) -> None:
    loaded(project, "  missing: suspend\n")
    many = plan(project, MADE.without_users(MADE.students()[:10]))
    assert many.code == 3
    assert {each["held"] for each in changes(many, "user")} == {True}


def test_absent_people_may_stay_and_are_counted(project: Project) -> None:
    loaded(project, "  missing: keep\n")
    before = account(project, FIRST)
    gone = MADE.without_users([FIRST, SECOND])

    planned = plan(project, gone)
    assert (planned.code, people(planned), changes(planned, "enrollment")) == (0, [], [])
    assert said(planned, "absent-kept") == [
        "2 people are not in the roster, or not selected, but stay because of `missing: keep`"
    ]
    assert applied(project, gone).code == 0
    assert account(project, FIRST) == before


@pytest.mark.parametrize("missing", ["keep", "suspend", "delete"])
def test_people_marked_for_deletion_go_whatever_missing_says(project: Project, missing: str) -> None:
    loaded(project, f"  missing: {missing}\n")
    marked = MADE.with_user(FIRST, status="tobedeleted")

    planned = plan(project, marked)
    assert people(planned) == [("delete", "roster_tobedeleted", FIRST)]
    used = [each["seen"] for each in planned.json["customers"][0]["limits"] if each["kind"] == "user"]
    assert used[0] == 1
    assert applied(project, marked).code == 0
    assert account(project, FIRST)["deleted"]
    assert people(plan(project, MADE)) == [("restore", "returned", FIRST)]


def test_disabled_people_are_suspended_and_resumed_outside_all_limits(project: Project) -> None:
    loaded(project)
    many = MADE.students()[:6]
    disabled = MADE
    for key in many:
        disabled = disabled.with_user(key, enabledUser="false")

    planned = plan(project, disabled)
    assert planned.code == 2
    assert people(planned) == [("suspend", "roster_disabled", key) for key in sorted(many)]
    assert not any(each["held"] for each in changes(planned, "user"))
    assert {each["seen"] for each in planned.json["customers"][0]["limits"]} == {0}
    before = account(project, FIRST)
    assert applied(project, disabled).code == 0
    assert account(project, FIRST) == {**before, "status": "suspended"}

    assert people(plan(project, MADE)) == [("resume", "returned", key) for key in sorted(many)]
    assert applied(project, MADE).code == 0
    assert account(project, FIRST) == before


def test_a_column_that_locks_many_people_out_waits(project: Project) -> None:
    loaded(project)
    disabled = MADE
    for key in MADE.students()[:20]:
        disabled = disabled.with_user(key, enabledUser="false")
    planned = plan(project, disabled)
    assert planned.code == 3
    assert all(each["held"] for each in changes(planned, "user"))


@pytest.mark.parametrize("missing", ["delete", "suspend"])
def test_who_is_protected_stays_whatever_the_roster_says(project: Project, missing: str) -> None:
    loaded(project, f"  missing: {missing}\n  protect: [{FIRST}, {SECOND}]\n")
    before = account(project, FIRST)
    gone = MADE.without_users([FIRST]).with_user(SECOND, status="tobedeleted")

    planned = plan(project, gone)
    assert people(planned) == []
    assert said(planned, "protected-kept") == ["2 people are not in the roster but stay because of `protect`"]
    assert applied(project, gone).code == 0
    assert account(project, FIRST) == before


@pytest.mark.parametrize("missing", ["delete", "suspend"])
def test_an_administrator_is_neither_deleted_nor_suspended(project: Project, missing: str) -> None:
    made = MADE.with_user("boss", role="administrator").with_user("chief", role="administrator")
    loaded(project, f"  missing: {missing}\n", made)

    for gone in (
        made.without_users(["boss"]).with_user("chief", status="tobedeleted"),
        made.with_user("boss", enabledUser="false").with_user("chief", enabledUser="false"),
    ):
        planned = plan(project, gone)
        assert people(planned) == []
        assert len(said(planned, "administrator-kept")) == 1
        assert applied(project, gone).code == 0
        assert account(project, "boss")["status"] == "active"
        assert not account(project, "chief")["deleted"]


def test_disabled_administrator_can_be_enabled(project: Project) -> None:
    loaded(project, made=MADE.with_user("boss", role="administrator", enabledUser="false"))
    assert account(project, "boss")["status"] == "suspended"
    assert people(plan(project, MADE.with_user("boss", role="administrator"))) == [("resume", "returned", "boss")]


@pytest.mark.parametrize("manager", ["lti", "join_link", "portal", "config"])
@pytest.mark.parametrize("missing", ["delete", "suspend"])
def test_unmanaged_account_is_never_removed_by_the_roster(project: Project, missing: str, manager: str) -> None:
    loaded(project, f"  missing: {missing}\n")
    managed_by(project, FIRST, manager)
    managed_by(project, SECOND, manager)

    theirs = (
        "select a.id, a.status, a.tombstoned_at from accounts a join identities i on i.account_id = a.id"
        f" where i.subject in ('{FIRST}', '{SECOND}') order by a.id"
    )
    before = project.ask(theirs)
    numbers = ", ".join(str(number) for number, _, _ in before)

    gone = MADE.without_users([FIRST]).with_user(SECOND, status="tobedeleted")
    assert {action for action, _, _ in people(plan(project, gone))} <= {"update"}
    assert applied(project, gone).code == 0
    assert project.ask(f"select id, status, tombstoned_at from accounts where id in ({numbers}) order by id") == before
    assert [(status, deleted) for _, status, deleted in before] == [("active", None)] * 2


@pytest.mark.parametrize("manager", ["join_link", "portal", "config"])
def test_roster_neither_suspends_nor_resumes_unmanaged_accounts(project: Project, manager: str) -> None:
    loaded(project)
    managed_by(project, FIRST, manager)
    managed_by(project, SECOND, manager)
    with project.by_hand() as cursor:
        cursor.execute(
            "update accounts set status = 'suspended' where id in"
            f" (select account_id from identities where subject = '{SECOND}')"
        )
    disabled = MADE.with_user(FIRST, enabledUser="false")

    planned = plan(project, disabled)
    assert people(planned) == []
    assert len(said(planned, "unmanaged-kept")) == 1
    assert applied(project, disabled).code == 0
    assert (account(project, FIRST)["status"], account(project, SECOND)["status"]) == ("active", "suspended")


def test_changed_name_reaches_an_account_keeping_its_status(project: Project) -> None:
    loaded(project)
    managed_by(project, FIRST, "portal")
    renamed = MADE.with_user(FIRST, enabledUser="false", givenName="Nova")

    (change,) = changes(plan(project, renamed), "user")
    assert (change["action"], [field["path"] for field in change["fields"]]) == ("update", ["given_name"])
    assert applied(project, renamed).code == 0
    assert account(project, FIRST)["status"] == "active"


def test_unreadable_rows_naming_a_deleted_org_are_settled(project: Project) -> None:
    """The org's row is bad and the org is gone: its people and classes are wanted without it, once."""
    made = MADE.with_row("orgs", "s-3", name="Closed", type="school", parentSourcedId="d-1")
    loaded(project, made=made)
    assert applied(project, MADE).code == 0
    bad = made.with_row("orgs", "s-3", type="hovercraft").with_user(FIRST, orgSourcedIds="s-1,s-3")
    for number in ("4", "5"):
        bad = bad.with_row("classes", f"c-0{number}", schoolSourcedId="s-3", title="Late", classType="scheduled")

    assert project.apply("springfield", "--zip", day(project, bad)).code == 0
    again = plan(project, bad)
    assert [(each["action"], each["kind"], each["key"]) for each in again.json["customers"][0]["changes"]] == []
    whole = bad.with_row("orgs", "s-3", type="school")
    assert applied(project, whole).code == 0
    ((school,),) = project.ask(
        "select o.sourced_id from classes c join orgs o on o.id = c.org_id where c.sourced_id = 'c-05'"
    )
    assert school == "s-3"
