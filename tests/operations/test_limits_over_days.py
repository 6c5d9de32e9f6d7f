"""Limits, pre-approvals and exceptions over several days, through the CLI."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler import clock
from tests.support.customers.project import Project, Result, keys
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

MONDAY = datetime(2026, 11, 23, 3, tzinfo=UTC)
DAY_ONE = bundle(users=60)
STUDENTS = DAY_ONE.students()


@pytest.fixture
def springfield(project: Project) -> Project:
    project.customer()
    return project


def settings(project: Project, more: str) -> None:
    """Adds lines under `rostering`."""
    path = project.customer()
    path.write_text(path.read_text(encoding="utf-8").rstrip() + "\n" + more, encoding="utf-8")


def on(day: int) -> datetime:
    return MONDAY + timedelta(days=day)


def applied(project: Project, made: Bundle, day: int) -> Result:
    path = zipped(project, made, day)
    with clock.freeze_time(on(day)):
        return project.apply("springfield", "--zip", path)


def planned(project: Project, made: Bundle, day: int) -> Result:
    path = zipped(project, made, day)
    with clock.freeze_time(on(day)):
        return project.plan("springfield", "--zip", path)


def zipped(project: Project, made: Bundle, day: int) -> Path:
    return made.zip(project.folder / f"day-{day}.zip")


def live(project: Project) -> int:
    (found,) = project.ask("SELECT count(*) FROM accounts WHERE managed_by = 'roster' AND tombstoned_at IS NULL")
    return int(found[0])


def test_slow_bleed_is_stopped_within_the_window_only(springfield: Project) -> None:
    everybody = DAY_ONE
    assert applied(springfield, everybody, 0).code == 0
    before = live(springfield)
    gone = 0
    codes = []
    for day in range(1, 7):
        gone += 2
        codes.append(applied(springfield, everybody.without_users(STUDENTS[:gone]), day).code)
    # The third time it is six of what are 56 by now: one more than ten per cent.
    assert before == 60
    assert codes == [0, 0, 3, 3, 3, 3]
    assert live(springfield) == 56
    plan = planned(springfield, everybody.without_users(STUDENTS[:6]), 7)
    use = plan.json["customers"][0]["limits"][0]
    assert (use["name"], use["seen"], use["earlier"], use["allowed"]) == ("users", 6, 4, 5)
    assert plan.code == 3
    assert planned(springfield, everybody.without_users(STUDENTS[:6]), 15).code == 2


def test_what_a_person_approved_counts_for_nothing_later(springfield: Project) -> None:
    applied(springfield, DAY_ONE, 0)
    plan = planned(springfield, DAY_ONE.without_users(STUDENTS[:8]), 1)
    hold = plan.json["customers"][0]["hold"]["id"]
    with clock.freeze_time(on(1)):
        done = springfield.apply("springfield", "--zip", springfield.folder / "day-1.zip", "--approve", hold)
    assert done.code == 0, done.err
    after = planned(springfield, DAY_ONE.without_users(STUDENTS[:11]), 2)
    assert after.code == 2
    use = after.json["customers"][0]["limits"][0]
    assert (use["seen"], use["earlier"]) == (3, 0)


def test_who_came_back_counts_no_more(springfield: Project) -> None:
    applied(springfield, DAY_ONE, 0)
    assert applied(springfield, DAY_ONE.without_users(STUDENTS[:4]), 1).code == 0
    assert applied(springfield, DAY_ONE, 2).code == 0
    assert planned(springfield, DAY_ONE.without_users(STUDENTS[4:8]), 3).code == 2


def test_approvals_in_the_file_last_until_used_up(springfield: Project) -> None:
    settings(springfield, "  approvals: [{people: 12, until: 2026-12-01, reason: graduating class}]\n")
    applied(springfield, DAY_ONE, 0)
    plan = planned(springfield, DAY_ONE.without_users(STUDENTS[:10]), 1)
    assert plan.code == 2
    assert "approved-in-advance" in {each["code"] for each in plan.json["customers"][0]["diagnostics"]}
    assert applied(springfield, DAY_ONE.without_users(STUDENTS[:10]), 1).code == 0
    # Two of twelve are left, and three more with the ten would exceed the limit only without the approval.
    assert planned(springfield, DAY_ONE.without_users(STUDENTS[:20]), 2).code == 3


def test_an_expired_approval_is_a_warning_and_releases_nobody(springfield: Project) -> None:
    settings(springfield, "  approvals: [{people: 50, until: 2026-11-01, reason: long ago}]\n")
    applied(springfield, DAY_ONE, 0)
    plan = planned(springfield, DAY_ONE.without_users(STUDENTS[:10]), 1)
    assert plan.code == 3
    expired = [each for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "approval-expired"]
    assert [each["file"] for each in expired] == ["customers/springfield/customer.yaml"]


def test_gate_holds_until_an_allowance_and_its_day(springfield: Project) -> None:
    applied(springfield, DAY_ONE, 0)
    fewer = DAY_ONE.with_rows("enrollments", DAY_ONE.tables["enrollments"][:20])
    plan = planned(springfield, fewer, 1)
    assert plan.code == 3
    assert "row-count-drop" in {each["code"] for each in plan.json["customers"][0]["diagnostics"]}
    settings(springfield, "  allow: [{gate: row-count-drop, until: 2026-11-25, reason: half of the classes ended}]\n")
    allowed = planned(springfield, fewer, 1)
    assert "gate-allowed" in {each["code"] for each in allowed.json["customers"][0]["diagnostics"]}
    late = planned(springfield, fewer, 3)
    assert {"row-count-drop", "allowance-expired"} <= {
        each["code"] for each in late.json["customers"][0]["diagnostics"]
    }


def test_a_policy_caps_what_a_customer_allows_itself(springfield: Project) -> None:
    settings(springfield, "  limits: {users: {percent: 100, per_school_percent: 100, floor: 50}, window: 1d}\n")
    applied(springfield, DAY_ONE, 0)
    assert planned(springfield, DAY_ONE.without_users(STUDENTS[:8]), 1).code == 2
    text = springfield.folder.joinpath("reconciler.yaml").read_text(encoding="utf-8")
    springfield.write("reconciler.yaml", text + "policy: {limits: {window: 7d, users: {percent: 5, floor: 2}}}\n")
    capped = planned(springfield, DAY_ONE.without_users(STUDENTS[:8]), 1)
    assert capped.code == 3
    assert capped.json["customers"][0]["limits"][0]["allowed"] == max(2, live(springfield) * 5 // 100)
    warned = [each["message"] for each in capped.json["customers"][0]["diagnostics"]]
    assert sum("policy.limits" in each for each in warned) == 3


def test_two_saved_plans_cannot_use_one_limit_twice(springfield: Project) -> None:
    applied(springfield, DAY_ONE, 0)
    files = []
    for number, leavers in enumerate((STUDENTS[:4], STUDENTS[4:8])):
        path = zipped(springfield, DAY_ONE.without_users(leavers), 10 + number)
        out = springfield.folder / f"{number}.plan"
        with clock.freeze_time(on(1)):
            springfield.run("plan", "springfield", "--zip", path, "--out", out)
        files.append(out)
    with clock.freeze_time(on(1)):
        assert springfield.apply(files[0]).code == 0
        assert springfield.apply(files[1]).code == 4
    assert keys(planned(springfield, DAY_ONE, 1), "user", "restore") == sorted(STUDENTS[:4])


def test_doubted_roster_is_no_basis_for_the_next(springfield: Project) -> None:
    """The half of a file, sent twice, is no truer the second time."""
    applied(springfield, DAY_ONE, 0)
    half = DAY_ONE.without_users(STUDENTS[:25])
    for day in (1, 2):
        assert applied(springfield, half, day).code == 3
        said = {each["code"] for each in planned(springfield, half, day).json["customers"][0]["diagnostics"]}
        assert "row-count-drop" in said
    assert live(springfield) == 60
    hold = planned(springfield, half, 3).json["customers"][0]["hold"]["id"]
    with clock.freeze_time(on(3)):
        assert springfield.apply("springfield", "--zip", springfield.folder / "day-3.zip", "--approve", hold).code == 0
    assert planned(springfield, half, 4).code == 0


def test_139_purged_people_still_count_within_the_window(springfield: Project) -> None:
    """The window is longer than the retention: a purge in between opens no way around the limit."""
    settings(springfield, "  retention: 1d\n  limits: {window: 30d}\n")
    applied(springfield, DAY_ONE, 0)
    assert applied(springfield, DAY_ONE.without_users(STUDENTS[:4]), 1).code == 0
    uses = springfield.ask("SELECT name, count(*) FROM limit_uses GROUP BY name ORDER BY name")
    rows = springfield.ask("SELECT row_id, account_id, class_id FROM limit_uses")
    with clock.freeze_time(on(4)):
        assert springfield.run("purge", "--yes").code == 0
    assert springfield.ask("SELECT name, count(*) FROM limit_uses GROUP BY name ORDER BY name") == uses
    left = springfield.ask("SELECT row_id, account_id, class_id, schools FROM limit_uses")
    assert not {each for row in rows for each in row if each is not None} & {row for row, *_ in left}
    assert {tuple(more) for _, *more in left} == {(None, None, None)}
    assert len({row for row, *_ in left}) == len(left)
    plan = planned(springfield, DAY_ONE.without_users(STUDENTS[:6]), 5)
    use = plan.json["customers"][0]["limits"][0]
    assert (plan.code, use["name"], use["seen"], use["earlier"]) == (3, "users", 6, 4)
