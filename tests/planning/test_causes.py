"""Whose doing a change is: the files', an earlier merge's, or another hand's; of documents and of rosters."""

from __future__ import annotations

import polars as pl

from reconciler.model.cause import ChangeCause, choose_main_cause
from reconciler.model.change import Create, Delete, FieldChange, Update
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.planning.attribution import add_causes, add_roster_causes

KEY = (Kind.CUSTOMER, "springfield")


def update(*fields: FieldChange) -> Update:
    return Update(kind=Kind.CUSTOMER, key="springfield", label="S", reason=Reason.FIELD_CHANGED, fields=fields)


def caused(before: dict[str, object], now: dict[str, object], *fields: FieldChange) -> list[ChangeCause | None]:
    (change,) = add_causes((update(*fields),), {KEY: before}, {KEY: now})
    return [change.cause, *(field.cause for field in change.fields)]


def test_value_differing_from_the_base_comes_from_the_files() -> None:
    assert caused({"a": 1, "b": 1}, {"a": 2, "b": 1}, FieldChange("a", 1, 2)) == [ChangeCause.PR, ChangeCause.PR]


def test_value_already_in_the_base_awaits_an_apply() -> None:
    assert caused({"a": 2}, {"a": 2}, FieldChange("a", 1, 2)) == [ChangeCause.PENDING, ChangeCause.PENDING]


def test_externally_changed_value_is_drift_unless_the_files_change_it() -> None:
    by_hand = FieldChange("a", 1, 2, cause=ChangeCause.DRIFT)
    assert caused({"a": 2}, {"a": 2}, by_hand) == [ChangeCause.DRIFT, ChangeCause.DRIFT]
    assert caused({"a": 3}, {"a": 2}, by_hand) == [ChangeCause.PR, ChangeCause.PR]


def test_part_of_a_value_counts_but_a_longer_name_does_not() -> None:
    before, now = {"lti": {"origins": 1, "x": 1}}, {"lti": {"origins": 2, "x": 1}}
    assert caused(before, now, FieldChange("lti", None, {}))[1] is ChangeCause.PR
    assert caused({"ab": 1, "a": 1}, {"ab": 2, "a": 1}, FieldChange("a", 0, 1))[1] is ChangeCause.PENDING


def test_of_several_causes_the_pull_requests_is_the_changes() -> None:
    assert choose_main_cause([ChangeCause.PENDING, ChangeCause.DRIFT, ChangeCause.PR]) is ChangeCause.PR
    assert choose_main_cause([ChangeCause.PENDING, ChangeCause.DRIFT]) is ChangeCause.DRIFT
    assert choose_main_cause([None, ChangeCause.PENDING]) is ChangeCause.PENDING
    assert choose_main_cause([None]) is None


def test_documents_come_and_go_by_the_files() -> None:
    create = Create(kind=Kind.CUSTOMER, key="springfield", label="S", reason=Reason.NEW)
    delete = Delete(kind=Kind.CUSTOMER, key="springfield", label="S", reason=Reason.REMOVED_FROM_GIT)

    def cause(change: Create | Delete, before: bool, now: bool) -> ChangeCause | None:
        ((found),) = add_causes((change,), {KEY: {}} if before else {}, {KEY: {}} if now else {})
        return found.cause

    assert cause(create, before=False, now=True) is ChangeCause.PR
    assert cause(create, before=True, now=True) is ChangeCause.PENDING
    assert cause(delete, before=True, now=False) is ChangeCause.PR
    assert cause(delete, before=False, now=False) is ChangeCause.PENDING


def rows(*entries: tuple[str, str, str, bool]) -> pl.DataFrame:
    return pl.DataFrame(entries, schema=["action", "reason", "key", "held"], orient="row")


def test_rows_the_base_also_changes_are_not_the_files_doing() -> None:
    now = rows(
        ("delete", "scope_narrowed", "a", False),
        ("delete", "roster_row_missing", "b", False),
        ("update", "drift", "c", False),
        ("delete", "roster_row_missing", "d", False),
    )
    base = rows(
        ("delete", "roster_row_missing", "b", False),
        ("update", "drift", "c", False),
        ("delete", "roster_row_missing", "d", True),
    )
    caused = add_roster_causes({Kind.USER: now}, {Kind.USER: base})[Kind.USER]
    assert dict(caused.select("key", "cause").iter_rows()) == {"a": "pr", "b": "pending", "c": "drift", "d": "pr"}
    assert caused.drop("cause").equals(now)


def test_equal_settings_attribute_no_roster_change_to_the_files() -> None:
    now = rows(("delete", "roster_row_missing", "a", False), ("update", "drift", "b", False))
    caused = add_roster_causes({Kind.USER: now}, None)[Kind.USER]
    assert caused["cause"].to_list() == ["pending", "drift"]
    none = add_roster_causes({Kind.USER: now}, {})[Kind.USER]
    assert none["cause"].to_list() == ["pr", "pr"]
