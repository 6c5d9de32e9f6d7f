"""`purge` deletes exactly the data that is past its retention period."""

from __future__ import annotations

import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler import clock
from tests.support.customers.project import Project, Result
from tests.support.rosters.bundles import Bundle, bundle

pytestmark = pytest.mark.slow

START = datetime(2026, 9, 1, 6, tzinfo=UTC)
DAY_ONE = bundle(users=60)
STUDENTS = DAY_ONE.students()
ANN, BEN, EVE, FAY, *REST = STUDENTS
WITHOUT_ANN_AND_BEN = DAY_ONE.without_users([ANN, BEN])
WITHOUT_EVE = WITHOUT_ANN_AND_BEN.without_users([EVE])
#: What a purge must leave as it is, where it lives.
LIVING = ("accounts", "enrollments", "classes", "orgs", "communities", "lessons", "assignments")
LESSON = "kind: lesson\nid: leaves\ntitle: Leaves\nurl: https://lessons.example/leaves\n"


def on(day: int) -> Any:
    """The moment so many days after the first."""
    return clock.freeze_time(START + timedelta(days=day))


def applied(project: Project, made: Bundle, day: int, *more: str, code: int = 0, customer: str = "springfield") -> int:
    with on(day):
        result = project.apply(customer, "--zip", made.zip(project.folder / "day.zip"), *more)
    assert result.code == code, result
    return int(project.ask("select max(id) from runs")[0][0])


def purge(project: Project, day: int, *more: str, code: int = 0) -> Result:
    with on(day):
        result = project.run("purge", *more)
    assert result.code == code, result
    # lines are as wide as a terminal: what is looked for may be on two
    return Result(result.code, re.sub(r"\n +", " ", result.out), result.err)


@pytest.fixture
def springfield(project: Project) -> Project:
    """Day 0: sixty people. Day 1: Ann and Ben leave. Day 40: Eve leaves, and Ann's days are over."""
    project.customer()
    applied(project, DAY_ONE, 0)
    applied(project, WITHOUT_ANN_AND_BEN, 1)
    applied(project, WITHOUT_EVE, 40)
    return project


def number(project: Project, statement: str) -> int:
    return int(project.ask(f"select count(*) from {statement}")[0][0])


def account(project: Project, key: str) -> int:
    return int(project.ask(f"select account_id from identities where subject = '{key}'")[0][0])


def living(project: Project) -> dict[str, list[tuple[Any, ...]]]:
    """Every live row, and what belongs to live people, as it is to the last column."""
    rows = {table: project.ask(f"select * from {table} where tombstoned_at is null order by id") for table in LIVING}
    for table in ("identities", "account_roles", "memberships"):
        rows[table] = project.ask(
            f"select * from {table} where account_id in (select id from accounts where tombstoned_at is null)"
            " order by 1, 2"
        )
    rows["customers"] = project.ask("select * from customers order by id")
    rows["write_counters"] = project.ask("select * from write_counters order by customer_id")
    rows["runs"] = project.ask("select * from runs order by id")
    return rows


def test_without_yes_purge_only_shows_who_goes_or_stays(springfield: Project) -> None:
    before = number(springfield, "accounts")
    shown = purge(springfield, 40)
    assert shown.out.startswith("To delete permanently, of 1 customer: 2 people, 4 enrollments.\n")
    assert "springfield · retention 30 days · deleted before 2026-09-11 06:00 UTC" in shown.out
    assert "2 people, deleted 2026-09-02 06:00 UTC" in shown.out
    assert "kept: 1 person deleted within the retention period, the first on 2026-10-11" in shown.out
    assert "Nothing was deleted. To delete this data:  reconciler purge --yes" in shown.out
    assert number(springfield, "accounts") == before
    assert not number(springfield, "certificates")


def test_deleted_go_with_everything_and_the_living_stay_intact(springfield: Project) -> None:
    ann, eve = account(springfield, ANN), account(springfield, EVE)
    with springfield.by_hand() as cursor:
        cursor.execute(
            "insert into invitations (token_hash, account_id, created_at, expires_at)"
            f" values ('x', {ann}, '2026-09-01T07:00:00Z', '2026-09-01T07:00:00Z')"
        )
        cursor.execute(
            "insert into assignments (customer_id, lesson_id, account_id, created_at)"
            f" values (1, 1, {ann}, '2026-09-01T07:00:00Z')"
        )
    before = living(springfield)
    done = purge(springfield, 40, "--yes")
    after = living(springfield)
    before["assignments"] = []  # the one there was is a lesson's that is not there, for somebody who is gone
    assert after == before
    for table in (
        "accounts where id",
        "identities where account_id",
        "account_roles where account_id",
        "enrollments where account_id",
        "invitations where account_id",
        "assignments where account_id",
    ):
        assert not number(springfield, f"{table} = {ann}")
    assert not number(springfield, f"journal where kind = 'user' and row_id = {ann}")
    assert number(springfield, f"accounts where id = {eve}")
    assert number(springfield, f"enrollments where account_id = {eve}")
    assert number(springfield, f"journal where kind = 'user' and row_id = {eve}") == 1
    assert "certificate 1" in done.out
    assert "2 people" in done.out
    assert "signature " in done.out
    assert "plan files saved with --out" in done.out.replace("\n", " ")


def test_no_digest_from_before_the_retention_remains(springfield: Project) -> None:
    (last,) = springfield.ask("select max(run_id) from run_effects")[0]
    purge(springfield, 40, "--yes")
    assert springfield.ask("select run_id from run_effects where customer_id is not null") == [(last,)]


def test_sessions_and_sign_ins_of_the_purged_go_too(springfield: Project) -> None:
    ann, fay = account(springfield, ANN), account(springfield, FAY)
    volatile = volatile_of(springfield)
    with volatile.by_hand() as cursor:
        for who in (ann, fay):
            cursor.execute(f"insert into last_sign_ins (account_id, at) values ({who}, '2026-09-01T07:00:00Z')")
            cursor.execute(
                "insert into sessions (token_hash, account_id, data, created_at, expires_at)"
                f" values ('t{who}', {who}, '', '2026-09-01T07:00:00Z', '2026-09-01T07:00:00Z')"
            )
    done = purge(springfield, 40, "--yes")
    assert "1 session" in done.out
    assert volatile.ask("select account_id from sessions") == [(fay,)]
    assert volatile.ask("select account_id from last_sign_ins") == [(fay,)]


def volatile_of(project: Project) -> Project:
    """The same store's volatile side, to ask and to write to."""
    url = project.store_url.replace("store.db", "store.volatile.db")
    if project.store_url.startswith("sqlite"):
        names = [path for path in project.folder.iterdir() if "volatile" in path.name and path.suffix == ".db"]
        url = f"sqlite:///{names[0]}" if names else url
    return Project(project.folder, url, project._capsys)


def test_plan_after_a_purge_is_empty_without_drift(springfield: Project) -> None:
    purge(springfield, 40, "--yes")
    with on(40):
        plan = springfield.plan("springfield", "--zip", WITHOUT_EVE.zip(springfield.folder / "day.zip"))
    assert plan.code == 0
    assert not number(springfield, "accounts where fingerprint is null")
    assert not number(springfield, "enrollments where fingerprint is null")
    assert not springfield.ask("select 1 from customers where settings_digest is null")


def test_earlier_plan_not_touching_the_purged_still_applies(springfield: Project) -> None:
    saved = springfield.folder / "saved.plan"
    made = WITHOUT_EVE.with_user(FAY, givenName="Fae")
    with on(40):
        springfield.run("plan", "springfield", "--zip", made.zip(springfield.folder / "day.zip"), "--out", saved)
    purge(springfield, 40, "--yes")
    with on(40):
        assert springfield.run("apply", saved).code == 0
    assert springfield.ask(f"select given_name from accounts where id = {account(springfield, FAY)}") == [("Fae",)]


def test_who_returns_after_the_purge_is_a_new_account(springfield: Project) -> None:
    old = account(springfield, ANN)
    purge(springfield, 40, "--yes")
    applied(springfield, WITHOUT_EVE.with_user(ANN), 41)
    assert account(springfield, ANN) > old


def test_a_purge_again_finds_nothing_and_issues_nothing(springfield: Project) -> None:
    purge(springfield, 40, "--yes")
    again = purge(springfield, 40, "--yes")
    assert "Nothing is past its retention." in again.out
    assert number(springfield, "certificates") == 1


def test_retention_is_the_applied_one_not_the_files(springfield: Project) -> None:
    path = springfield.customer()
    path.write_text(path.read_text().replace("rostering:\n", "rostering:\n  retention: 1d\n"))
    assert "retention 30 days" in purge(springfield, 42).out
    with on(42):
        springfield.apply("springfield")
    shown = purge(springfield, 42)
    assert "retention 1 day " in shown.out
    assert "To delete permanently, of 1 customer: 3 people" in shown.out


def test_deleted_classes_go_and_concluded_ones_stay(project: Project) -> None:
    project.customer()
    applied(project, DAY_ONE, 0)
    gone, over = DAY_ONE.ids("classes")[:2]
    applied(project, DAY_ONE.without_class(gone), 1)
    applied(project, DAY_ONE.without_class(gone).without_class(over), 2)
    with project.by_hand() as cursor:
        cursor.execute(f"update classes set concluded_at = tombstoned_at where sourced_id = '{over}'")
        cursor.execute(
            "update enrollments set concluded_at = tombstoned_at where class_id ="
            f" (select id from classes where sourced_id = '{over}')"
        )
    applied(project, DAY_ONE.without_class(gone).without_class(over), 40)
    ended = number(project, "enrollments where concluded_at is not null")
    shown = purge(project, 40, "--yes")
    assert f"kept: {ended + 1} classes and enrollments whose term ended" in shown.out
    assert not number(project, f"classes where sourced_id = '{gone}'")
    assert number(project, f"classes where sourced_id = '{over}'") == 1
    assert number(project, "enrollments where concluded_at is not null") == ended > 0
    assert number(project, "enrollments where tombstoned_at is not null") == ended


def test_what_something_refers_to_that_stays_is_kept(springfield: Project) -> None:
    with springfield.by_hand() as cursor:
        cursor.execute("update classes set tombstoned_at = '2026-09-02T06:00:00Z' where sourced_id = 'c-01'")
        cursor.execute("update orgs set tombstoned_at = '2026-09-02T06:00:00Z' where sourced_id = 'd-1'")
    shown = purge(springfield, 40, "--yes")
    assert "kept: 2 classes and orgs that remaining data refers to" in shown.out
    assert number(springfield, "classes where sourced_id = 'c-01'")
    assert number(springfield, "orgs where sourced_id = 'd-1'")


def test_clock_far_ahead_purges_nobody_until_confirmed(
    springfield: Project,
) -> None:
    refused = purge(springfield, 400, "--yes", code=1)
    assert "[clock-ahead]" in refused.err
    assert "--today 2027-10-06" in refused.err
    assert number(springfield, "accounts where tombstoned_at is not null") == 3
    assert "[clock-disagrees]" in purge(springfield, 400, "--yes", "--today", "2026-10-06", code=1).err
    assert number(springfield, "accounts where tombstoned_at is not null") == 3
    purge(springfield, 400, "--yes", "--today", "2027-10-06")
    assert not number(springfield, "accounts where tombstoned_at is not null")


def test_a_clock_set_back_purges_nobody_too_early(springfield: Project) -> None:
    assert "Nothing is past its retention." in purge(springfield, 5).out


def test_people_named_by_the_last_roster_survive_during_holds(springfield: Project) -> None:
    back = WITHOUT_EVE.with_user(ANN).with_user(BEN)
    with on(41):
        springfield.apply("springfield", "--zip", back.zip(springfield.folder / "day.zip"))
    with springfield.by_hand() as cursor:
        cursor.execute(
            f"update accounts set tombstoned_at = '2026-09-02T06:00:00Z' where id = {account(springfield, ANN)}"
        )
        cursor.execute(
            "insert into holds (customer_id, scope, hold_id, people, rows, causes, plan_id, created_at)"
            " values (1, 'roster', 'springfield:1:abc', 1, 1, '[]', 'p', '2026-10-12T06:00:00Z')"
        )
    shown = purge(springfield, 41, "--yes")
    assert "kept: 1 person still in the last roster" in shown.out
    assert number(springfield, f"accounts where id = {account(springfield, ANN)}") == 1
    with springfield.by_hand() as cursor:
        cursor.execute("delete from holds")
    purge(springfield, 41, "--yes")
    assert not number(springfield, f"identities where subject = '{ANN}'")


def test_before_images_past_retention_go_with_their_undo(project: Project) -> None:
    project.customer()
    applied(project, DAY_ONE, 0)
    renamed = applied(project, DAY_ONE.with_user(ANN, givenName="Anna"), 1)
    later = applied(project, DAY_ONE.with_user(ANN, givenName="Anne"), 40)
    assert number(project, f"journal where run_id = {renamed} and kind = 'user'") == 1
    purge(project, 40, "--yes")
    assert not number(project, f"journal where run_id = {renamed} and kind = 'user'")
    with on(40):
        refused = project.run("undo", str(renamed), "--yes")
        assert refused.code == 1
        assert "[no-longer-kept]" in refused.err
        assert project.run("undo", str(later), "--yes").code == 0
    assert project.ask(f"select given_name from accounts where id = {account(project, ANN)}") == [("Anna",)]


def test_runs_and_certificates_still_verify_but_forgeries_do_not(
    springfield: Project,
) -> None:
    purge(springfield, 40, "--yes")
    assert springfield.run("history", "--verify").code == 0
    listed = springfield.run("history", "--certificates")
    assert "certificate 1" in listed.out
    assert "springfield  purged" in listed.out
    with springfield.by_hand() as cursor:
        cursor.execute("""update certificates set counts = '{"accounts":1}'""")
    forged = springfield.run("history", "--verify")
    assert forged.code == 1
    assert "[altered-certificate]" in forged.err


def test_removed_customer_goes_whole_and_its_runs_stay(springfield: Project) -> None:
    springfield.customer("shelby", org="d-1")
    (springfield.folder / "customers" / "springfield" / "customer.yaml").unlink()
    with on(41):
        held = springfield.apply("springfield")
        hold = springfield.ask("select hold_id from holds")[0][0]
        assert held.code == 3
        assert springfield.apply("springfield", "--approve", hold).code == 0
        springfield.apply("shelby")
    with on(70):
        springfield.apply("shelby", "--zip", DAY_ONE.zip(springfield.folder / "day.zip"))
    assert "the whole customer" not in purge(springfield, 70).out
    with on(72):
        springfield.apply(
            "shelby", "--zip", DAY_ONE.with_user(FAY, givenName="Fae").zip(springfield.folder / "day.zip")
        )
    shown = purge(springfield, 72)
    assert "the whole customer, removed 2026-10-12 06:00 UTC, with 58 people active until then" in shown.out
    runs = number(springfield, "runs")
    shelby = springfield.ask("select id from customers where slug = 'shelby'")[0][0]
    purge(springfield, 72, "--yes")
    assert springfield.ask("select slug from customers") == [("shelby",)]
    for table in (
        "accounts",
        "enrollments",
        "classes",
        "orgs",
        "identities",
        "issuers",
        "account_roles",
        "journal",
        "run_effects",
        "snapshots",
        "secrets",
        "holds",
        "write_counters",
        "limit_uses",
        "org_closure",
    ):
        assert springfield.ask(f"select distinct customer_id from {table} where customer_id <> {shelby}") == []
    assert number(springfield, "runs") == runs
    assert springfield.run("history", "--verify").code == 0


def test_a_removed_customer_that_the_files_have_again_stays(springfield: Project) -> None:
    path = springfield.folder / "customers" / "springfield" / "customer.yaml"
    text = path.read_text()
    path.unlink()
    with on(41):
        springfield.apply("springfield")
        springfield.apply("springfield", "--approve", springfield.ask("select hold_id from holds")[0][0])
    path.write_text(text)
    purge(springfield, 75, "--yes", "--today", "2026-11-15")
    assert number(springfield, "customers") == 1
    assert number(springfield, "accounts where tombstoned_at is null") > 50


def test_deleted_communities_and_lessons_go_without_drift(
    springfield: Project,
) -> None:
    lesson = springfield.write("customers/springfield/lessons/leaves.yaml", LESSON)
    shared = springfield.write("customers/lessons/leaves.yaml", LESSON)
    with on(41):
        assert springfield.apply("springfield").code == 0
        assert springfield.apply().code == 0
    own = springfield.ask("select id from lessons where customer_id is not null")[0][0]
    with springfield.by_hand() as cursor:
        cursor.execute(
            "insert into assignments (customer_id, lesson_id, account_id, created_at)"
            f" values (1, {own}, {account(springfield, FAY)}, '2026-10-12T06:00:00Z')"
        )
    lesson.unlink()
    shared.unlink()
    with on(42):
        assert springfield.apply().code == 0
    shown = purge(springfield, 73, "--yes", "--today", "2026-11-13")
    assert "catalog" in shown.out
    assert number(springfield, "lessons") == 0
    assert number(springfield, "assignments") == 0
    with on(73):
        assert springfield.plan().code == 0
    assert not springfield.ask("select 1 from customers where settings_digest is null")


def test_one_locked_customer_does_not_stop_others(springfield: Project, monkeypatch: Any) -> None:
    from reconciler.operations import purge as purging
    from reconciler.store.errors import StoreProblem

    springfield.customer("shelby", org="d-2")
    applied(springfield, DAY_ONE.with_district("d-2"), 2, customer="shelby")
    applied(springfield, WITHOUT_EVE.with_district("d-2"), 3, customer="shelby")
    applied(springfield, WITHOUT_EVE.with_user(FAY, givenName="Fae"), 40)
    real = purging.purge_customer

    def locked(store: Any, slug: str, *rest: Any, **more: Any) -> Any:
        if slug == "shelby":
            raise StoreProblem("locked", "shelby is being applied by ann@host")
        return real(store, slug, *rest, **more)

    monkeypatch.setattr(purging, "purge_customer", locked)
    done = purge(springfield, 40, "--yes", code=5)
    assert "[locked]" in done.err
    assert "springfield  purged" in done.out
    assert json.loads(springfield.ask("select counts from certificates")[0][0])["accounts"] == 2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_purge_after_any_history_keeps_the_living_and_plans_nothing(project: Project, seed: int) -> None:
    chance = random.Random(seed)
    project.customer(more="  limits: {users: {percent: 100, per_school_percent: 100}, classes: {percent: 100}}\n")
    day, today = 0, DAY_ONE
    applied(project, DAY_ONE, 0)
    for _ in range(5):
        day += chance.randint(1, 20)
        today = DAY_ONE.without_users(chance.sample(STUDENTS, chance.randint(0, 5)))
        if chance.random() < 0.5:
            today = today.without_class(chance.choice(DAY_ONE.ids("classes")))
        with on(day):
            result = project.apply("springfield", "--zip", today.zip(project.folder / "day.zip"))
        if result.code == 3:
            hold = project.ask("select hold_id from holds")[0][0]
            with on(day):
                project.apply("springfield", "--zip", project.folder / "day.zip", "--approve", hold)
    before = living(project)
    purge(project, day + 40, "--yes", "--today", f"{START + timedelta(days=day + 40):%Y-%m-%d}")
    assert living(project) == before
    assert not any(project.ask(f"select 1 from {table} where tombstoned_at is not null") for table in LIVING)
    with on(day + 40):
        assert project.plan("springfield", "--zip", today.zip(project.folder / "day.zip")).code == 0
