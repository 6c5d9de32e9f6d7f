"""The main job from end to end, through the CLI, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.customers.project import Project, changes, keys
from tests.support.operations.hundred_people import DAY_ONE, zipped
from tests.support.stores.databases import QUICK_ON_BOTH

STUDENTS = DAY_ONE.students()


@pytest.fixture
def springfield(project: Project) -> Project:
    """Springfield with the hundred people of day one applied."""
    project.customer()
    assert project.apply("springfield", "--zip", zipped(project, DAY_ONE)).code == 0
    return project


def people(project: Project) -> int:
    return project.ask("select count(*) from accounts where managed_by = 'roster' and tombstoned_at is null")[0][0]


@QUICK_ON_BOTH
def test_a_first_load_creates_everything(project: Project) -> None:
    project.customer()
    bundle_path = zipped(project, DAY_ONE)

    plan = project.plan("springfield", "--zip", bundle_path)
    assert plan.code == 2
    assert plan.json["summary"]["create"] == 1 + 3 + 100 + 8 + len(DAY_ONE.ids("enrollments"))
    assert plan.json["summary"]["delete"] == 0
    assert plan.json["customers"][0]["source"]["rows"]["users"] == 100

    assert project.apply("springfield", "--zip", bundle_path).code == 0
    assert people(project) == 100
    assert project.ask("select count(*) from enrollments")[0][0] == len(DAY_ONE.ids("enrollments"))


def test_planning_writes_nothing(project: Project) -> None:
    project.customer()
    project.plan("springfield", "--zip", zipped(project, DAY_ONE))
    for table in ("customers", "accounts", "orgs", "runs", "snapshots"):
        assert project.ask(f"select count(*) from {table}") == [(0,)], table


@QUICK_ON_BOTH
def test_a_second_plan_after_apply_is_empty(springfield: Project) -> None:
    plan = springfield.plan("springfield", "--zip", zipped(springfield, DAY_ONE))
    assert (plan.code, plan.json["customers"][0]["outcome"]) == (0, "unchanged")
    assert plan.json["customers"][0]["counts"]["user"]["unchanged"] == 100
    assert springfield.plan().code == 0


@QUICK_ON_BOTH
def test_three_leavers_of_a_hundred_go_with_enrollments(springfield: Project) -> None:
    later = zipped(springfield, DAY_ONE.without_users(STUDENTS[:3]))

    plan = springfield.plan("springfield", "--zip", later)
    assert plan.code == 2
    assert keys(plan, "user", "delete") == STUDENTS[:3]
    leaver = changes(plan, "user")[0]
    assert leaver["reason"] == "roster_row_missing"
    assert leaver["origin"] == {"file": "users.csv", "line": None}
    assert leaver["impact"]["classes"] == 2
    assert not leaver["held"]

    assert springfield.apply("springfield", "--zip", later).code == 0
    assert people(springfield) == 97
    assert springfield.plan("springfield", "--zip", later).code == 0


@QUICK_ON_BOTH
def test_sixty_leavers_of_a_hundred_wait_for_their_approval(springfield: Project) -> None:
    later = zipped(springfield, DAY_ONE.without_users(STUDENTS[:60]).with_user("u-9001"))

    plan = springfield.plan("springfield", "--zip", later)
    assert plan.code == 3
    hold = plan.json["customers"][0]["hold"]
    assert hold["people"] == 60
    assert plan.json["customers"][0]["counts"]["user"]["held"] == 60

    first = springfield.apply("springfield", "--zip", later)
    assert first.code == 3
    assert hold["id"] in first.out
    assert people(springfield) == 101, "the newcomer came, nobody went"
    waiting = springfield.run("holds", "--format", "json").json["holds"]
    assert [each["id"] for each in waiting] == [hold["id"]]

    wrong = springfield.apply("springfield", "--zip", later, "--approve", "springfield:60:000000")
    assert wrong.code == 3
    assert people(springfield) == 101

    again = springfield.plan("springfield", "--zip", later).json["customers"][0]["hold"]
    assert again["id"] == hold["id"], "what is held is the same, so is its id"
    assert springfield.apply("springfield", "--zip", later, "--approve", hold["id"]).code == 0
    assert people(springfield) == 41
    assert springfield.run("holds", "--format", "json").json["holds"] == []
    assert springfield.plan("springfield", "--zip", later).code == 0


def _truncated(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


BROKEN = {
    "empty-file": DAY_ONE.raw("users.csv", b""),
    "wrong-file-header": DAY_ONE.raw("users.csv", DAY_ONE.text("classes").encode()).raw(
        "classes.csv", DAY_ONE.text("users").encode()
    ),
    "missing-file": DAY_ONE.without_file("enrollments.csv"),
    "emptied-file": DAY_ONE.with_rows("enrollments", ()),
}


@pytest.mark.parametrize("code", BROKEN)
def test_broken_roster_is_refused_whole_and_loses_nobody(springfield: Project, code: str) -> None:
    bad = zipped(springfield, BROKEN[code])

    plan = springfield.plan("springfield", "--zip", bad)
    assert plan.code == 3
    (customer,) = plan.json["customers"]
    assert customer["outcome"] == "refused"
    assert code in {diagnostic["code"] for diagnostic in customer["diagnostics"]}
    assert customer["changes"] == []
    assert springfield.apply("springfield", "--zip", bad).code == 3
    assert people(springfield) == 100


def test_a_truncated_archive_is_refused(springfield: Project) -> None:
    bad = zipped(springfield, DAY_ONE)
    _truncated(bad)

    plan = springfield.plan("springfield", "--zip", bad)
    assert (plan.code, plan.json["customers"][0]["outcome"]) == (3, "refused")
    assert springfield.apply("springfield", "--zip", bad).code == 3
    assert people(springfield) == 100


def test_another_customers_roster_is_refused_with_its_orgs(springfield: Project) -> None:
    text = DAY_ONE.text("orgs").replace("d-1", "d-9")
    other = zipped(springfield, DAY_ONE.raw("orgs.csv", text.encode()))

    plan = springfield.plan("springfield", "--zip", other)
    assert plan.code == 3
    (diagnostic,) = [each for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "not-this-customer"]
    assert "d-9 (district)" in diagnostic["message"]
    assert people(springfield) == 100


def test_a_bad_row_keeps_its_account(springfield: Project) -> None:
    later = zipped(springfield, DAY_ONE.with_user(STUDENTS[0], role="wizard"))

    plan = springfield.plan("springfield", "--zip", later)
    (customer,) = plan.json["customers"]
    assert keys(plan, "user", "delete") == []
    assert customer["counts"]["user"]["quarantined"] == 1
    (diagnostic,) = [each for each in customer["diagnostics"] if each["code"] == "unknown-role"]
    assert (diagnostic["file"], diagnostic["line"]) == ("users.csv", DAY_ONE.ids("users").index(STUDENTS[0]) + 2)
    assert springfield.apply("springfield", "--zip", later).code == 0
    assert people(springfield) == 100


def test_changed_email_is_shown_before_and_after_and_written(springfield: Project) -> None:
    later = zipped(springfield, DAY_ONE.with_user(STUDENTS[0], email="new@example.com"))

    plan = springfield.plan("springfield", "--zip", later)
    (change,) = changes(plan, "user")
    assert (change["action"], change["key"]) == ("update", STUDENTS[0])
    (field,) = change["fields"]
    assert (field["path"], field["after"]) == ("email", "new@example.com")
    assert change["origin"]["line"] == DAY_ONE.ids("users").index(STUDENTS[0]) + 2

    assert springfield.apply("springfield", "--zip", later).code == 0
    assert springfield.ask("select count(*) from accounts where email = 'new@example.com'") == [(1,)]


@QUICK_ON_BOTH
def test_returning_person_has_the_same_account_and_enrollments(springfield: Project) -> None:
    who = STUDENTS[0]
    asked = (
        "select a.id, a.tombstoned_at from accounts a join identities i on i.account_id = a.id "
        f"where i.subject = '{who}'"
    )
    enrolled = (
        "select count(*) from enrollments e join identities i on i.account_id = e.account_id "
        f"where i.subject = '{who}' and e.tombstoned_at is null"
    )
    before = springfield.ask(asked)
    springfield.apply("springfield", "--zip", zipped(springfield, DAY_ONE.without_users([who])))
    assert springfield.ask(asked)[0][1] is not None
    assert springfield.ask(enrolled) == [(0,)]

    plan = springfield.plan("springfield", "--zip", zipped(springfield, DAY_ONE))
    assert keys(plan, "user", "restore") == [who]
    assert springfield.apply("springfield", "--zip", zipped(springfield, DAY_ONE)).code == 0
    assert springfield.ask(asked) == before
    assert springfield.ask(enrolled) == [(2,)]


@QUICK_ON_BOTH
def test_a_rekeyed_person_keeps_the_account(springfield: Project) -> None:
    who = STUDENTS[0]
    users = DAY_ONE.text("users").replace(f"{who},", "n-77,")
    enrollments = DAY_ONE.text("enrollments").replace(f",{who},", ",n-77,")
    later = zipped(springfield, DAY_ONE.raw("users.csv", users.encode()).raw("enrollments.csv", enrollments.encode()))
    before = springfield.ask(f"select account_id from identities where subject = '{who}'")

    plan = springfield.plan("springfield", "--zip", later)
    assert keys(plan, "user", "rekey") == ["n-77"]
    assert changes(plan, "enrollment") == []
    assert springfield.apply("springfield", "--zip", later).code == 0
    assert springfield.ask("select account_id from identities where subject = 'n-77'") == before
    assert springfield.plan("springfield", "--zip", later).code == 0


def test_a_saved_plan_is_applied_without_its_source(springfield: Project) -> None:
    later = zipped(springfield, DAY_ONE.without_users(STUDENTS[:3]))
    saved = springfield.folder / "monday.plan"
    plan = springfield.plan("springfield", "--zip", later, "--out", saved)
    later.unlink()

    assert saved.stat().st_mode & 0o777 == 0o600
    shown = springfield.run("show", saved, "--format", "json", "--people", "full")
    assert shown.out == plan.out
    assert springfield.run("apply", saved).code == 0
    assert people(springfield) == 97


def test_manual_change_between_plan_and_apply_is_stale(springfield: Project) -> None:
    saved = springfield.folder / "monday.plan"
    springfield.plan("springfield", "--zip", zipped(springfield, DAY_ONE.without_users(STUDENTS[:3])), "--out", saved)
    with springfield.by_hand() as cursor:
        cursor.execute(
            "update accounts set email = 'hand@example.com' where id = "
            f"(select account_id from identities where subject = '{STUDENTS[0]}')"
        )

    applied = springfield.run("apply", saved)
    assert applied.code == 4
    assert "stale" in applied.err
    assert people(springfield) == 100


def test_a_change_elsewhere_does_not_make_a_plan_stale(springfield: Project) -> None:
    saved = springfield.folder / "monday.plan"
    springfield.plan("springfield", "--zip", zipped(springfield, DAY_ONE.without_users(STUDENTS[:3])), "--out", saved)
    with springfield.by_hand() as cursor:
        cursor.execute(
            "update accounts set email = 'hand@example.com' where id = "
            f"(select account_id from identities where subject = '{STUDENTS[9]}')"
        )
        cursor.execute(
            "update accounts set password_hash = 'x' where id = "
            f"(select account_id from identities where subject = '{STUDENTS[0]}')"
        )

    assert springfield.run("apply", saved).code == 0
    assert people(springfield) == 97


def test_a_configuration_changed_after_the_plan_is_stale(springfield: Project) -> None:
    saved = springfield.folder / "monday.plan"
    springfield.plan("springfield", "--zip", zipped(springfield, DAY_ONE.without_users(STUDENTS[:3])), "--out", saved)
    springfield.customer(title="Another Name")

    assert springfield.run("apply", saved).code == 4
    assert people(springfield) == 100


def test_manual_change_before_the_plan_is_reverted_as_drift(springfield: Project) -> None:
    with springfield.by_hand() as cursor:
        cursor.execute(
            "update accounts set given_name = 'Hand' where id = "
            f"(select account_id from identities where subject = '{STUDENTS[0]}')"
        )
    same = zipped(springfield, DAY_ONE)

    plan = springfield.plan("springfield", "--zip", same)
    (change,) = changes(plan, "user")
    assert (change["action"], change["reason"], change["fields"][0]["before"]) == ("update", "drift", "Hand")
    assert springfield.apply("springfield", "--zip", same).code == 0
    assert springfield.plan("springfield", "--zip", same).code == 0


def test_customer_removed_from_git_is_held_and_returns_whole(springfield: Project) -> None:
    path = springfield.folder / "customers/springfield/customer.yaml"
    text = path.read_text()
    path.unlink()
    springfield.customer("shelbyville", org=None)

    plan = springfield.plan()
    gone = next(each for each in plan.json["customers"] if each["id"] == "springfield")
    assert plan.code == 3
    assert gone["hold"]["people"] == 101, "the administrator is one of them"
    assert f"--approve {gone['hold']['id']}\n" in springfield.run("plan").out
    assert (
        "reconciler apply springfield --roster none " in springfield.run("plan", "springfield", "--roster", "none").out
    )
    assert springfield.apply().code == 3
    assert springfield.ask("select count(*) from customers where tombstoned_at is not null") == [(0,)]

    assert springfield.apply("--approve", gone["hold"]["id"]).code == 0
    assert springfield.ask("select slug from customers where tombstoned_at is not null") == [("springfield",)]
    assert people(springfield) == 100, "nobody's account goes with the file"

    path.write_text(text)
    back = springfield.plan("springfield", "--roster", "none")
    assert [(each["kind"], each["action"]) for each in back.json["customers"][0]["changes"]] == [
        ("customer", "restore")
    ]
    assert springfield.apply("springfield", "--roster", "none").code == 0
    assert springfield.plan("springfield", "--zip", zipped(springfield, DAY_ONE)).code == 0


def test_a_community_removed_from_git_is_held(springfield: Project) -> None:
    community = springfield.write(
        "customers/springfield/communities/high.yaml",
        "kind: community\nid: high\nname: High\nsite_license: {seats: 200, starts: 2026-08-01, ends: 2027-07-31}\n",
    )
    assert springfield.apply("springfield", "--roster", "none").code == 0
    assert springfield.ask("select count(*) from memberships") == [(100,)]
    community.unlink()

    assert springfield.plan("springfield", "--roster", "none").code == 3
    assert springfield.apply("springfield", "--roster", "none").code == 3
    assert springfield.ask("select count(*) from communities where tombstoned_at is null") == [(1,)]
    hold = springfield.plan("springfield", "--roster", "none").json["customers"][0]["hold"]["id"]
    assert springfield.apply("springfield", "--roster", "none", "--approve", hold).code == 0
    assert springfield.ask("select count(*) from communities where tombstoned_at is null") == [(0,)]


def test_one_customers_mistake_does_not_stop_the_others(project: Project) -> None:
    project.customer("springfield")
    project.customer("shelbyville", org=None)
    project.write("customers/ogdenville/customer.yaml", "kind: customer\nid: ogdenville\nnmae: Oops\n")

    plan = project.plan()
    assert plan.code == 65
    assert {each["id"]: each["outcome"] for each in plan.json["customers"]} == {
        "ogdenville": "failed",
        "shelbyville": "changes",
        "springfield": "changes",
    }
    assert project.apply().code == 5
    assert project.ask("select slug from customers order by slug") == [("shelbyville",), ("springfield",)]
    assert project.apply().code == 65, "nothing else was left to do"


def test_a_customer_whose_file_broke_is_not_removed(springfield: Project) -> None:
    springfield.write("customers/springfield/customer.yaml", "kind: customer\nid: [springfield\n")

    plan = springfield.plan()
    assert plan.code == 65
    assert plan.json["summary"]["delete"] == 0
    assert springfield.apply().code == 65


def test_expecting_a_plan_applies_only_that_one(springfield: Project) -> None:
    three = zipped(springfield, DAY_ONE.without_users(STUDENTS[:3]))
    expected = springfield.plan("springfield", "--zip", three).json["plan_id"]
    four = zipped(springfield, DAY_ONE.without_users(STUDENTS[:4]), "other.zip")

    assert springfield.run("apply", "springfield", "--zip", four, "--expect", expected).code == 4
    assert people(springfield) == 100
    assert springfield.run("apply", "springfield", "--zip", three, "--expect", expected).code == 0
    assert people(springfield) == 97
    assert springfield.run("apply", "springfield", "--zip", three, "--expect", expected).code == 0, "nothing is less"


def test_without_a_terminal_apply_wants_to_be_told(springfield: Project) -> None:
    told = springfield.run("apply", "springfield")
    assert told.code == 64
    assert "--yes" in told.err


def test_history_lists_runs_newest_first(springfield: Project) -> None:
    springfield.apply("springfield", "--zip", zipped(springfield, DAY_ONE.without_users(STUDENTS[:3])))

    runs = springfield.run("history", "springfield", "--format", "json").json["runs"]
    assert [run["outcome"] for run in runs] == ["applied", "applied"]
    assert runs[0]["counts"]["user"] == {"delete": 3}
    assert runs[0]["id"] > runs[1]["id"]


def test_last_roster_previews_new_settings_without_being_applied(springfield: Project) -> None:
    springfield.customer(more='  suffix: "@springfield"\n')

    plan = springfield.plan("--roster", "last")
    (customer,) = plan.json["customers"]
    assert customer["source"]["freshness"] == "last"
    assert customer["counts"]["user"]["update"] == 100
    before = springfield.ask("select count(*) from accounts where username like '%@springfield'")
    assert springfield.apply("springfield", "--roster", "none").code == 0
    assert springfield.ask("select count(*) from accounts where username like '%@springfield'") == before == [(0,)]

    fresh = zipped(springfield, DAY_ONE)
    held = springfield.plan("springfield", "--zip", fresh).json["customers"][0]["hold"]["id"]
    assert springfield.apply("springfield", "--zip", fresh).code == 3, "people sign in with their usernames"
    assert springfield.apply("springfield", "--zip", fresh, "--approve", held).code == 0
    assert springfield.ask("select count(*) from accounts where username like '%@springfield'") == [(100,)]


def test_preview_of_roster_changes_is_outside_the_plan_id(springfield: Project) -> None:
    springfield.customer(more='  suffix: "@springfield"\n')

    shown, left_out = springfield.plan("--roster", "last"), springfield.plan("--roster", "none")
    assert shown.json["plan_id"] == left_out.json["plan_id"]


def test_both_versions_of_the_standard_give_one_roster(springfield: Project) -> None:
    plan = springfield.plan("springfield", "--zip", zipped(springfield, DAY_ONE.version12(), "new.zip"))
    assert (plan.code, plan.json["summary"]["unchanged"]) == (0, springfield.plan().json["summary"]["unchanged"])


def test_usernames_may_be_swapped_in_one_apply(springfield: Project) -> None:
    one, two = STUDENTS[:2]
    names = {row["sourcedId"]: row["username"] for row in DAY_ONE.tables["users"]}
    later = DAY_ONE.with_user(one, username=names[two]).with_user(two, username=names[one])

    assert springfield.apply("springfield", "--zip", zipped(springfield, later)).code == 0
    rows = springfield.ask(
        f"select i.subject, a.username from accounts a join identities i on i.account_id = a.id "
        f"where i.subject in ('{one}', '{two}')"
    )
    assert dict(rows) == {one: names[two], two: names[one]}


def test_a_newcomer_may_take_the_username_of_a_leaver(springfield: Project) -> None:
    gone = STUDENTS[0]
    name = next(row["username"] for row in DAY_ONE.tables["users"] if row["sourcedId"] == gone)
    later = DAY_ONE.without_users([gone]).with_user("u-9001", username=name, identifier="990001")

    assert springfield.apply("springfield", "--zip", zipped(springfield, later)).code == 0
    assert people(springfield) == 100


def test_customer_rejected_by_its_server_plans_only_without_roster(
    project: Project,
) -> None:
    project.customer(
        org=None,
        more=(
            "rostering:\n  type: oneroster\n  client_partner_id: d-1\n  match_with: identifier\n"
            "  sync: {type: sftp, host: sftp.example.org, username: u, password: {secret: sftp}, path: /out.zip,"
            ' host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"}\n'
        ),
    )
    (customer,) = project.plan("springfield").json["customers"]
    assert (customer["outcome"], customer["source"]) == ("refused", None)
    assert [each["code"] for each in customer["diagnostics"]] == ["secret-not-set"]

    (customer,) = project.plan("springfield", "--roster", "none").json["customers"]
    assert customer["outcome"] == "changes"
    assert {"invitations", "secret-not-set"} == {each["code"] for each in customer["diagnostics"]}
