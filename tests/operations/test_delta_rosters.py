"""Delta rosters through plan and apply: the roster that is saved, and the base of the next delta."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.customers.project import Project, changes, keys
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

OLD = bundle(users=40)
NEW = OLD.version12()
VERSIONS = pytest.mark.parametrize("before", [OLD, NEW], ids=["1.1", "1.2"])
SESSIONS = [
    {"sourcedId": "t-1", "title": "T", "type": "term", "startDate": "2026-08-20", "endDate": "2099-01-15"},
    {"sourcedId": "t-2", "title": "T", "type": "term", "startDate": "2026-08-20", "endDate": "2099-01-15"},
]


def packed(project: Project, made: Bundle, name: str = "day.zip") -> Path:
    return made.zip(project.folder / name)


def a_customer(project: Project, version: str) -> None:
    project.customer(more=f'  version: "{version}"\n')


def applied(project: Project, made: Bundle) -> None:
    found = project.apply("springfield", "--zip", packed(project, made))
    assert found.code == 0, found.err + found.out


def facts(project: Project) -> Any:
    return json.loads(project.ask("select facts from snapshots")[0][0])


def diagnostics(plan: Any) -> list[str]:
    return [each["code"] for each in plan.json["customers"][0]["diagnostics"]]


@VERSIONS
def test_changes_before_any_whole_roster_are_refused(project: Project, before: Bundle) -> None:
    a_customer(project, before.version)
    delta = packed(project, before.delta(before.with_user("u-0003", givenName="Zoe")))
    found = project.plan("springfield", "--zip", delta)
    assert (found.code, found.json["customers"][0]["outcome"]) == (3, "refused")
    assert "delta-without-whole" in diagnostics(found)
    project.apply("springfield")
    assert project.plan("springfield", "--zip", delta).json["customers"][0]["outcome"] == "refused"


@VERSIONS
def test_delta_plans_only_what_it_names_and_keeps_the_result(project: Project, before: Bundle) -> None:
    a_customer(project, before.version)
    applied(project, before)
    after = before.without_users(["u-0004"]).with_user("u-0003", givenName="Zoe").with_user("u-0099", username="nia")
    delta = packed(project, before.delta(after))

    found = project.plan("springfield", "--zip", delta)
    assert keys(found, "user", "delete") == ["u-0004"]
    assert keys(found, "user", "update") == ["u-0003"]
    assert keys(found, "user", "create") == ["u-0099"]
    reasons = {(each["action"], each["reason"]) for each in changes(found, "enrollment")}
    assert {reason for _, reason in reasons} <= {"parent_removed", "roster_tobedeleted"}
    assert len(changes(found, "class")) == len(changes(found, "org")) == 0
    applied(project, before.delta(after))

    assert project.plan("springfield", "--zip", packed(project, after, "whole.zip")).code == 0
    assert project.plan("springfield", "--roster", "last").code == 0
    source = facts(project)["source"]
    assert source["modes"]["users"] == source["modes"]["orgs"] == "delta"
    assert source["rows"]["users"] == 41
    assert source["shared"] is False


def test_changes_are_laid_over_changes(project: Project) -> None:
    a_customer(project, "1.1")
    first = OLD.with_rows("academicSessions", SESSIONS)
    applied(project, first)
    second = first.with_user("u-0099", username="nia")
    applied(project, first.delta(second))
    third = second.with_row(
        "enrollments", "e-99", classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId="u-0099", role="student"
    )
    found = project.plan("springfield", "--zip", packed(project, second.delta(third)))
    assert keys(found, "enrollment", "create") == ["e-99"]
    assert found.json["summary"]["delete"] == found.json["summary"]["update"] == 0
    assert "dangling-reference" not in diagnostics(found)


def test_held_deletion_survives_the_next_delta(project: Project) -> None:
    a_customer(project, "1.1")
    applied(project, OLD)
    leavers = OLD.students()[:20]
    assert project.apply("springfield", "--zip", packed(project, OLD.delta(OLD.without_users(leavers)))).code == 3
    found = project.plan("springfield", "--zip", packed(project, OLD.delta(OLD)))
    assert sorted(keys(found, "user", "delete")) == sorted(leavers)
    assert found.json["customers"][0]["hold"]["people"] == 20


def test_plan_file_carries_what_later_sources_are_judged_by(project: Project) -> None:
    a_customer(project, "1.1")
    saved = project.folder / "plan.zip"
    manifest = OLD.files()["manifest.csv"] + b"source.systemCode,aspen\n"
    project.run("plan", "springfield", "--zip", packed(project, OLD.raw("manifest.csv", manifest)), "--out", saved)
    assert project.apply(str(saved)).code == 0
    source = facts(project)["source"]
    assert (source["system"], source["packed_at"]) == ("aspen", "2026-08-20T03:00:00")
    assert source["files"] == ["classes", "enrollments", "orgs", "users"]
    assert source["rows"] == {}


def test_roster_kept_by_an_earlier_version_accepts_a_delta(project: Project) -> None:
    a_customer(project, "1.1")
    applied(project, OLD)
    with project.by_hand() as cursor:
        cursor.execute("update snapshots set facts = '{}'")
        cursor.execute("delete from snapshot_parts where part in ('sessions', 'role_ids')")
    assert project.plan("springfield", "--roster", "last").code == 0
    found = project.plan("springfield", "--zip", packed(project, OLD.delta(OLD.with_user("u-0003", givenName="Zoe"))))
    assert keys(found, "user", "update") == ["u-0003"]
    assert found.json["summary"]["delete"] == 0


def test_delta_in_a_shared_bundle_names_only_own_rows(project: Project) -> None:
    a_customer(project, "1.1")
    both = OLD.with_row("orgs", "d-2", name="Other", type="district").with_row(
        "orgs", "s-9", name="Theirs", type="school", parentSourcedId="d-2"
    )
    both = both.with_user("other-1", orgSourcedIds="s-9", username="lisa", identifier="770001")
    applied(project, both)
    assert facts(project)["source"]["shared"] is True
    later = both.with_user("other-1", givenName="Lisa").with_user("u-0003", givenName="Zoe")
    found = project.plan("springfield", "--zip", packed(project, both.delta(later)))
    assert [each["key"] for each in changes(found, "user")] == ["u-0003"]
    assert found.json["summary"]["quarantined"] == 0
    assert "rows-of-others" in diagnostics(found)
    applied(project, both.delta(later))
    assert facts(project)["source"]["shared"] is True


@VERSIONS
def test_check_of_a_delta_covers_only_its_rows(project: Project, before: Bundle) -> None:
    later = before.with_row("classes", "c-03", title="Poetry").with_row("enrollments", "e-00003", endDate="2027-01-01")
    later = later.with_user("u-0003", givenName="Zoe").with_row("orgs", "s-1", name="Other")
    found = project.run("roster", "check", packed(project, before.delta(later)))
    assert (found.code, found.out) == (0, "users 1 · classes 1 · enrollments 1 · orgs 1\n")
    bad = before.with_user("u-0003", enabledUser="perhaps")
    found = project.run("roster", "check", packed(project, before.delta(bad)))
    assert "users.csv:2:4: error: enabledUser is neither true nor false" in found.out


def test_people_awaiting_removal_keep_classes_through_a_delta(project: Project) -> None:
    """The kept roster lacks them, and so does the file of changes: neither says that they are gone."""
    large = bundle(users=100)
    a_customer(project, "1.1")
    applied(project, large)
    waiting = large.students()[:15]
    without = large.without_users(waiting)
    assert project.apply("springfield", "--zip", packed(project, without)).code == 3
    before = project.ask("select count(*) from enrollments where tombstoned_at is null")
    more = without.delta(without.with_user("u-9001", username="new", identifier="9001"))
    found = project.plan("springfield", "--zip", packed(project, more))
    assert keys(found, "user", "create") == ["u-9001"]
    assert all(each["held"] for each in changes(found, "enrollment"))
    project.apply("springfield", "--zip", packed(project, more))
    assert project.ask("select count(*) from enrollments where tombstoned_at is null") == before


def test_delta_naming_nobody_held_keeps_the_hold(project: Project) -> None:
    """The kept roster lacks them; what changed since says nothing of them. They wait until a whole one has them."""
    large = bundle(users=100)
    a_customer(project, "1.1")
    applied(project, large)
    waiting = large.students()[:15]
    without = large.without_users(waiting)
    assert project.apply("springfield", "--zip", packed(project, without)).code == 3
    (hold,) = [each for (each,) in project.ask("select hold_id from holds")]
    more = without.with_user("u-9001", username="new", identifier="9001")
    assert project.apply("springfield", "--zip", packed(project, without.delta(more))).code == 3
    assert project.ask("select hold_id from holds") == [(hold,)]
    assert project.ask("select count(*) from accounts where tombstoned_at is null and managed_by = 'roster'") == [
        (101,)
    ]

    (row,) = [each for each in large.tables["users"] if each["sourcedId"] == waiting[0]]
    back = more.with_rows("users", [*more.tables["users"], row])
    assert project.apply("springfield", "--zip", packed(project, more.delta(back))).code == 3
    ((now, people),) = project.ask("select hold_id, people from holds")
    assert (now != hold, people) == (True, 14)
    released = project.apply("springfield", "--zip", packed(project, back.delta(back)), "--approve", now)
    assert released.code == 0, released.err + released.out
    assert project.ask("select count(*) from holds") == [(0,)]
    assert project.ask("select count(*) from accounts where tombstoned_at is null and managed_by = 'roster'") == [(87,)]


def test_delta_never_extends_a_roster_overtaken_while_doubted(project: Project) -> None:
    large = bundle(users=100)
    a_customer(project, "1.1")
    applied(project, large)
    someone = large.students()[-1]
    half = large.without_users(large.students()[:40]).with_user(someone, givenName="New")
    assert project.apply("springfield", "--zip", packed(project, half)).code == 3
    more = half.delta(half.with_user("u-9001", username="new", identifier="9001"))
    found = project.plan("springfield", "--zip", packed(project, more))
    assert (found.code, diagnostics(found)) == (3, ["delta-without-whole"])
    applied(project, large.with_user(someone, givenName="New"))
    assert project.plan("springfield", "--zip", packed(project, more)).code == 2
