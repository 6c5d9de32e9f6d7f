"""Rosters whose text is encoded in another form than the last one's, through the CLI."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import Any

import pytest

from tests.support.customers.project import Project, changes
from tests.support.operations.two_school_person import (
    ADA,
    DAY_ONE,
    ROW,
    accounts,
    applied,
    belongings,
    configured,
    owns,
    planned,
    user_changes,
)
from tests.support.rosters.bundles import Bundle

pytestmark = pytest.mark.slow

NAMES = {
    "givenName": "Zo\u00eb",
    "familyName": "Bj\u00f6rk",
    "username": "zo\u00eb.bj\u00f6rk",
    "identifier": "\u00e9-5",
}


def with_ada(**fields: str) -> Bundle:
    return DAY_ONE.with_user(ADA, **ROW | NAMES | fields)


def in_form(made: Bundle, form: Any) -> Bundle:
    """The same roster in another Unicode form, keys and references included."""

    def convert(text: str) -> str:
        return unicodedata.normalize(form, text)

    tables = {
        name: tuple({key: convert(value) for key, value in row.items()} for row in rows)
        for name, rows in made.tables.items()
    }
    return replace(made, tables=tables)


def with_odd_ids(made: Bundle) -> Bundle:
    tables = {
        name: tuple(
            {key: value.replace("s-1", "s-\u00e9").replace(ADA, "\u00e0da") for key, value in row.items()}
            for row in rows
        )
        for name, rows in made.tables.items()
    }
    return replace(made, tables=tables)


def test_173_a_new_id_with_a_key_in_another_form_keeps_the_account(project: Project) -> None:
    configured(project)
    applied(project, with_ada())
    account = belongings(project)
    row = ROW | NAMES | {"identifier": "\uff45\u0301-5", "username": "zoe\u0308.\u200bbjo\u0308rk"}
    tables = {
        name: tuple({key: value.replace(ADA, "n-9") for key, value in each.items()} for each in rows)
        for name, rows in DAY_ONE.with_user(ADA, **row).tables.items()
    }
    later = replace(DAY_ONE, tables=tables)
    plan = planned(project, later)
    assert user_changes(plan) == [("rekey", "n-9", False)]
    applied(project, later)
    assert (accounts(project), owns(project, account)) == (60, True)


def test_173_a_second_person_cannot_take_a_username_that_looks_the_same(project: Project) -> None:
    configured(project)
    applied(project, with_ada())
    claim = with_ada().with_user("n-9", username="ZOE\u0308.BJO\u0308RK")
    plan = planned(project, claim)
    assert user_changes(plan) == []
    assert "duplicate-username" in [each["code"] for each in plan.json["customers"][0]["diagnostics"]]
    applied(project, claim)
    assert accounts(project) == 60
    assert project.ask("select count(*) from accounts where username_key = 'zo\u00eb.bj\u00f6rk'") == [(1,)]


def test_174_a_roster_in_another_unicode_form_changes_nothing(project: Project) -> None:
    configured(project)
    first = with_odd_ids(with_ada())
    applied(project, first)
    for form in ("NFD", "NFC"):
        plan = planned(project, in_form(first, form))
        assert [changes(plan, kind) for kind in ("org", "user", "class")] == [[], [], []]
        applied(project, in_form(first, form))
    assert project.ask("select given_name from accounts where username_key like 'zo%'") == [("Zo\u00eb",)]


def test_174_an_invisible_change_of_a_name_is_shown_by_code_points(project: Project) -> None:
    configured(project)
    applied(project, with_ada())
    made = with_ada(familyName="Bj\u00f6\u200brk").zip(project.folder / "day.zip")
    shown = project.run("plan", "springfield", "--zip", made, "--people", "full")
    assert "Bj\u00f6(U+200B)rk" in shown.out


def test_179_an_erased_person_does_not_return_under_an_id_that_looks_the_same(project: Project) -> None:
    configured(project)
    first = with_odd_ids(with_ada())
    applied(project, first)
    applied(project, first.without_users(["\u00e0da"]))
    erased = project.run("erase", "springfield", "\u00e0da", "--yes", "--request", "DSR-1")
    assert erased.code == 0, erased.err
    for form in ("NFD", "NFC"):
        applied(project, in_form(first, form))
        assert accounts(project) == 59


def test_176_ids_in_another_form_replace_nobody(project: Project) -> None:
    configured(project)
    first = with_odd_ids(with_ada())
    applied(project, first)
    plan = planned(project, in_form(first, "NFD"))
    codes = [each["code"] for each in plan.json["customers"][0]["diagnostics"]]
    assert codes.count("other-code-points") == 2
    applied(project, in_form(first, "NFD"))
    assert accounts(project) == 60
    assert project.ask("select count(*) from orgs where tombstoned_at is null") == [(3,)]


def test_176_a_delta_in_another_form_changes_the_person_that_it_looks_like(project: Project) -> None:
    configured(project)
    first = DAY_ONE.with_user("\u00e0da", givenName="Ada", identifier="")
    applied(project, first)
    row = next(each for each in first.tables["users"] if each["sourcedId"] == "\u00e0da")
    moment = {"dateLastModified": "2026-09-01T02:00:00.000Z", "status": "active"}
    later = {**row, **moment, "sourcedId": "a\u0300da", "givenName": "Adah", "username": "adah"}
    plan = planned(project, Bundle({"users": (later,)}, modes={"users": "delta"}))
    assert user_changes(plan) == [("update", "\u00e0da", False)]


def test_176_orgs_of_people_may_be_written_in_another_form(project: Project) -> None:
    configured(project)
    first = with_odd_ids(with_ada())
    orgs = [{key: unicodedata.normalize("NFD", value) for key, value in row.items()} for row in first.tables["orgs"]]
    plan = planned(project, first.with_rows("orgs", orgs))
    assert "dangling-reference" not in [each["code"] for each in plan.json["customers"][0]["diagnostics"]]
    assert {action for action, _, _ in user_changes(plan)} == {"create"}


def test_176_a_protected_person_may_be_written_in_another_form(project: Project) -> None:
    path = project.customer()
    applied(project, DAY_ONE.with_user("a\u0300da"))
    path.write_text(path.read_text(encoding="utf-8") + "  protect: [\u00e0da]\n", encoding="utf-8")
    assert user_changes(planned(project, DAY_ONE)) == []
