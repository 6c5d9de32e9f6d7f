"""Identities over several days through the CLI, on both databases: links, passwords and work stay."""

from __future__ import annotations

import json

import pytest

from tests.support.customers.project import Project, changes, keys
from tests.support.operations.two_school_person import (
    ADA,
    DAY_ONE,
    ROW,
    accounts,
    applied,
    belongings,
    configured,
    hold_of,
    known_by,
    owns,
    planned,
    user_changes,
    without,
    zipped,
)
from tests.support.rosters.bundles import Bundle

pytestmark = pytest.mark.slow


SECOND = "w-0005"
NAME = {"givenName": ROW["givenName"], "familyName": ROW["familyName"]}
OTHER_SCHOOL = "s-1" if ROW["orgSourcedIds"] == "s-2" else "s-2"


@pytest.fixture
def springfield(project: Project) -> Project:
    configured(project)
    applied(project, DAY_ONE)
    return project


def at_another_school(made: Bundle, sourced_id: str = SECOND, **fields: str) -> Bundle:
    """One more row of Ada's, and an enrollment of that row."""
    identity = {name: ROW[name] for name in ("username", "identifier", "email", "grades")}
    row = {**identity, **NAME, "orgSourcedIds": OTHER_SCHOOL, **fields}
    there = next(row for row in made.tables["classes"] if row["schoolSourcedId"] == OTHER_SCHOOL)
    return made.with_user(sourced_id, **row).with_row(
        "enrollments",
        f"e-{sourced_id}",
        classSourcedId=there["sourcedId"],
        schoolSourcedId=OTHER_SCHOOL,
        userSourcedId=sourced_id,
        role=ROW["role"],
        primary="false",
    )


def enrollments(project: Project, account: int) -> set[str]:
    found = project.ask(f"select sourced_id from enrollments where account_id = {account} and tombstoned_at is null")
    return {sourced_id for (sourced_id,) in found}


def schools(project: Project, account: int) -> set[str]:
    found = project.ask(
        f"select o.sourced_id from account_roles r join orgs o on o.id = r.org_id where r.account_id = {account}"
    )
    return {sourced_id for (sourced_id,) in found}


# One person, several sourcedIds.


def test_person_of_two_schools_always_has_one_account(project: Project) -> None:
    configured(project)
    applied(project, at_another_school(DAY_ONE))

    assert accounts(project) == 60
    (account,) = project.ask("select account_id from identities where subject = 'w-0005'")[0]
    assert known_by(project, account) == [(ADA, None), (SECOND, 1)]
    assert schools(project, account) == {"s-1", "s-2"}
    assert "e-w-0005" in enrollments(project, account)
    assert planned(project, at_another_school(DAY_ONE)).code == 0


def test_one_persons_rows_vary_and_the_account_keeps_everything(springfield: Project) -> None:
    account = belongings(springfield)
    own = enrollments(springfield, account)

    both = planned(springfield, at_another_school(DAY_ONE))
    assert user_changes(both) == [("update", ADA, False)]
    fields = {each["path"]: (each["before"], each["after"]) for each in changes(both, "user")[0]["fields"]}
    assert fields["aliases"] == (None, SECOND)
    applied(springfield, at_another_school(DAY_ONE))
    assert (accounts(springfield), known_by(springfield, account)) == (60, [(ADA, None), (SECOND, 1)])

    alone = at_another_school(without(DAY_ONE, ADA))
    applied(springfield, alone)
    assert known_by(springfield, account) == [(ADA, None), (SECOND, 1)], "the account stays known as it was"
    assert (schools(springfield, account), enrollments(springfield, account)) == ({OTHER_SCHOOL}, {"e-w-0005"})
    assert planned(springfield, alone).code == 0

    applied(springfield, DAY_ONE)
    assert (schools(springfield, account), enrollments(springfield, account)) == ({ROW["orgSourcedIds"]}, own)
    assert planned(springfield, DAY_ONE).code == 0
    assert accounts(springfield) == 60
    assert owns(springfield, account)


def test_journal_keeps_an_accounts_former_sourced_ids(springfield: Project) -> None:
    account = belongings(springfield)
    applied(springfield, at_another_school(DAY_ONE))
    applied(springfield, DAY_ONE)

    images = [
        json.loads(before)
        for (before,) in springfield.ask(
            f"select before from journal where kind = 'user' and row_id = {account} order by run_id"
        )
    ]
    assert [(image["sourced_id"], image["aliases"]) for image in images] == [(ADA, None), (ADA, SECOND)]


def test_deleted_person_is_restored_by_the_second_sourced_id(springfield: Project) -> None:
    account = belongings(springfield)
    applied(springfield, at_another_school(DAY_ONE))
    applied(springfield, without(DAY_ONE, ADA))
    assert not owns(springfield, account)

    back = at_another_school(without(DAY_ONE, ADA))
    assert user_changes(planned(springfield, back)) == [("restore", ADA, False)]
    applied(springfield, back)
    assert owns(springfield, account)
    assert known_by(springfield, account) == [(ADA, None), (SECOND, 1)]


def test_second_sourced_id_removed_by_hand_returns_as_drift(springfield: Project) -> None:
    applied(springfield, at_another_school(DAY_ONE))
    with springfield.by_hand() as cursor:
        cursor.execute("delete from identities where subject = 'w-0005'")

    plan = planned(springfield, at_another_school(DAY_ONE))
    assert [(each["action"], each["reason"]) for each in changes(plan, "user")] == [("update", "drift")]
    applied(springfield, at_another_school(DAY_ONE))
    assert planned(springfield, at_another_school(DAY_ONE)).code == 0
    assert accounts(springfield) == 60


def test_account_missing_its_sourced_id_is_found_by_another(springfield: Project) -> None:
    account = belongings(springfield)
    applied(springfield, at_another_school(DAY_ONE))
    with springfield.by_hand() as cursor:
        cursor.execute(f"delete from identities where subject = '{ADA}'")

    applied(springfield, at_another_school(DAY_ONE))
    assert accounts(springfield) == 60
    assert owns(springfield, account)
    assert {subject for subject, _ in known_by(springfield, account)} == {ADA, SECOND}
    assert planned(springfield, at_another_school(DAY_ONE)).code == 0


def test_bad_row_under_the_second_sourced_id_protects(springfield: Project) -> None:
    account = belongings(springfield)
    applied(springfield, at_another_school(DAY_ONE))
    spoiled = at_another_school(without(DAY_ONE, ADA), role="wizard")

    plan = planned(springfield, spoiled)
    assert user_changes(plan) == []
    applied(springfield, spoiled)
    assert owns(springfield, account)


def test_new_sourced_ids_for_both_rows_are_a_rekey(springfield: Project) -> None:
    account = belongings(springfield)
    applied(springfield, at_another_school(DAY_ONE))
    migrated = at_another_school(at_another_school(without(DAY_ONE, ADA), "n-1"), "n-2")

    assert user_changes(planned(springfield, migrated)) == [("rekey", "n-1", False)]
    applied(springfield, migrated)
    assert owns(springfield, account)
    assert known_by(springfield, account) == [("n-1", None), ("n-2", 1), (SECOND, 1)]
    assert planned(springfield, migrated).code == 0


def test_masked_plan_hides_names_and_ids_across_two_schools(springfield: Project) -> None:
    path = zipped(springfield, at_another_school(DAY_ONE))
    out = springfield.run("plan", "--format", "json", "--people", "masked", "springfield", "--zip", path).out

    assert SECOND not in out
    assert ADA not in out
    assert '"aliases"' in out


def test_changed_match_with_waits_for_approval_at_every_apply(project: Project) -> None:
    configured(project, "email")
    applied(project, DAY_ONE)
    account = belongings(project)
    configured(project, "identifier")
    row = {**NAME, "identifier": ROW["identifier"], "email": "new@d.example", "username": "new", "role": ROW["role"]}
    later = without(DAY_ONE, ADA).with_user("n-9", **row, orgSourcedIds=ROW["orgSourcedIds"])

    for _ in range(3):
        plan = planned(project, later)
        assert user_changes(plan) == [("rekey", "n-9", True)]
        applied(project, later, code=3)
    assert known_by(project, account) == [(ADA, None)]
    applied(project, later, "--approve", hold_of(plan)["id"])
    assert (known_by(project, account), owns(project, account)) == ([("n-9", None)], True)
    assert planned(project, later).code == 0


def test_migration_unseen_by_the_configured_key_costs_no_accounts(project: Project) -> None:
    configured(project, "sourced_id")
    applied(project, DAY_ONE)
    account = belongings(project)
    row = {**NAME, "identifier": ROW["identifier"], "email": "new@d.example", "username": "new", "role": ROW["role"]}
    later = without(DAY_ONE, ADA).with_user("n-9", **row, orgSourcedIds=ROW["orgSourcedIds"])

    plan = planned(project, later)
    assert user_changes(plan) == [("delete", ADA, True), ("create", "n-9", True)]
    said = [each["message"] for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "probable-rekey"]
    assert said == [
        "1 of 1 people to remove shares the identifier of a new person; match_with: identifier would keep their "
        "accounts"
    ]
    applied(project, later, code=3)
    assert (accounts(project), owns(project, account)) == (60, True)


# Accounts that something else made.


def test_adopted_account_stays_its_owners_through_unbinding_and_readoption(springfield: Project) -> None:
    with springfield.by_hand() as cursor:
        cursor.execute(
            "insert into accounts (customer_id, managed_by, status, given_name, family_name, email, username,"
            " username_key, identifier, role, fingerprint) select id, 'join_link', 'active', 'Nia', 'Okoye',"
            " 'nia@home.example', 'nia', 'nia', '777', 'student', 0 from customers"
        )
    with_row = at_another_school(DAY_ONE, "n-9", identifier="777", givenName="Nia", familyName="Okoye", username="nia")
    assert user_changes(planned(springfield, with_row)) == [("adopt", "n-9", False)]
    applied(springfield, with_row)
    account = belongings(springfield, "n-9")
    assert (enrollments(springfield, account), schools(springfield, account)) == ({"e-n-9"}, {OTHER_SCHOOL})

    left = planned(springfield, DAY_ONE)
    assert user_changes(left) == [("update", "n-9", False)]
    change = changes(left, "user")[0]
    assert change["reason"] == "roster_row_missing"
    fields = {each["path"]: (each["before"], each["after"]) for each in change["fields"]}
    assert fields["sourced_id"] == ("n-9", None)
    assert set(fields) == {"sourced_id", "roles"}
    assert keys(left, "enrollment", "delete") == ["e-n-9"]
    applied(springfield, DAY_ONE)
    assert known_by(springfield, account) == []
    assert (enrollments(springfield, account), schools(springfield, account)) == (set(), set())
    assert owns(springfield, account)
    assert springfield.ask(f"select managed_by, username from accounts where id = {account}") == [("join_link", "nia")]
    assert planned(springfield, DAY_ONE).code == 0

    assert user_changes(planned(springfield, with_row)) == [("adopt", "n-9", False)]
    applied(springfield, with_row)
    assert known_by(springfield, account) == [("n-9", None)]
    assert (owns(springfield, account), enrollments(springfield, account)) == (True, {"e-n-9"})
    assert planned(springfield, with_row).code == 0


def test_who_comes_back_has_password_links_and_assignments(springfield: Project) -> None:
    account = belongings(springfield)
    own = enrollments(springfield, account)
    applied(springfield, without(DAY_ONE, ADA))
    assert not owns(springfield, account)

    assert user_changes(planned(springfield, DAY_ONE)) == [("restore", ADA, False)]
    applied(springfield, DAY_ONE)
    assert (owns(springfield, account), enrollments(springfield, account)) == (True, own)
    assert planned(springfield, DAY_ONE).code == 0


def test_last_roster_of_a_two_school_person_changes_nothing(springfield: Project) -> None:
    both = at_another_school(DAY_ONE)
    applied(springfield, both)
    assert springfield.plan().code == 0

    spoiled = at_another_school(without(DAY_ONE, ADA), role="wizard")
    applied(springfield, spoiled)
    last = springfield.plan()
    assert user_changes(last) == []


def test_shared_person_has_one_account_per_customer(project: Project) -> None:
    for number, name in ((1, "springfield"), (2, "shelbyville")):
        path = project.customer(name, org=f"s-{number}")
        assert path.exists()
    together = zipped(project, at_another_school(DAY_ONE))
    for name in ("springfield", "shelbyville"):
        assert project.apply(name, "--zip", together).code == 0

    found = project.ask(
        "select i.subject, count(distinct i.account_id), count(i.alias) from identities i"
        f" where i.subject in ('{ADA}', '{SECOND}') group by i.subject order by i.subject"
    )
    assert found == [(ADA, 1, 0), (SECOND, 1, 0)]
    for name in ("springfield", "shelbyville"):
        assert project.plan(name, "--zip", together).code == 0
        assert project.plan(name).code == 0


def test_second_sourced_id_is_undone_with_its_run(springfield: Project) -> None:
    account = belongings(springfield)
    applied(springfield, at_another_school(DAY_ONE))
    (run,) = springfield.ask("select max(id) from runs")[0]

    assert springfield.run("undo", str(run), "--yes").code == 0

    assert known_by(springfield, account) == [(ADA, None)]
    assert owns(springfield, account)
    assert planned(springfield, DAY_ONE).code == 0
