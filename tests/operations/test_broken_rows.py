"""A row of one customer that nobody can read keeps no verb from working for the others."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from reconciler import clock
from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle

pytestmark = pytest.mark.slow

DAY_ONE = bundle(users=40)
ANN, BEN, *_ = DAY_ONE.students()
START = datetime(2026, 9, 1, 6, tzinfo=UTC)
OF_IT = "where customer_id = (select id from customers where slug = 'shelbyville')"
HOLD = "insert into holds (customer_id, scope, hold_id, people, rows, causes, plan_id, created_at) select id, {},"
NOTICE = "insert into notices (customer_id, event, since, hold_id, people, sentences, at, stands) select id, {},"
MOMENT = "'2026-09-01T07:00:00Z'"
SHARED_ROSTER = "  allow: [{gate: people-of-another-customer, until: 2026-12-31, reason: one roster for two}]\n"
FROM_IT = "from customers where slug = 'shelbyville'"


def document(text: str) -> str:
    return f"update customers set document = '{text}' where slug = 'shelbyville'"


#: What -> the statement of another hand.
BROKEN = {
    "no JSON": document("{no"),
    "a list": document("[1]"),
    "nothing": document("{}"),
    "values of other types": document('{"rostering": 7, "lti": {"platforms": {"a": 7}}, "previously": 7}'),
    "a retention without bounds": (
        "update customers set document = replace(document, '30d', '999999d') where slug = 'shelbyville'"
    ),
    "the written document": "update customers set written = '[7', inputs = '[7' where slug = 'shelbyville'",
    "a lost counter": f"delete from write_counters {OF_IT}",
    "a hold": HOLD.format("'roster'") + f""" 'shelbyville:1:ab', 1, 1, '["x', 'p', {MOMENT} {FROM_IT}""",
    "a run": "update runs set counts = '{x', approvals = '[7]' where customer_slug = 'shelbyville'",
    "the last roster": f"update snapshots set facts = '{{x', rows = '[' {OF_IT}",
    "a sync": (
        "insert into syncs (customer_id, schedule, next_at, outcome, settled_until)"
        f" select id, 'x', {MOMENT}, 'odd', 'odd' {FROM_IT}"
    ),
    "a before-image": (
        "insert into journal (run_id, customer_id, kind, row_id, action, before)"
        f" select 1, id, 'customer', id, 'odd', '{{x' {FROM_IT}"
    ),
    "an event": NOTICE.format("'odd'") + f" {MOMENT}, '', 1, '[]', {MOMENT}, true {FROM_IT}",
    "sentences": NOTICE.format("'held'") + f" {MOMENT}, '', 1, '[x', {MOMENT}, true {FROM_IT}",
    "a community": f"insert into communities (customer_id, slug, name, document) select id, 'o', 'O', '[7]' {FROM_IT}",
    "a lesson": f"insert into lessons (customer_id, slug, title, document) select id, 'o', 'O', '{{x' {FROM_IT}",
}


@pytest.fixture
def two(project: Project) -> Project:
    """Springfield and Shelbyville, each of which lost one person 40 days ago."""
    with clock.freeze_time(START):
        for name in ("springfield", "shelbyville"):
            project.customer(name, more=SHARED_ROSTER)
            for made in (DAY_ONE, DAY_ONE.without_users([ANN])):
                assert project.apply(name, "--zip", made.zip(project.folder / "day.zip")).code == 0
    return project


@pytest.mark.parametrize("what", BROKEN)
def test_the_others_are_planned_synced_explained_erased_and_purged(two: Project, what: str) -> None:
    with two.by_hand() as cursor:
        cursor.execute(BROKEN[what])
    today = two.folder / "today.zip"
    DAY_ONE.without_users([ANN]).with_user("u-9999").zip(today)
    with clock.freeze_time(START + timedelta(days=40)):
        done = {
            "one": two.plan("springfield", "--zip", today),
            "all": two.run("plan", "--format", "json"),
            "sync": two.run("sync", "--due"),
            "holds": two.run("holds"),
            "history": two.run("history"),
            "verify": two.run("history", "--verify"),
            "explain": two.run("explain", "springfield", BEN),
            "erase": two.run("erase", "springfield", BEN, "--request", "r-1", "--yes"),
            "apply": two.apply("springfield", "--zip", today),
            "purge": two.run("purge", "--yes", "--today", "2026-10-11"),
        }
    said = {name: each.out + each.err for name, each in done.items()}
    assert [name for name, text in said.items() if "Traceback" in text or "unexpected" in text] == (
        ["all"] if what == "the last roster" else []
    )
    assert {name: done[name].code for name in ("one", "holds", "history", "explain", "erase", "apply")} == {
        "one": 2,
        "holds": 0,
        "history": 0,
        "explain": 0,
        "erase": 0,
        "apply": 0,
    }
    outcomes = {each["id"]: each["outcome"] for each in json.loads(done["all"].out)["customers"]}
    assert outcomes["springfield"] == "unchanged"
    assert done["verify"].code == (1 if what in ("a run", "a before-image") else 0)
    left = "select count(*) from accounts a join customers c on c.id = a.customer_id where c.slug = 'springfield'"
    # 39 of the first day, one more, and one erased: whoever left was purged.
    assert two.ask(left) == [(int(two.ask(f"{left} and a.tombstoned_at is null")[0][0]),)]
    assert two.ask(f"{left} and a.tombstoned_at is not null") == [(0,)]


@pytest.mark.parametrize("what", ["no JSON", "a retention without bounds"])
def test_nothing_is_purged_of_a_customer_whose_retention_cannot_be_read(two: Project, what: str) -> None:
    with two.by_hand() as cursor:
        cursor.execute(BROKEN[what])
    before = two.ask("select count(*) from accounts")
    with clock.freeze_time(START + timedelta(days=40)):
        shown = two.run("purge", "--today", "2026-10-11")
        done = two.run("purge", "--yes", "--today", "2026-10-11")
    assert (shown.code, done.code) == (1, 5)
    for said in (shown, done):
        assert "the configuration of shelbyville in the store is invalid; nothing of it was purged" in said.err
        assert "reconciler apply shelbyville --roster none" in said.err
    (after,) = two.ask("select count(*) from accounts")
    assert after[0] == before[0][0] - 1


def test_a_damaged_last_roster_keeps_only_its_own_customer_from_being_purged(two: Project) -> None:
    damaged = "X'00'" if two.store_url.startswith("sqlite") else "'\\x00'"
    with two.by_hand() as cursor:
        cursor.execute(
            f"update snapshot_parts set data = {damaged} where snapshot_id = (select id from snapshots {OF_IT})"
        )
    with clock.freeze_time(START + timedelta(days=40)):
        done = two.run("purge", "--yes", "--today", "2026-10-11")
    assert done.code == 5
    assert "while purging shelbyville; the other customers go on" in done.err
    gone = "select c.slug from accounts a join customers c on c.id = a.customer_id where a.tombstoned_at is not null"
    assert two.ask(gone) == [("shelbyville",)]


def test_a_hold_with_causes_that_cannot_be_read_is_listed_and_says_so(two: Project) -> None:
    with two.by_hand() as cursor:
        cursor.execute(BROKEN["a hold"])
    assert "cannot be read: they were changed outside reconciler" in " ".join(two.run("holds").out.split())
