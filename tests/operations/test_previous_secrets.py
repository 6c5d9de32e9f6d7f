"""A previous secret that an LMS may sign with for too long is reported in every plan."""

from datetime import UTC, datetime, timedelta

import pytest

from reconciler import clock
from tests.support.customers.project import Project, Result

START = datetime(2026, 9, 1, 12, tzinfo=UTC)
HIGH = """\
kind: community
id: high
name: High
site_license: {seats: 100, starts: 2026-08-01, ends: 2027-07-31}
"""
LMS = """\
lti:
  platforms:
    - id: canvas
      consumer_key: lms-1
      shared_secret: {secret: new}
      previous_secret: {secret: old}
      community: high
"""


@pytest.fixture
def switched(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """An LMS that is being switched over to a new secret."""
    for name in ("NEW", "OLD"):
        monkeypatch.setenv(f"RECONCILER_SECRET__SPRINGFIELD__{name}", name.lower())
    project.customer(org=None, more=LMS)
    project.write("customers/springfield/communities/high.yaml", HIGH)
    with clock.freeze_time(START):
        assert project.apply().code == 0
    return project


def plan_after(project: Project, days: int) -> Result:
    with clock.freeze_time(START + timedelta(days=days)):
        return project.plan()


def warnings(plan: Result) -> list[tuple[str, int]]:
    return [
        (each["code"], each["line"])
        for each in plan.json["customers"][0]["diagnostics"]
        if each["code"] == "old-previous-secret"
    ]


def test_145_a_previous_secret_of_more_than_thirty_days_is_reported(switched: Project) -> None:
    assert warnings(plan_after(switched, 30)) == []
    late = plan_after(switched, 31)
    assert late.code == 0
    ((_, line),) = warnings(late)
    text = (switched.folder / "customers/springfield/customer.yaml").read_text().splitlines()
    assert "previous_secret" in text[line - 1]


def test_145_another_previous_secret_begins_anew(switched: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__OLD", "another")
    with clock.freeze_time(START + timedelta(days=40)):
        assert switched.apply().code == 0
    assert warnings(plan_after(switched, 69)) == []
    assert warnings(plan_after(switched, 71)) != []
