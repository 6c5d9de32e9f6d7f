"""Secrets, administrators and settings from plan to apply, on both databases."""

from __future__ import annotations

import json

import pytest

from tests.support.customers.project import Project, changes
from tests.support.operations.hundred_people import DAY_ONE, zipped


@pytest.fixture
def springfield(project: Project) -> Project:
    """Springfield with the hundred people of day one applied."""
    project.customer()
    assert project.apply("springfield", "--zip", zipped(project, DAY_ONE)).code == 0
    return project


def test_settings_changed_by_hand_are_drift_too(springfield: Project) -> None:
    with springfield.by_hand() as cursor:
        cursor.execute("select document from customers")
        document = cursor.fetchone()[0].replace("Springfield District", "By Hand")
        cursor.execute(f"update customers set document = '{document}'")

    plan = springfield.plan("springfield", "--roster", "none")
    (change,) = changes(plan, "customer")
    assert (change["action"], change["reason"], change["cause"]) == ("update", "drift", "drift")
    assert springfield.apply("springfield", "--roster", "none").code == 0
    assert springfield.plan().code == 0


def test_administrators_become_accounts_that_can_sign_in(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    path = project.customer(org=None)
    path.write_text(path.read_text().replace("role: admin}", "role: admin, password: {secret: admin-password}}"))
    secret = "correct horse battery staple"
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__ADMIN_PASSWORD", secret)

    applied = project.apply("springfield")
    assert applied.code == 0
    ((username, role, stored),) = project.ask("select username, role, password_hash from accounts")
    assert (username, role) == ("ada", "administrator")
    from argon2 import PasswordHasher

    assert PasswordHasher().verify(stored, secret)
    assert secret not in applied.out + applied.err


def test_unset_secret_warns_at_plan_and_fails_at_apply(project: Project) -> None:
    path = project.customer(org=None)
    path.write_text(path.read_text().replace("role: admin}", "role: admin, password: {secret: admin-password}}"))

    plan = project.plan()
    assert plan.code == 2
    assert "secret-not-set" in {each["code"] for each in plan.json["customers"][0]["diagnostics"]}
    assert project.apply().code == 1
    assert project.ask("select count(*) from customers") == [(0,)]


def test_administrator_without_password_gets_a_private_invitation_file(project: Project) -> None:
    project.customer(org=None)
    applied = project.apply("springfield")

    (file,) = project.folder.glob("invitations-springfield-*.txt")
    assert file.name in applied.out
    assert file.stat().st_mode & 0o777 == 0o600
    token = file.read_text().rsplit("/", 1)[1].strip()
    assert token not in applied.out
    assert project.ask(f"select count(*) from invitations where token_hash = '{token}'") == [(0,)]


def test_more_members_than_seats_warns_at_the_seats(project: Project) -> None:
    project.customer()
    project.write(
        "customers/springfield/communities/high.yaml",
        "kind: community\nid: high\nname: High\nsite_license: {seats: 99, starts: 2026-08-01, ends: 2027-07-31}\n",
    )
    plan = project.plan("springfield", "--zip", zipped(project, DAY_ONE))
    (warning,) = [each for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "seats-exceeded"]
    assert warning["message"] == "high would have 100 members but has 99 seats"
    assert (warning["file"], warning["line"]) == ("customers/springfield/communities/high.yaml", 4)


LMS = """\
lti:
  platforms:
    - {id: canvas, version: "1.1", consumer_key: springfield-canvas, shared_secret: {secret: canvas},
       origins: ["https://lms.example"], community: high}
"""


@pytest.fixture
def with_lms(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    project.customer(org=None, more=LMS)
    project.write(
        "customers/springfield/communities/high.yaml",
        "kind: community\nid: high\nname: High\nsite_license: {seats: 99, starts: 2026-08-01, ends: 2027-07-31}\n",
    )
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS", "first-value-of-the-secret")
    assert project.apply("springfield").code == 0
    return project


def test_changed_secret_is_shown_but_never_echoed(with_lms: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    assert with_lms.plan().code == 0
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS", "second-value-of-the-secret")

    saved = with_lms.folder / "secret.plan"
    plan = with_lms.plan("springfield", "--out", saved)
    (change,) = changes(plan, "customer")
    assert [field["path"] for field in change["fields"]] == ["lti.platforms.canvas.shared_secret"]
    applied = with_lms.run("apply", saved)
    assert applied.code == 0
    assert with_lms.plan().code == 0
    seen = plan.out + plan.err + applied.out + applied.err
    assert "value-of-the-secret" not in seen
    assert b"value-of-the-secret" not in saved.read_bytes()
    for file in with_lms.folder.glob("store*"):
        if file.is_file():
            assert b"value-of-the-secret" not in file.read_bytes()


def test_missing_secret_fails_only_its_customer(with_lms: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECONCILER_SECRET__SPRINGFIELD__CANVAS")
    with_lms.customer(org=None, more=LMS, title="New Name")
    with_lms.customer("shelbyville", org=None)

    applied = with_lms.apply()
    assert applied.code == 5
    assert "secret-not-set" in applied.err
    assert with_lms.ask("select slug, name from customers order by slug") == [
        ("shelbyville", "Shelbyville District"),
        ("springfield", "Springfield District"),
    ]


def test_journal_keeps_settings_from_before_a_run(springfield: Project) -> None:
    springfield.customer(title="Another Name")
    assert springfield.apply("springfield").code == 0

    ((action, before),) = springfield.ask("select action, before from journal where kind = 'customer'")
    assert action == "update"
    assert json.loads(before)["name"] == "Springfield District"
