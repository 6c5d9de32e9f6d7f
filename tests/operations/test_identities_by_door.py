"""Who is who over several days, through the program's door, on both databases: links, passwords and work stay."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.customers.project import Project, Result, changes, keys
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

DAY_ONE = bundle(users=60)
ADA = "u-0005"
ROW = next(row for row in DAY_ONE.tables["users"] if row["sourcedId"] == ADA)
SECOND = "w-0005"
NAME = {"givenName": ROW["givenName"], "familyName": ROW["familyName"]}
OTHER_SCHOOL = "s-1" if ROW["orgSourcedIds"] == "s-2" else "s-2"


@pytest.fixture
def springfield(project: Project) -> Project:
    configured(project)
    applied(project, DAY_ONE)
    return project


def configured(project: Project, match_with: str = "identifier", more: str = "") -> None:
    path = project.customer(more=more)
    path.write_text(path.read_text().replace("match_with: identifier", f"match_with: {match_with}"))


def zipped(project: Project, made: Bundle) -> Path:
    return made.zip(project.folder / "day.zip")


def planned(project: Project, made: Bundle) -> Result:
    return project.plan("springfield", "--zip", zipped(project, made))


def applied(project: Project, made: Bundle, *more: str, code: int = 0) -> Result:
    result = project.apply("springfield", "--zip", zipped(project, made), *more)
    assert result.code == code, result.out + result.err
    return result


def without(made: Bundle, *ids: str) -> Bundle:
    return made.without_users(ids)


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


def belongings(project: Project, sourced_id: str = ADA) -> int:
    """Gives the account a password, an LMS link and an assignment, as its owner and others would. Returns its id."""
    (account,) = project.ask(f"select account_id from identities where subject = '{sourced_id}'")[0]
    with project.by_hand() as cursor:
        cursor.execute(f"update accounts set password_hash = 'theirs' where id = {account}")
        cursor.execute(
            "insert into issuers (customer_id, name, kind) select id, 'springfield/lti/canvas', 'lti' from customers"
        )
        cursor.execute(
            "insert into identities (issuer_id, subject, account_id, customer_id) select x.id, 'canvas-7',"
            f" {account}, x.customer_id from issuers x where x.kind = 'lti'"
        )
        cursor.execute(
            "insert into assignments (customer_id, lesson_id, account_id, created_at)"
            f" select id, 1, {account}, '2026-09-01T08:00:00Z' from customers"
        )
    return int(account)


def owns(project: Project, account: int) -> bool:
    """Whether the account lives and has all that `belongings` gave it."""
    asked = {
        "accounts": f"id = {account} and password_hash = 'theirs' and tombstoned_at is null",
        "identities": f"account_id = {account} and subject = 'canvas-7'",
        "assignments": f"account_id = {account} and tombstoned_at is null",
    }
    return all(project.ask(f"select count(*) from {table} where {where}") == [(1,)] for table, where in asked.items())


def known_by(project: Project, account: int) -> list[tuple[str, int | None]]:
    return [
        (subject, alias)
        for subject, alias in project.ask(
            "select i.subject, i.alias from identities i join issuers x on x.id = i.issuer_id"
            f" where x.kind = 'roster' and i.account_id = {account} order by i.alias is not null, i.subject"
        )
    ]


def enrollments(project: Project, account: int) -> set[str]:
    found = project.ask(f"select sourced_id from enrollments where account_id = {account} and tombstoned_at is null")
    return {sourced_id for (sourced_id,) in found}


def schools(project: Project, account: int) -> set[str]:
    found = project.ask(
        f"select o.sourced_id from account_roles r join orgs o on o.id = r.org_id where r.account_id = {account}"
    )
    return {sourced_id for (sourced_id,) in found}


def accounts(project: Project) -> int:
    return int(project.ask("select count(*) from accounts where managed_by = 'roster' and tombstoned_at is null")[0][0])


def usernames(project: Project, ids: Iterable[str]) -> dict[str, str]:
    listed = ", ".join(f"'{each}'" for each in ids)
    return dict(
        project.ask(
            "select i.subject, a.username from identities i join accounts a on a.id = i.account_id"
            f" where i.subject in ({listed})"
        )
    )


def user_changes(plan: Result) -> list[tuple[str, str, bool]]:
    return [(each["action"], each["key"], each["held"]) for each in changes(plan, "user")]


def hold_of(plan: Result) -> Any:
    return plan.json["customers"][0]["hold"]


# One person, several sourcedIds.


def test_a_person_of_two_schools_has_one_account_from_the_first_day_on(project: Project) -> None:
    configured(project)
    applied(project, at_another_school(DAY_ONE))

    assert accounts(project) == 60
    (account,) = project.ask("select account_id from identities where subject = 'w-0005'")[0]
    assert known_by(project, account) == [(ADA, None), (SECOND, 1)]
    assert schools(project, account) == {"s-1", "s-2"}
    assert "e-w-0005" in enrollments(project, account)
    assert planned(project, at_another_school(DAY_ONE)).code == 0


def test_rows_of_one_person_come_and_go_and_the_account_keeps_what_it_has(springfield: Project) -> None:
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


def test_the_journal_keeps_the_sourced_ids_that_an_account_had(springfield: Project) -> None:
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


def test_a_deleted_person_comes_back_whole_by_the_second_sourced_id(springfield: Project) -> None:
    account = belongings(springfield)
    applied(springfield, at_another_school(DAY_ONE))
    applied(springfield, without(DAY_ONE, ADA))
    assert not owns(springfield, account)

    back = at_another_school(without(DAY_ONE, ADA))
    assert user_changes(planned(springfield, back)) == [("restore", ADA, False)]
    applied(springfield, back)
    assert owns(springfield, account)
    assert known_by(springfield, account) == [(ADA, None), (SECOND, 1)]


def test_a_second_sourced_id_taken_away_by_hand_is_drift_and_comes_back(springfield: Project) -> None:
    applied(springfield, at_another_school(DAY_ONE))
    with springfield.by_hand() as cursor:
        cursor.execute("delete from identities where subject = 'w-0005'")

    plan = planned(springfield, at_another_school(DAY_ONE))
    assert [(each["action"], each["reason"]) for each in changes(plan, "user")] == [("update", "drift")]
    applied(springfield, at_another_school(DAY_ONE))
    assert planned(springfield, at_another_school(DAY_ONE)).code == 0
    assert accounts(springfield) == 60


def test_an_account_that_lost_its_own_sourced_id_by_hand_is_found_by_the_second(springfield: Project) -> None:
    account = belongings(springfield)
    applied(springfield, at_another_school(DAY_ONE))
    with springfield.by_hand() as cursor:
        cursor.execute(f"delete from identities where subject = '{ADA}'")

    applied(springfield, at_another_school(DAY_ONE))
    assert accounts(springfield) == 60
    assert owns(springfield, account)
    assert {subject for subject, _ in known_by(springfield, account)} == {ADA, SECOND}
    assert planned(springfield, at_another_school(DAY_ONE)).code == 0


def test_a_bad_row_under_the_second_sourced_id_protects_the_person(springfield: Project) -> None:
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


def test_no_name_and_no_sourced_id_of_a_person_of_two_schools_is_in_a_masked_plan(springfield: Project) -> None:
    path = zipped(springfield, at_another_school(DAY_ONE))
    out = springfield.run("plan", "--format", "json", "--people", "masked", "springfield", "--zip", path).out

    assert SECOND not in out
    assert ADA not in out
    assert '"aliases"' in out


# Conflict and weak evidence.


def test_an_address_of_somebody_who_is_there_links_nobody(project: Project) -> None:
    configured(project, "email")
    applied(project, DAY_ONE)
    account = belongings(project)
    claim = DAY_ONE.with_user("n-9", email=ROW["email"])

    plan = planned(project, claim)
    assert user_changes(plan) == []
    found = [each for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "identity-conflict"]
    assert [(each["severity"], each["line"]) for each in found] == [("error", 6), ("error", 62)]
    assert all("lines 6, 62" in each["message"] for each in found)
    applied(project, claim)
    assert (accounts(project), owns(project, account)) == (60, True)


def test_a_recycled_address_waits_and_the_plan_shows_both_people(project: Project) -> None:
    configured(project, "email")
    applied(project, DAY_ONE)
    account = belongings(project)
    later = without(DAY_ONE, ADA).with_user("n-9", email=ROW["email"], grades="11", orgSourcedIds=ROW["orgSourcedIds"])

    plan = planned(project, later)
    assert plan.code == 3
    assert user_changes(plan) == [("rekey", "n-9", True)]
    fields = {each["path"]: (each["before"], each["after"]) for each in changes(plan, "user")[0]["fields"]}
    school = f"{ROW['orgSourcedIds']}={ROW['role']}"
    assert fields["family_name"] == (ROW["familyName"], "Okoye")
    assert fields["grades"] == (ROW["grades"] or None, "11")
    assert fields["roles"][0] == school
    assert hold_of(plan)["people"] == 0

    applied(project, later, code=3)
    assert owns(project, account)
    assert known_by(project, account) == [(ADA, None)]
    again = planned(project, later)
    assert hold_of(again)["id"] == hold_of(plan)["id"]
    applied(project, later, "--approve", hold_of(again)["id"])
    assert known_by(project, account) == [("n-9", None)]
    assert owns(project, account)


def test_two_customers_who_claim_one_address_have_two_people(project: Project) -> None:
    project.customer()
    applied(project, DAY_ONE)
    account = belongings(project)
    path = project.customer("shelbyville")
    path.write_text(path.read_text().replace("match_with: identifier", "match_with: email"))

    other = DAY_ONE.zip(project.folder / "other.zip")
    assert project.apply("shelbyville", "--zip", other).code == 0
    assert accounts(project) == 120
    assert owns(project, account)
    assert project.ask(f"select count(*) from accounts where email = '{ROW['email']}'") == [(2,)]


# Settings that change what everybody is known by.


def test_a_changed_suffix_waits_for_a_person(springfield: Project) -> None:
    configured(springfield, more="  suffix: '@spring'\n")

    plan = planned(springfield, DAY_ONE)
    assert plan.code == 3
    held = springfield.apply("springfield", "--zip", zipped(springfield, DAY_ONE))
    assert held.code == 3
    assert "The suffix changed: 60 usernames would be other ones; people sign in with them." in held.out
    assert usernames(springfield, [ADA]) == {ADA: "u0005"}
    applied(springfield, DAY_ONE, "--approve", hold_of(planned(springfield, DAY_ONE))["id"])
    assert usernames(springfield, [ADA]) == {ADA: "u0005@spring"}


def test_a_changed_match_with_waits_for_a_person_however_often_it_is_applied(project: Project) -> None:
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


def test_a_migration_that_the_configured_key_does_not_see_costs_nobody_an_account(project: Project) -> None:
    configured(project, "sourced_id")
    applied(project, DAY_ONE)
    account = belongings(project)
    row = {**NAME, "identifier": ROW["identifier"], "email": "new@d.example", "username": "new", "role": ROW["role"]}
    later = without(DAY_ONE, ADA).with_user("n-9", **row, orgSourcedIds=ROW["orgSourcedIds"])

    plan = planned(project, later)
    assert user_changes(plan) == [("delete", ADA, True), ("create", "n-9", True)]
    said = [each["message"] for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "probable-rekey"]
    assert said == ["1 of 1 leaver has the identifier of a joiner; match_with: identifier would keep their accounts"]
    applied(project, later, code=3)
    assert (accounts(project), owns(project, account)) == (60, True)


# Accounts that something else made.


def test_an_adopted_account_is_unbound_adopted_again_and_its_owners_all_along(springfield: Project) -> None:
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


# Usernames that pass on in one apply, and people who come back.


def renamed(made: Bundle, **names: str) -> Bundle:
    for key, name in names.items():
        made = made.with_user(key.replace("_", "-"), username=name)
    return made


@pytest.mark.parametrize(
    "names",
    [
        {"u_0005": "u0006", "u_0006": "u0005"},
        {"u_0005": "u0006", "u_0006": "u0007", "u_0007": "u0005"},
        {"u_0005": "U0006", "u_0006": "fresh"},
    ],
    ids=["swap", "ring", "chain"],
)
def test_usernames_pass_on_in_one_apply(springfield: Project, names: dict[str, str]) -> None:
    account = belongings(springfield)

    applied(springfield, renamed(DAY_ONE, **names))

    wanted = {key.replace("_", "-"): name for key, name in names.items()}
    assert usernames(springfield, wanted) == wanted
    assert owns(springfield, account)
    assert planned(springfield, renamed(DAY_ONE, **names)).code == 0


def test_a_chain_of_usernames_may_begin_with_one_who_leaves(springfield: Project) -> None:
    later = renamed(without(DAY_ONE, "u-0007"), u_0005="u0006", u_0006="u0007")

    applied(springfield, later)

    assert usernames(springfield, ["u-0005", "u-0006"]) == {"u-0005": "u0006", "u-0006": "u0007"}


def test_a_chain_of_usernames_onto_people_who_are_held_waits_until_they_are_approved(springfield: Project) -> None:
    gone = [each for each in DAY_ONE.students() if each not in (ADA, "u-0006")][:30]
    first = gone[0].replace("-", "")
    later = renamed(without(DAY_ONE, *gone), u_0005="u0006", u_0006=first)

    plan = planned(springfield, later)
    assert set(user_changes(plan)) >= {("update", "u-0005", True), ("update", "u-0006", True)}
    applied(springfield, later, code=3)
    assert usernames(springfield, [ADA, "u-0006"]) == {ADA: "u0005", "u-0006": "u0006"}
    applied(springfield, later, "--approve", hold_of(planned(springfield, later))["id"])
    assert usernames(springfield, [ADA, "u-0006"]) == {ADA: "u0006", "u-0006": first}


def test_who_comes_back_has_password_links_and_assignments(springfield: Project) -> None:
    account = belongings(springfield)
    own = enrollments(springfield, account)
    applied(springfield, without(DAY_ONE, ADA))
    assert not owns(springfield, account)

    assert user_changes(planned(springfield, DAY_ONE)) == [("restore", ADA, False)]
    applied(springfield, DAY_ONE)
    assert (owns(springfield, account), enrollments(springfield, account)) == (True, own)
    assert planned(springfield, DAY_ONE).code == 0


def test_an_address_that_came_free_long_ago_is_a_new_persons(project: Project) -> None:
    configured(project, "email")
    applied(project, DAY_ONE)
    account = belongings(project)
    applied(project, without(DAY_ONE, ADA))

    later = without(DAY_ONE, ADA).with_user("n-9", email=ROW["email"])
    assert user_changes(planned(project, later)) == [("create", "n-9", False)]
    applied(project, later)
    assert not owns(project, account)
    assert known_by(project, account) == [(ADA, None)]


def test_the_last_roster_of_a_person_of_two_schools_asks_for_nothing(springfield: Project) -> None:
    both = at_another_school(DAY_ONE)
    applied(springfield, both)
    assert springfield.plan().code == 0

    spoiled = at_another_school(without(DAY_ONE, ADA), role="wizard")
    applied(springfield, spoiled)
    last = springfield.plan()
    assert user_changes(last) == []


def test_two_customers_of_one_file_have_an_account_each_for_who_is_in_both(project: Project) -> None:
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


def test_a_second_sourced_id_is_taken_back_with_its_run(springfield: Project) -> None:
    account = belongings(springfield)
    applied(springfield, at_another_school(DAY_ONE))
    (run,) = springfield.ask("select max(id) from runs")[0]

    assert springfield.run("undo", str(run), "--yes").code == 0

    assert known_by(springfield, account) == [(ADA, None)]
    assert owns(springfield, account)
    assert planned(springfield, DAY_ONE).code == 0
