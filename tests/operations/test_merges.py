"""Configured merges of two accounts, through the CLI, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler import clock
from tests.support.customers.project import Project, Result, changes, keys
from tests.support.operations.undo_steps import codes
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

DAY_ONE = bundle(users=60)
KEEP, GONE, NEW, OTHER, *_ = DAY_ONE.students()
LESSON = "kind: lesson\nid: leaves\ntitle: Leaves\nurl: https://lessons.example/leaves\n"
#: What an apply of a merge and its undo must bring back to the last value; origins say who wrote last.
WHOSE = {
    "identities": "id, issuer_id, subject, account_id, alias",
    "assignments": "id, lesson_id, account_id, class_id, tombstoned_at",
    "enrollments": "id, sourced_id, account_id, class_id, role, tombstoned_at is null",
    "accounts": "id, username, email, role, status, managed_by, password_hash, merged_into, tombstoned_at is null",
    "account_roles": "account_id, org_id, role",
}


def configured(project: Project, *entries: tuple[str, str], more: str = "") -> Path:
    merges = "".join(f"    - {{keep: {keep}, merge: {merge}, reason: a second row}}\n" for keep, merge in entries)
    return project.customer(more=(f"  merges:\n{merges}" if entries else "") + more)


def applied(project: Project, made: Bundle, *more: str, code: int = 0) -> Result:
    result = project.apply("springfield", "--zip", made.zip(project.folder / "day.zip"), *more)
    assert result.code == code, result.out + result.err
    return result


def planned(project: Project, made: Bundle) -> Result:
    return project.plan("springfield", "--zip", made.zip(project.folder / "day.zip"))


def account(project: Project, key: str) -> int:
    return int(project.ask(f"select account_id from identities where subject = '{key}'")[0][0])


def owned(project: Project, *accounts: int) -> dict[str, list[tuple[Any, ...]]]:
    listed = ", ".join(map(str, accounts))
    return {
        "links": project.ask(
            "select i.id, i.subject from identities i join issuers x on x.id = i.issuer_id and x.kind = 'lti'"
            f" where i.account_id in ({listed}) order by i.id"
        ),
        "assignments": project.ask(f"select id from assignments where account_id in ({listed}) order by id"),
        "enrollments": project.ask(
            f"select id, sourced_id from enrollments where account_id in ({listed}) and tombstoned_at is null"
            " order by id"
        ),
    }


def known_by(project: Project, number: int) -> list[tuple[str, int | None]]:
    return [
        (subject, alias)
        for subject, alias in project.ask(
            "select i.subject, i.alias from identities i join issuers x on x.id = i.issuer_id"
            f" where x.kind = 'roster' and i.account_id = {number} order by i.alias is not null, i.subject"
        )
    ]


def whose(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    return {table: project.ask(f"select {what} from {table} order by 1, 2, 3") for table, what in WHOSE.items()}


def doubted(project: Project) -> list[tuple[Any, ...]]:
    """Rows that the triggers take for another hand's: none of our own writing may be among them."""
    return [
        *project.ask("select 'account', id from accounts where fingerprint is null and managed_by = 'roster'"),
        *project.ask("select 'enrollment', id from enrollments where fingerprint is null"),
        *project.ask("select 'counter', n from write_counters where n <> 0"),
    ]


def endow(project: Project) -> None:
    """Both accounts get a password, a link of the same LMS and an assignment; one that goes has an old enrollment."""
    with project.by_hand() as cursor:
        cursor.execute(
            "insert into issuers (customer_id, name, kind) select id, 'springfield/lti/canvas', 'lti' from customers"
        )
        for key in (KEEP, GONE):
            number = f"(select min(account_id) from identities where subject = '{key}')"
            cursor.execute(f"update accounts set password_hash = 'of {key}' where id = {number}")
            cursor.execute(
                "insert into identities (issuer_id, subject, account_id, customer_id, run)"
                f" select x.id, 'canvas-{key}', {number}, x.customer_id, 1 from issuers x where x.kind = 'lti'"
            )
            cursor.execute(
                "insert into assignments (customer_id, lesson_id, account_id, created_at)"
                f" select id, 1, {number}, '2026-09-01T08:00:00Z' from customers"
            )
        cursor.execute(
            "insert into enrollments (customer_id, sourced_id, class_id, account_id, role, fingerprint, tombstoned_at,"
            " concluded_at, origin_run, created_run) select customer_id, 'e-old', 1,"
            f" (select min(account_id) from identities where subject = '{GONE}'), 'student', 0,"
            " '2026-06-01T00:00:00Z', '2026-06-01T00:00:00Z', 1, 1 from accounts where id = 2"
        )


@pytest.fixture
def springfield(project: Project) -> Project:
    project.write("customers/springfield/lessons/leaves.yaml", LESSON)
    configured(project)
    applied(project, DAY_ONE)
    endow(project)
    return project


def test_one_of_two_accounts_remains_with_everything(springfield: Project) -> None:
    keep, gone = account(springfield, KEEP), account(springfield, GONE)
    before = owned(springfield, keep, gone)
    configured(springfield, (KEEP, GONE))

    plan = planned(springfield, DAY_ONE)
    assert keys(plan, "user", "delete") == [GONE]
    assert keys(plan, "user", "update") == [KEEP]
    (deleted,) = [each for each in changes(plan, "user") if each["action"] == "delete"]
    assert (deleted["reason"], deleted["into"]) == ("merged", KEEP)
    assert deleted["origin"] == {"file": "customers/springfield/customer.yaml", "line": 14}
    assert {each["action"] for each in changes(plan, "enrollment")} == {"update"}
    assert {each["reason"] for each in changes(plan, "enrollment")} == {"merged"}
    limits = {each["name"]: each["seen"] for each in plan.json["customers"][0]["limits"] if each["scope"] == "customer"}
    assert (limits["users"], limits["enrollments"]) == (1, 0)
    text = springfield.run("plan", "springfield", "--zip", springfield.folder / "day.zip", "--people", "full").out
    assert f"merged into {KEEP}" in text
    assert text.index(f"merged into {KEEP}") < text.index(f"aliases (none) → {GONE}")

    applied(springfield, DAY_ONE)
    assert owned(springfield, keep) == before
    assert owned(springfield, gone) == {"links": [], "assignments": [], "enrollments": []}
    assert springfield.ask("select account_id from enrollments where sourced_id = 'e-old'") == [(keep,)]
    assert known_by(springfield, keep) == [(KEEP, None), (GONE, 1)]
    assert springfield.ask(f"select merged_into, tombstoned_at is null from accounts where id = {gone}")[0][0] == keep
    assert doubted(springfield) == []
    assert planned(springfield, DAY_ONE).code == 0
    assert changes(planned(springfield, DAY_ONE), "user") == []
    # The SIS mends its rows one day: the person is there all the same.
    alone = planned(springfield, DAY_ONE.without_users([GONE]))
    assert "delete" not in {each["action"] for each in changes(alone, "user")}
    found = springfield.run("explain", "springfield", GONE, "--people", "full")
    assert found.code == 0
    assert KEEP in found.out


def test_undo_splits_the_accounts_and_they_stay_apart(springfield: Project) -> None:
    before = whose(springfield)
    configured(springfield, (KEEP, GONE))
    applied(springfield, DAY_ONE)
    merged = whose(springfield)
    run = int(springfield.ask("select max(id) from runs")[0][0])

    assert springfield.run("undo", str(run), "--yes").code == 0
    assert whose(springfield) == before
    assert doubted(springfield) == []
    assert springfield.run("undo", str(run + 1), "--yes").code == 0
    assert whose(springfield) == merged
    assert springfield.run("undo", str(run + 2), "--yes").code == 0
    assert whose(springfield) == before
    configured(springfield)
    assert changes(planned(springfield, DAY_ONE), "user") == []
    assert changes(planned(springfield, DAY_ONE), "enrollment") == []


def test_an_entry_taken_out_later_changes_nothing_by_itself(springfield: Project) -> None:
    configured(springfield, (KEEP, GONE))
    applied(springfield, DAY_ONE)
    configured(springfield)
    plan = planned(springfield, DAY_ONE)
    assert changes(plan, "user") == []
    applied(springfield, DAY_ONE)
    assert known_by(springfield, account(springfield, KEEP)) == [(KEEP, None), (GONE, 1)]


def test_undo_leaves_both_when_one_has_changed(springfield: Project) -> None:
    configured(springfield, (KEEP, GONE))
    applied(springfield, DAY_ONE)
    run = int(springfield.ask("select max(id) from runs")[0][0])
    applied(springfield, DAY_ONE.with_user(KEEP, givenName="Other"))
    merged = whose(springfield)
    undo = springfield.run("undo", str(run), "--out", springfield.folder / "u.plan", "--format", "json")
    assert changes(undo, "user") == []
    assert changes(undo, "enrollment") == []
    assert {"changed-since", "taken-since"} <= set(codes(undo))
    springfield.run("undo", str(run), "--yes")
    assert whose(springfield) == merged


def test_what_waits_waits_whole(springfield: Project) -> None:
    before = whose(springfield)
    configured(springfield, (KEEP, GONE), more="  limits: {users: {percent: 0, per_school_percent: 0, floor: 0}}\n")
    plan = planned(springfield, DAY_ONE)
    assert plan.code == 3
    people = {each["key"]: each["held"] for each in changes(plan, "user")}
    assert people == {KEEP: True, GONE: True}
    assert all(each["held"] for each in changes(plan, "enrollment"))
    applied(springfield, DAY_ONE, code=3)
    assert whose(springfield) == before
    hold = plan.json["customers"][0]["hold"]["id"]
    assert planned(springfield, DAY_ONE).json["customers"][0]["hold"]["id"] == hold
    applied(springfield, DAY_ONE, "--approve", hold)
    assert known_by(springfield, account(springfield, KEEP)) == [(KEEP, None), (GONE, 1)]


@pytest.mark.parametrize("half", [KEEP, GONE])
def test_plan_is_stale_once_either_account_changes(springfield: Project, half: str) -> None:
    configured(springfield, (KEEP, GONE))
    saved = springfield.folder / "merge.plan"
    made = DAY_ONE.zip(springfield.folder / "day.zip")
    assert springfield.run("plan", "springfield", "--zip", made, "--out", saved).code == 0
    with springfield.by_hand() as cursor:
        cursor.execute(f"update accounts set given_name = 'By Hand' where id = {account(springfield, half)}")
    before = whose(springfield)
    assert springfield.apply(saved).code == 4
    assert whose(springfield) == before


def test_new_link_of_the_departing_account_makes_plans_stale(springfield: Project) -> None:
    configured(springfield, (KEEP, GONE))
    saved = springfield.folder / "merge.plan"
    made = DAY_ONE.zip(springfield.folder / "day.zip")
    springfield.run("plan", "springfield", "--zip", made, "--out", saved)
    with springfield.by_hand() as cursor:
        cursor.execute(
            "insert into identities (issuer_id, subject, account_id, customer_id)"
            f" select id, 'canvas-later', {account(springfield, GONE)}, customer_id from issuers where kind = 'lti'"
        )
    assert springfield.apply(saved).code == 4


def test_new_row_joins_the_merged_account_at_once(springfield: Project) -> None:
    newcomer = DAY_ONE.with_user(
        "w-1", **{**row(NEW), "username": "w1", "identifier": "999001", "email": "w1@x.example"}
    )
    configured(springfield, (KEEP, "w-1"))
    plan = planned(springfield, newcomer)
    assert keys(plan, "user", "create") == []
    applied(springfield, newcomer)
    assert known_by(springfield, account(springfield, KEEP)) == [(KEEP, None), ("w-1", 1)]
    assert changes(planned(springfield, newcomer), "user") == []


def row(key: str) -> dict[str, str]:
    found = next(each for each in DAY_ONE.tables["users"] if each["sourcedId"] == key)
    return {name: value for name, value in found.items() if name not in ("sourcedId", "status", "dateLastModified")}


def test_purge_and_erase_remove_all_of_the_merged_account(springfield: Project) -> None:
    keep, gone = account(springfield, KEEP), account(springfield, GONE)
    configured(springfield, (KEEP, GONE))
    applied(springfield, DAY_ONE)
    refused = springfield.run("erase", "springfield", KEEP, "--request", "R-1", "--yes")
    assert refused.code == 1
    assert "merges" in refused.err
    configured(springfield)
    applied(springfield, DAY_ONE)
    erased = springfield.run("erase", "springfield", GONE, "--request", "R-1", "--yes")
    assert erased.code == 0, erased.err
    for table, column in (("accounts", "id"), ("identities", "account_id"), ("assignments", "account_id")):
        assert springfield.ask(f"select count(*) from {table} where {column} in ({keep}, {gone})") == [(0,)]
    images = springfield.ask("select kind, before from journal")
    for _, before in images:
        assert f'"{GONE}"' not in before
        assert f'"{KEEP}"' not in before
        assert f'"account_id":{gone},' not in before.replace(" ", "")


def test_purge_after_retention_removes_all_of_the_account(springfield: Project) -> None:
    keep, gone = account(springfield, KEEP), account(springfield, GONE)
    before = owned(springfield, keep, gone)
    configured(springfield, (KEEP, GONE))
    applied(springfield, DAY_ONE)
    with clock.freeze_time(datetime.now(UTC) + timedelta(days=40)):
        applied(springfield, DAY_ONE)
        assert springfield.run("purge", "--yes").code == 0
        assert springfield.ask(f"select count(*) from accounts where id = {gone}") == [(0,)]
        personal = "('user', 'identity', 'assignment', 'enrollment')"
        assert springfield.ask(f"select count(*) from journal where kind in {personal}") == [(0,)]
        assert owned(springfield, keep) == before
        assert springfield.ask("select account_id from enrollments where sourced_id = 'e-old'") == [(keep,)]
        assert changes(planned(springfield, DAY_ONE), "user") == []
        assert springfield.run("undo", "2", "--yes").code == 1
