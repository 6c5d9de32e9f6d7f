"""Fault 197: rows that a OneRoster API marks as deleted, whole or with nothing left but their sourcedId and status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.customers.project import Project
from tests.support.roster_server.authority import SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.roster_server.switches import Switches
from tests.support.rosters.bundles import bundle
from tests.support.schools.by_api import DAY_ONE, VARIABLE, ApiSchool, api_customer, codes

pytestmark = pytest.mark.slow

Serving = Callable[..., RosterServer]
NEWS = "2026-09-20T02:00:00.000Z"


@pytest.mark.parametrize("how", ["sent", "bare"])
@pytest.mark.parametrize(("count", "outcome"), [(3, "changes"), (30, "held"), (100, "held")])
def test_197_people_marked_by_an_api_are_leavers(api: ApiSchool, how: Any, count: int, outcome: str) -> None:
    """A few, a page, and everybody; `bare` rows have only their sourcedId, status and time."""
    gone = sorted(DAY_ONE.students() if count == 3 else DAY_ONE.ids("users"))[:count]
    marked = DAY_ONE
    for each in gone:
        marked = marked.with_user(each, status="tobedeleted", dateLastModified=NEWS)
    customer = api.planned(switches=Switches(tobedeleted=how), bundle=marked)
    assert customer["outcome"] == outcome
    people = [each for each in customer["changes"] if each["kind"] == "user"]
    assert sorted((each["action"], each["reason"], each["key"]) for each in people) == [
        ("delete", "roster_tobedeleted", each) for each in gone
    ]
    assert {each["held"] for each in people} == {outcome == "held"}
    assert {each["quarantined"] for each in customer["counts"].values()} == {0}
    assert not codes(customer) & {"status-in-bulk", "missing-value"}


@pytest.mark.parametrize("table", ["classes", "enrollments"])
def test_197_other_bare_rows_delete_their_records(api: ApiSchool, table: str) -> None:
    gone = DAY_ONE.ids(table)[0]
    marked = DAY_ONE.with_row(table, gone, status="tobedeleted", dateLastModified=NEWS)
    customer = api.planned(switches=Switches(tobedeleted="bare"), bundle=marked)
    kind = {"classes": "class", "enrollments": "enrollment"}[table]
    assert [each["key"] for each in customer["changes"] if each["kind"] == kind] == [gone]
    assert {each["quarantined"] for each in customer["counts"].values()} == {0}


def test_197_bare_org_with_people_stays(api: ApiSchool) -> None:
    """Without its parent, nothing says any more whose its people are."""
    marked = DAY_ONE.with_row("orgs", "s-1", status="tobedeleted", dateLastModified=NEWS)
    customer = api.planned(switches=Switches(tobedeleted="bare"), bundle=marked)
    assert (customer["changes"], customer["counts"]["org"]["quarantined"]) == ([], 1)


def test_197_marked_person_without_roles_leaves(project: Project, serving: Serving, monkeypatch: Any) -> None:
    """In 1.2, whose servers drop the roles of deleted people."""
    monkeypatch.setenv(VARIABLE, SECRET)
    made = bundle(users=40).with_sessions_and_courses().version12()
    server = serving(made, version="1.2", authorization="oauth2")
    api_customer(project, server)
    assert project.apply("springfield").code == 0
    gone, *_ = made.students()
    roles = [row for row in made.tables["roles"] if row["userSourcedId"] != gone]
    server.now(bundle=made.with_rows("roles", roles).with_user(gone, status="tobedeleted", dateLastModified=NEWS))
    customer = project.plan("springfield").json["customers"][0]
    assert [(each["key"], each["reason"]) for each in customer["changes"] if each["kind"] == "user"] == [
        (gone, "roster_tobedeleted")
    ]
