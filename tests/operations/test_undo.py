"""`undo RUN` of a roster restores what the run changed, and loses no later change."""

from __future__ import annotations

import pytest

from reconciler.store.erased_people import make_anonymous_record
from reconciler.store.key import StoreKey
from tests.support.customers.project import KEY, Project, changes, keys
from tests.support.operations.undo_steps import (
    ANN,
    BEN,
    DAY_ONE,
    EVE,
    account,
    applied,
    codes,
    enrollments,
    is_as_of,
    loaded,
    planned,
    undo,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def springfield(project: Project) -> Project:
    return loaded(project)


# What a run did to a roster


def test_deleted_people_return_with_accounts_and_enrollments(springfield: Project) -> None:
    before = account(springfield, ANN), enrollments(springfield, ANN)
    run = applied(springfield, DAY_ONE.without_users([ANN, BEN]))
    assert not account(springfield, ANN)[-1]

    plan = planned(springfield, run)
    assert keys(plan, "user", "restore") == [ANN, BEN]
    assert {change["reason"] for change in changes(plan, "user")} == {"undone"}
    assert not account(springfield, ANN)[-1], "--out only saves"

    result = undo(springfield, run)
    assert f"springfield: applied (run {run + 1})" in result.out
    assert (account(springfield, ANN), enrollments(springfield, ANN)) == before
    assert is_as_of(springfield, DAY_ONE)


def test_created_people_are_soft_deleted_and_a_second_undo_restores(springfield: Project) -> None:
    later = DAY_ONE.with_user("u-new").with_row(
        "enrollments",
        "e-new",
        classSourcedId="c-02",
        schoolSourcedId="s-1",
        userSourcedId="u-new",
        role="student",
        primary="false",
    )
    run = applied(springfield, later)
    made = account(springfield, "u-new"), enrollments(springfield, "u-new")
    assert made[1]

    undo(springfield, run)
    assert account(springfield, "u-new") == (*made[0][:4], False)
    assert enrollments(springfield, "u-new") == []
    assert is_as_of(springfield, DAY_ONE)

    undo(springfield, run + 1)
    assert (account(springfield, "u-new"), enrollments(springfield, "u-new")) == made
    assert is_as_of(springfield, later)


def test_usernames_that_were_swapped_are_swapped_back(springfield: Project) -> None:
    names = account(springfield, ANN)[1], account(springfield, BEN)[1]
    swapped = DAY_ONE.with_user(ANN, username=names[1]).with_user(BEN, username=names[0], email="ben@new.example")
    run = applied(springfield, swapped)
    assert (account(springfield, ANN)[1], account(springfield, BEN)[1]) == names[::-1]
    plan = planned(springfield, run)
    assert keys(plan, "user", "update") == [ANN, BEN]
    undo(springfield, run)
    assert (account(springfield, ANN)[1], account(springfield, BEN)[1]) == names
    assert is_as_of(springfield, DAY_ONE)


def test_rekeyed_person_regains_the_old_sourced_id(springfield: Project) -> None:
    who = account(springfield, ANN)
    row = next(row for row in DAY_ONE.tables["users"] if row["sourcedId"] == ANN)
    theirs = [row for row in DAY_ONE.tables["enrollments"] if row["userSourcedId"] == ANN]
    rekeyed = DAY_ONE.without_users([ANN]).with_rows(
        "enrollments",
        [
            *(row for row in DAY_ONE.tables["enrollments"] if row["userSourcedId"] != ANN),
            *({**row, "userSourcedId": "n-1"} for row in theirs),
        ],
    )
    rekeyed = rekeyed.with_rows("users", [*rekeyed.tables["users"], {**row, "sourcedId": "n-1"}])
    run = applied(springfield, rekeyed)
    assert account(springfield, "n-1")[0] == who[0]

    plan = planned(springfield, run)
    (change,) = changes(plan, "user")
    assert (change["action"], change["key"]) == ("rekey", ANN)
    assert change["fields"][0] == {"path": "sourced_id", "before": "n-1", "after": ANN, "cause": None}
    undo(springfield, run)
    assert account(springfield, ANN) == who
    assert account(springfield, "n-1") == ()
    assert is_as_of(springfield, DAY_ONE)

    undo(springfield, run + 1)
    assert account(springfield, "n-1")[0] == who[0]
    assert is_as_of(springfield, rekeyed)


def test_suspended_people_may_sign_in_again_and_vice_versa(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.with_user(ANN, enabledUser="false"))
    assert account(springfield, ANN)[3] == "suspended"
    assert keys(planned(springfield, run), "user", "resume") == [ANN]
    undo(springfield, run)
    assert account(springfield, ANN)[3] == "active"
    assert keys(planned(springfield, run + 1), "user", "suspend") == [ANN]
    undo(springfield, run + 1)
    assert account(springfield, ANN)[3] == "suspended"


def test_classes_roles_and_schools_go_back(springfield: Project) -> None:
    roles = (
        "select o.sourced_id, r.role from account_roles r join orgs o on o.id = r.org_id"
        f" join identities i on i.account_id = r.account_id where i.subject = '{ANN}' order by 1, 2"
    )
    before = springfield.ask(roles)
    later = (
        DAY_ONE.with_user(ANN, orgSourcedIds="s-1,s-2")
        .with_row("classes", "c-01", title="Botany")
        .without_class("c-03")
        .with_row("orgs", "s-1", name="First School")
    )
    run = applied(springfield, later)
    assert len(springfield.ask(roles)) == 2
    undo(springfield, run)
    assert springfield.ask(roles) == before
    assert springfield.ask("select title from classes where sourced_id = 'c-01'") == [("Class 1",)]
    assert springfield.ask("select count(*) from org_closure") == [(5,)]
    assert is_as_of(springfield, DAY_ONE)


def test_adopted_account_returns_to_its_former_manager(springfield: Project) -> None:
    with springfield.by_hand() as cursor:
        cursor.execute(
            "insert into accounts (customer_id, managed_by, status, given_name, identifier, username, username_key,"
            " role) select id, 'lti', 'active', 'Nia', '990001', 'nia', 'nia', 'student' from customers"
        )
        cursor.execute(
            "insert into issuers (customer_id, name, kind) select id, 'springfield/lti', 'lti' from customers"
        )
        cursor.execute(
            "insert into identities (issuer_id, subject, account_id, customer_id)"
            " select x.id, 'lms-7', a.id, a.customer_id from issuers x, accounts a"
            " where x.kind = 'lti' and a.username = 'nia'"
        )
    number = springfield.ask("select id from accounts where username = 'nia'")[0][0]
    managed = f"select managed_by, given_name, tombstoned_at from accounts where id = {number}"
    subjects = f"select subject from identities where account_id = {number} order by subject"
    before = springfield.ask(managed)
    later = DAY_ONE.with_user("u-nia", identifier="990001", username="nia", givenName="Nina")
    run = applied(springfield, later)
    assert springfield.ask(managed)[0][:2] == ("roster", "Nina")
    assert springfield.ask(subjects) == [("lms-7",), ("u-nia",)]

    undo(springfield, run)
    assert springfield.ask(managed) == before
    assert springfield.ask(subjects) == [("lms-7",)], "the link from the LMS stays"
    assert is_as_of(springfield, DAY_ONE)

    assert keys(planned(springfield, run + 1), "user", "adopt") == ["u-nia"]
    undo(springfield, run + 1)
    assert springfield.ask(managed)[0][:2] == ("roster", "Nina")
    assert springfield.ask(subjects) == [("lms-7",), ("u-nia",)]


def test_runs_are_taken_back_one_after_the_other(springfield: Project) -> None:
    """Both changed the same person; the second is no later change any more once it is undone."""
    one = applied(springfield, DAY_ONE.with_user(ANN, email="one@new.example"))
    two = applied(springfield, DAY_ONE.with_user(ANN, email="two@new.example"))
    assert list(codes(planned(springfield, one))).count("changed-since") == 1
    undo(springfield, two)
    assert account(springfield, ANN)[2] == "one@new.example"
    assert "changed-since" not in codes(planned(springfield, one))
    undo(springfield, one)
    assert is_as_of(springfield, DAY_ONE)


# What later runs and other hands did


def test_later_changes_are_left_alone_and_listed(springfield: Project) -> None:
    first = DAY_ONE.with_user(ANN, email="ann@new.example").without_users([BEN, EVE]).with_user("u-new")
    one = applied(springfield, first)
    second = first.with_user(ANN, email="ann@newest.example").with_user("u-new", email="new@new.example")
    two = applied(springfield, second)

    plan = planned(springfield, one)
    assert sorted(codes(plan)["changed-since"]) == [
        f"2 rows skipped (run {two}: 2): they were changed since by later runs or outside reconciler",
        f"user {ANN} was changed since by run {two}; skipped",
        f"user u-new was changed since by run {two}; skipped",
    ]
    assert keys(plan, "user", "restore") == [BEN, EVE]
    assert [change["key"] for change in changes(plan, "user")] == [BEN, EVE]
    undo(springfield, one)
    assert account(springfield, ANN)[2] == "ann@newest.example"
    assert account(springfield, "u-new")[-1]
    assert account(springfield, BEN)[-1]


def test_person_deleted_again_by_a_later_run_is_skipped(springfield: Project) -> None:
    """Nobody can tell by looking: the account is as the first run left it, deleted."""
    one = applied(springfield, DAY_ONE.without_users([ANN]))
    applied(springfield, DAY_ONE)
    three = applied(springfield, DAY_ONE.without_users([ANN]))
    plan = planned(springfield, one)
    assert keys(plan, "user", "restore") == []
    assert f"user {ANN} was changed since by run {three - 1}; skipped" in codes(plan)["changed-since"]
    assert keys(planned(springfield, three), "user", "restore") == [ANN]


def test_what_another_hand_changed_is_left_alone_and_listed(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.with_user(ANN, email="ann@new.example").with_user(BEN, email="b@new.example"))
    with springfield.by_hand() as cursor:
        cursor.execute("update accounts set family_name = 'Hand' where email = 'ann@new.example'")
    plan = planned(springfield, run)
    assert keys(plan, "user", "update") == [BEN]
    assert f"user {ANN} was changed since outside reconciler; skipped" in codes(plan)["changed-since"]
    undo(springfield, run)
    assert account(springfield, ANN)[2] == "ann@new.example"
    assert account(springfield, BEN)[2] != "b@new.example"


def test_masked_report_names_none_of_the_skipped(springfield: Project) -> None:
    one = applied(springfield, DAY_ONE.with_user(ANN, email="one@new.example"))
    two = applied(springfield, DAY_ONE.with_user(ANN, email="two@new.example"))
    result = undo(springfield, one, "--out", springfield.folder / "undo.plan")
    assert "changed-since" in result.out
    assert f"run {two}: 1" in result.out
    assert ANN not in result.out


def test_username_taken_meanwhile_stays_with_its_new_owner(springfield: Project) -> None:
    name = account(springfield, ANN)[1]
    one = applied(springfield, DAY_ONE.without_users([ANN]))
    applied(springfield, DAY_ONE.without_users([ANN]).with_user("u-new", username=name))
    plan = planned(springfield, one)
    assert keys(plan, "user", "restore") == []
    assert any(message.startswith(f"user {ANN} would need") for message in codes(plan)["taken-since"])
    assert keys(plan, "enrollment", "restore") == [], "nobody is there whose they would be"
    undo(springfield, one)
    assert not account(springfield, ANN)[-1]
    assert account(springfield, "u-new")[-1]


def test_enrollment_in_a_class_gone_since_is_not_restored(springfield: Project) -> None:
    theirs = [row["sourcedId"] for row in DAY_ONE.tables["enrollments"] if row["userSourcedId"] == ANN]
    gone = next(row["classSourcedId"] for row in DAY_ONE.tables["enrollments"] if row["userSourcedId"] == ANN)
    one = applied(springfield, DAY_ONE.without_users([ANN]))
    applied(springfield, DAY_ONE.without_users([ANN]).without_class(gone))
    plan = planned(springfield, one)
    assert keys(plan, "user", "restore") == [ANN]
    assert len(keys(plan, "enrollment", "restore")) == len(theirs) - 1
    assert "belongs to something that no longer exists" in " ".join(codes(plan)["reference-gone"])
    undo(springfield, one)
    assert len(enrollments(springfield, ANN)) == len(theirs) - 1


def test_a_class_in_which_later_runs_enrolled_somebody_stays(springfield: Project) -> None:
    class_ = {"title": "New", "courseSourcedId": "course-1", "classType": "scheduled", "schoolSourcedId": "s-1"}
    first = DAY_ONE.with_row("classes", "c-new", **class_, termSourcedIds="t-1")
    one = applied(springfield, first)
    enrolled = {"classSourcedId": "c-new", "schoolSourcedId": "s-1", "userSourcedId": ANN, "role": "student"}
    applied(springfield, first.with_row("enrollments", "e-new", **enrolled))
    plan = planned(springfield, one)
    assert keys(plan, "class", "delete") == []
    assert "class c-new is still used by rows that later runs added; skipped" in codes(plan)["still-used"]


def test_erased_person_is_neither_restored_nor_named(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.without_users([ANN, BEN]))
    erase(springfield, ANN)
    plan = planned(springfield, run)
    assert keys(plan, "user", "restore") == [BEN]
    assert codes(plan)["erased"] == ["1 row skipped: it was erased on request"]
    assert ANN not in plan.out
    undo(springfield, run)
    assert not account(springfield, ANN)[-1]
    assert enrollments(springfield, ANN) == []


def erase(project: Project, key: str) -> None:
    """As `erase` leaves it: the trace alone is what an undo may go by."""
    customer = project.ask("select id from customers")[0][0]
    trace = make_anonymous_record(StoreKey(KEY), customer, key)
    with project.by_hand() as cursor:
        cursor.execute(f"insert into erased (customer_id, trace, certificate_id) values ({customer}, '{trace}', 1)")


def test_what_is_no_longer_kept_is_counted(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.without_users([ANN, BEN, EVE]))
    gone = account(springfield, ANN)[0]
    only_image = account(springfield, BEN)[0]
    with springfield.by_hand() as cursor:
        cursor.execute(f"delete from journal where kind = 'user' and row_id = {gone}")
        cursor.execute(f"delete from accounts where id = {only_image}")
    plan = planned(springfield, run)
    assert keys(plan, "user", "restore") == [EVE]
    assert codes(plan)["no-longer-kept"] == ["2 rows skipped: they are past their retention period"]
    undo(springfield, run)
    assert account(springfield, EVE)[-1]


def test_other_customers_and_their_runs_are_unaffected(springfield: Project) -> None:
    run = applied(springfield, DAY_ONE.without_users([ANN]))
    text = DAY_ONE.text("orgs").replace("d-1", "d-9")
    springfield.customer("shelbyville", org="d-9")
    other = DAY_ONE.raw("orgs.csv", text.encode())
    applied(springfield, other, customer="shelbyville")
    count = (
        "select count(*) from accounts a join customers c on c.id = a.customer_id"
        " where c.slug = 'shelbyville' and a.tombstoned_at is null"
    )
    before = springfield.ask(count)
    assert "changed-since" not in codes(planned(springfield, run))
    undo(springfield, run)
    assert springfield.ask(count) == before
    assert is_as_of(springfield, DAY_ONE)


def test_sourced_id_given_away_externally_stays_where_it_is(springfield: Project) -> None:
    """By hand, Ann's account was bound to the sourcedId of somebody who comes later."""
    with springfield.by_hand() as cursor:
        cursor.execute(
            "insert into identities (issuer_id, subject, account_id, customer_id) select i.issuer_id, 'u-new',"
            f" i.account_id, i.customer_id from identities i where i.subject = '{ANN}'"
        )
    run = applied(springfield, DAY_ONE.with_user("u-new"))
    mine = account(springfield, "u-new")
    assert mine[0] != account(springfield, ANN)[0]
    assert len(codes(planned(springfield, run))["identity-kept"]) == 1
    undo(springfield, run)
    assert account(springfield, "u-new") == (*mine[:4], False)
    assert account(springfield, ANN)[-1]


def test_further_sourced_ids_of_a_person_go_back(springfield: Project) -> None:
    """A second row of Ann, with her identifier, is an alias of her account."""
    row = next(row for row in DAY_ONE.tables["users"] if row["sourcedId"] == ANN)
    later = DAY_ONE.with_rows("users", [*DAY_ONE.tables["users"], {**row, "sourcedId": "x-ann"}])
    run = applied(springfield, later)
    aliases = "select subject from identities where alias = 1"
    assert springfield.ask(aliases) == [("x-ann",)]
    undo(springfield, run)
    assert springfield.ask(aliases) == []
    undo(springfield, run + 1)
    assert springfield.ask(aliases) == [("x-ann",)]
