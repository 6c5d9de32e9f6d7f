"""An apply that is killed at any statement leaves the store as before or as after it, and blocks nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.customers.project import Project, changes
from tests.support.rosters.bundles import Bundle, bundle

PROGRAM = Path(__file__).parents[1] / "support/operations/killed_applies.py"

DAY_ONE = bundle(users=24, classes=4)
STUDENTS = DAY_ONE.students()
LEAVER, REKEYED, LAUNCHED, RENAMED = STUDENTS[:4]
ROOMY = "limits: {users: {floor: 50}, classes: {floor: 50}, enrollments: {floor: 500}, rekeys: {floor: 50}}"


def number_of(sourced_id: str) -> str:
    return next(row["identifier"] for row in DAY_ONE.tables["users"] if row["sourcedId"] == sourced_id)


def day_two() -> Bundle:
    """Somebody leaves, somebody has a new sourcedId, somebody a new name, two are new; so for a class and a school."""
    row = dict(next(row for row in DAY_ONE.tables["users"] if row["sourcedId"] == REKEYED))
    changed = DAY_ONE.without_users([LEAVER, REKEYED]).without_class("c-01")
    changed = changed.with_rows("users", [*changed.tables["users"], {**row, "sourcedId": "sis-2-0001"}])
    changed = changed.with_user(RENAMED, familyName="Newname").with_user("u-9001").with_user("u-9002")
    return changed.with_row("orgs", "s-3", name="New School", type="school", parentSourcedId="d-1")


ADMINISTRATORS = """\
administrators:
  - {given_name: Ada, family_name: King, email: ada@springfield.example, username: ada, role: admin}
  - {given_name: Bea, family_name: Noether, email: bea@springfield.example, username: bea, role: admin}
"""


@pytest.fixture
def reviewed(project: Project) -> Path:
    """A saved plan that does everything an apply can do."""
    with_rules = f"  {ROOMY}\n"
    project.customer(more=with_rules)
    project.write(
        "customers/springfield/communities/high.yaml",
        "kind: community\nid: high\nname: High\nmembers: {roles: [teacher]}\n"
        "site_license: {seats: 90, starts: 2026-08-01, ends: 2037-07-31}\n",
    )
    start = DAY_ONE.without_users([LAUNCHED])
    done = project.apply("springfield", "--zip", start.zip(project.folder / "one.zip"))
    assert done.code == 0, done.err
    with project.by_hand() as cursor:
        cursor.execute(
            "insert into accounts (customer_id, managed_by, status, identifier)"
            f" select id, 'lti', 'active', '{number_of(LAUNCHED)}' from customers"
        )
    path = project.customer(more=with_rules, title="Springfield Renamed")
    text = path.read_text()
    begin, end = text.index("administrators:"), text.index("address:")
    path.write_text(text[:begin] + ADMINISTRATORS + text[end:])
    project.write(
        "customers/springfield/communities/high.yaml",
        "kind: community\nid: high\nname: Higher\nsite_license: {seats: 90, starts: 2026-08-01, ends: 2037-07-31}\n",
    )
    project.write(
        "customers/springfield/lessons/leaves.yaml",
        "kind: lesson\nid: leaves\ntitle: Leaves\nurl: https://lessons.example/leaves\n",
    )
    saved = project.folder / "monday.plan"
    plan = project.plan("springfield", "--zip", day_two().zip(project.folder / "two.zip"), "--out", saved)
    assert plan.code == 2, plan.err
    did = {(change["kind"], change["action"]) for change in plan.json["customers"][0]["changes"]}
    assert did >= {
        ("user", "delete"),
        ("user", "rekey"),
        ("user", "adopt"),
        ("user", "update"),
        ("user", "create"),
        ("class", "delete"),
        ("org", "create"),
        ("enrollment", "delete"),
        ("customer", "update"),
        ("community", "update"),
        ("lesson", "create"),
    }
    assert [each["key"] for each in changes(plan, "user") if each["action"] == "adopt"] == [LAUNCHED]
    return saved


@pytest.mark.slow
def test_apply_killed_at_any_statement_is_all_or_nothing(project: Project, reviewed: Path, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    done = subprocess.run(
        [sys.executable, PROGRAM, project.store_url, str(reviewed), str(scratch)],
        capture_output=True,
        text=True,
        check=False,
        cwd=project.folder,
    )
    assert done.returncode == 0, done.stderr
    first, *found, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert last == {"done": True}
    killed: list[dict[str, Any]] = found
    by_statement = killed[: first["statements"]]
    assert [each["at"] for each in by_statement] == list(range(1, first["statements"] + 1))
    assert first["statements"] > 100
    assert {each["signal"] for each in by_statement} == {signal.SIGKILL}

    between = [each for each in killed if each["left"] not in ("before", "after")]
    assert not between, between[0]
    tried = {(each["left"], each["again"]) for each in killed if each["again"] is not None}
    assert ("before", "applied") in tried
    assert tried <= {("before", "applied"), ("after", "unchanged already-applied")}, "nothing is in the next one's way"
    assert all(each["ended"] for each in killed if each["again"] is not None)
