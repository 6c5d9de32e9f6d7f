"""`undo RUN` of documents restores customers, communities, lessons and the catalog."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler import clock
from tests.support.customers.project import Project
from tests.support.operations.undo_steps import DAY_ONE, codes, is_as_of, last_run, loaded, planned, undo

pytestmark = pytest.mark.slow

COMMUNITY = (
    "kind: community\nid: high\nname: {name}\nsite_license: {{seats: 99, starts: 2026-08-01, ends: 2027-07-31}}\n"
)
LESSON = "kind: lesson\nid: leaves\ntitle: {title}\nurl: https://lessons.example/leaves\n"


@pytest.fixture
def springfield(project: Project) -> Project:
    return loaded(project)


def documents(project: Project) -> list[tuple[Any, ...]]:
    return [
        *project.ask("select slug, document, tombstoned_at is null from customers order by slug"),
        *project.ask("select slug, document, tombstoned_at is null from communities order by slug"),
        *project.ask("select slug, document, tombstoned_at is null from lessons order by slug"),
        *project.ask("select a.username, a.given_name, a.tombstoned_at is null from accounts a order by a.id"),
        *project.ask("select account_id, community_id, role from memberships order by 1, 2, 3"),
    ]


def test_documents_go_back_and_administrators_and_memberships_with_them(springfield: Project) -> None:
    springfield.write("customers/springfield/communities/high.yaml", COMMUNITY.format(name="High"))
    springfield.write("customers/springfield/lessons/leaves.yaml", LESSON.format(title="Leaves"))
    assert springfield.apply("springfield").code == 0
    before = documents(springfield)
    path = springfield.customer(title="Other Name")
    text = path.read_text(encoding="utf-8")
    grace = "  - {given_name: Grace, family_name: Hopper, email: g@x.example, username: grace, role: admin}\n"
    path.write_text(text.replace("given_name: Ada", "given_name: Augusta").replace("address:", grace + "address:"))
    springfield.write("customers/springfield/communities/low.yaml", COMMUNITY.format(name="Low").replace("high", "low"))
    springfield.write("customers/springfield/communities/high.yaml", COMMUNITY.format(name="Higher"))
    springfield.write("customers/springfield/lessons/leaves.yaml", LESSON.format(title="Branches"))
    assert springfield.apply("springfield").code == 0
    run = last_run(springfield)
    after = documents(springfield)
    assert len(after) > len(before)

    plan = planned(springfield, run)
    assert plan.json["customers"][0]["hold"] is not None, "a community would be removed"
    assert codes(plan)["files-say-otherwise"] == [
        "the YAML files still contain the change you are undoing; the next plan would make it again"
    ]
    undo(springfield, run, "--approve", plan.json["customers"][0]["hold"]["id"])
    alive = [row for row in documents(springfield) if row[0] not in ("low", "grace")]
    assert alive == before
    again = springfield.plan("springfield", "--roster", "none")
    assert again.code == 2, "the files still say otherwise"

    undo(springfield, run + 1)
    assert documents(springfield) == after
    assert springfield.plan("springfield", "--roster", "none").code == 0


def test_removed_customer_returns_with_everything(springfield: Project) -> None:
    springfield.write("customers/springfield/communities/high.yaml", COMMUNITY.format(name="High"))
    assert springfield.apply("springfield").code == 0
    before = documents(springfield)
    shutil.rmtree(springfield.folder / "customers" / "springfield")
    plan = springfield.plan("springfield", "--roster", "none")
    assert springfield.apply("springfield", "--approve", plan.json["customers"][0]["hold"]["id"]).code == 0
    run = last_run(springfield)
    assert springfield.ask("select count(*) from memberships") == [(0,)]
    older = springfield.run("undo", "1", "--yes")
    assert older.code == 1
    assert "springfield was removed since run 1 [customer-removed]" in older.err

    undo(springfield, run)
    assert documents(springfield) == before


def test_undoing_a_customers_first_run_leaves_nothing_alive(springfield: Project) -> None:
    plan = planned(springfield, 1)
    hold = plan.json["customers"][0]["hold"]
    assert hold["people"] == 41, "forty of the roster, and the administrator with the customer"
    undo(springfield, 1, "--approve", hold["id"])
    for table in ("customers", "orgs", "classes", "enrollments"):
        assert springfield.ask(f"select count(*) from {table} where tombstoned_at is null") == [(0,)], table
    undo(springfield, 2)
    assert is_as_of(springfield, DAY_ONE)


def test_document_changed_since_the_run_is_left_alone(springfield: Project) -> None:
    springfield.customer(title="One")
    assert springfield.apply("springfield").code == 0
    one = last_run(springfield)
    springfield.customer(title="Two")
    assert springfield.apply("springfield").code == 0
    two = last_run(springfield)
    message = f"customer springfield was changed since by run {two}; skipped"
    assert codes(planned(springfield, one))["changed-since"] == [message]
    with springfield.by_hand() as cursor:
        cursor.execute("update customers set name = 'Hand'")
    by_hand = codes(planned(springfield, two))["changed-since"]
    assert by_hand == ["customer springfield was changed since outside reconciler; skipped"]


def test_the_catalogue_goes_back(springfield: Project) -> None:
    springfield.write("customers/lessons/cells.yaml", LESSON.format(title="Cells").replace("leaves", "cells"))
    assert springfield.apply().code == 0
    springfield.write("customers/lessons/cells.yaml", LESSON.format(title="Atoms").replace("leaves", "cells"))
    assert springfield.apply().code == 0
    run = last_run(springfield)
    undo(springfield, run)
    assert springfield.ask("select title from lessons") == [("Cells",)]
    undo(springfield, run + 1)
    assert springfield.ask("select title from lessons") == [("Atoms",)]
    assert springfield.run("history", "--verify").code == 0


LTI = """\
lti:
  platforms:
    - {id: canvas, version: "1.1", consumer_key: KEY, shared_secret: {secret: canvas}, origins: ["https://lms.example"], community: high}
"""  # noqa: E501


def test_secrets_stay_as_they_are(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS", "first")
    springfield.write("customers/springfield/communities/high.yaml", COMMUNITY.format(name="High"))
    springfield.customer(more=LTI.replace("KEY", "key-1"))
    assert springfield.apply("springfield").code == 0
    kept = springfield.ask("select path, reference, hmac from secrets")
    springfield.customer(more=LTI.replace("KEY", "key-2"))
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS", "second")
    assert springfield.apply("springfield").code == 0
    run = last_run(springfield)
    changed = springfield.ask("select path, reference, hmac from secrets")
    assert changed != kept
    assert "secrets-stay" in codes(planned(springfield, run))
    monkeypatch.delenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS")
    undo(springfield, run)
    assert springfield.ask("select path, reference, hmac from secrets") == changed
    assert "key-1" in springfield.ask("select document from customers")[0][0]


def test_secret_returning_with_its_setting_must_be_set(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS", "first")
    springfield.write("customers/springfield/communities/high.yaml", COMMUNITY.format(name="High"))
    springfield.customer(more=LTI.replace("KEY", "key-1"))
    assert springfield.apply("springfield").code == 0
    springfield.customer()
    assert springfield.apply("springfield").code == 0
    run = last_run(springfield)
    assert springfield.ask("select count(*) from secrets") == [(0,)]
    monkeypatch.delenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS")
    missing = undo(springfield, run, code=1)
    assert "[secret-not-set]" in missing.err
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS", "first")
    undo(springfield, run)
    assert springfield.ask("select count(*) from secrets") == [(1,)]


def test_consumer_key_taken_since_stays_with_its_new_customer(
    springfield: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SPRINGFIELD", "SHELBYVILLE"):
        monkeypatch.setenv(f"RECONCILER_SECRET__{name}__CANVAS", "first")
    springfield.write("customers/springfield/communities/high.yaml", COMMUNITY.format(name="High"))
    springfield.customer(more=LTI.replace("KEY", "key-1"))
    assert springfield.apply("springfield").code == 0
    springfield.customer(more=LTI.replace("KEY", "key-2"))
    assert springfield.apply("springfield").code == 0
    run = last_run(springfield)
    springfield.write("customers/shelbyville/communities/high.yaml", COMMUNITY.format(name="High"))
    springfield.customer("shelbyville", org=None, more=LTI.replace("KEY", "key-1"))
    with clock.freeze_time(datetime.now(UTC) + timedelta(days=31)):
        assert springfield.apply("shelbyville").code == 0
    found = codes(planned(springfield, run))
    assert found["taken-since"] == [
        "customer springfield would need a sourcedId, username or key that now belongs to someone else; skipped"
    ]
    undo(springfield, run)
    assert "key-2" in springfield.ask("select document from customers where slug = 'springfield'")[0][0]


def test_platform_whose_community_is_gone_stays_as_is(springfield: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS", "first")
    springfield.write("customers/springfield/communities/high.yaml", COMMUNITY.format(name="High"))
    springfield.customer(more=LTI.replace("KEY", "key-1"))
    assert springfield.apply("springfield").code == 0
    springfield.customer()
    assert springfield.apply("springfield").code == 0
    run = last_run(springfield)
    (springfield.folder / "customers/springfield/communities/high.yaml").unlink()
    hold = springfield.plan("springfield", "--roster", "none").json["customers"][0]["hold"]
    assert springfield.apply("springfield", "--approve", hold["id"]).code == 0
    assert "reference-gone" in codes(planned(springfield, run))
    assert "nothing left to undo" in undo(springfield, run).out
