"""Pages of JSON as frames: the standard's own examples in both versions, and what real servers make of them."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.oneroster.sources.api.records.collections import COLLECTIONS, Collection
from reconciler.oneroster.sources.api.records.envelope import read_page, read_record
from reconciler.oneroster.standard.tables import IN_USE, STANDARDS
from tests.support.rosters.bundles import bundle
from tests.support.sources.scripted_api import record

USER = {
    "sourcedId": "u-1",
    "status": "active",
    "dateLastModified": "2012-04-23T18:25:43.511Z",
    "metadata": {"microsoft.multipleBirth": True},
    "username": "mjones",
    "userIds": [{"type": "LDAP", "identifier": "mjones@sis"}],
    "enabledUser": "true",
    "givenName": "Michael",
    "familyName": "Jones",
    "middleName": "Francis",
    "role": "student",
    "identifier": "9898-PJN",
    "email": "mjones@mapletonhs.example",
    "sms": "+4477512344",
    "phone": "+44507878",
    "agents": [
        {"href": "https://sis.example/ims/oneroster/v1p1/users/80", "sourcedId": "80", "type": "user"},
        {"href": "https://sis.example/ims/oneroster/v1p1/users/81", "sourcedId": "81", "type": "user"},
    ],
    "orgs": [{"href": "https://sis.example/ims/oneroster/v1p1/orgs/654", "sourcedId": "654", "type": "org"}],
    "grades": ["09", "10"],
    "password": "Xwyz//123",
}
USER_1_2 = {
    **{name: value for name, value in USER.items() if name not in ("role", "orgs")},
    "enabledUser": True,
    "preferredFirstName": "Mike",
    "primaryOrg": {"href": "https://sis.example/orgs/654", "sourcedId": "654", "type": "org"},
    "userProfiles": [{"profileId": "urn:x", "vendorId": "v", "credentials": [{"type": "t", "password": "Xwyz//123"}]}],
    "roles": [
        {"roleType": "primary", "role": "student", "org": {"href": "x", "sourcedId": "654", "type": "org"}},
        {"roleType": "secondary", "role": "aide", "org": {"href": "x", "sourcedId": "655", "type": "org"},
         "beginDate": "2026-08-20", "endDate": "2027-06-11"},
    ],
}  # fmt: skip
ENROLLMENT = {
    "sourcedId": "e-1",
    "status": "active",
    "dateLastModified": "2012-04-23T18:25:43.511Z",
    "role": "student",
    "primary": False,
    "user": {"href": "https://sis.example/users/12345", "sourcedId": "12345", "type": "user"},
    "class": {"href": "https://sis.example/classes/48989", "sourcedId": "48989", "type": "class"},
    "school": {"href": "https://sis.example/orgs/1", "sourcedId": "1", "type": "org"},
    "beginDate": "2012-01-02",
    "endDate": "2012-05-05",
}


def collection(name: str, version: str = "1.1") -> Collection:
    return next(each for each in COLLECTIONS[version] if each.name == name)


def page(name: str, *rows: object, version: str = "1.1", key: str | None = None) -> dict[str, list[dict[str, Any]]]:
    frames = read_page(orjson.dumps({key or name: rows}), collection(name, version), f"/{name}?offset=0")
    return {stem: frame.to_dicts() for stem, frame in frames.items()}


def refused(body: object, name: str = "users") -> Diagnostic:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    with pytest.raises(Refusal) as caught:
        read_page(raw, collection(name), f"/{name}?offset=0")
    (only,) = caught.value.diagnostics
    assert f"/{name}?offset=0" in only.message
    return only


def test_user_of_1_1_matches_the_standards_example() -> None:
    (row,) = page("users", USER)["users"]
    assert row == {
        "sourcedId": "u-1",
        "status": "active",
        "dateLastModified": "2012-04-23T18:25:43.511Z",
        "enabledUser": "true",
        "orgSourcedIds": "654",
        "role": "student",
        "username": "mjones",
        "givenName": "Michael",
        "familyName": "Jones",
        "middleName": "Francis",
        "identifier": "9898-PJN",
        "email": "mjones@mapletonhs.example",
        "agentSourcedIds": "80,81",
        "grades": "09,10",
    }


def test_user_of_1_2_has_one_row_per_role() -> None:
    frames = page("users", USER_1_2, version="1.2")
    assert frames["users"][0]["enabledUser"] == "true"
    assert frames["users"][0]["primaryOrgSourcedId"] == "654"
    assert [tuple(row.values()) for row in frames["roles"]] == [
        ("u-1/1", "active", USER["dateLastModified"], "u-1", "primary", "student", None, None, "654"),
        ("u-1/2", "active", USER["dateLastModified"], "u-1", "secondary", "aide", "2026-08-20", "2027-06-11", "655"),
    ]


def test_an_enrollment_of_both_versions() -> None:
    for version in ("1.1", "1.2"):
        (row,) = page("enrollments", ENROLLMENT, version=version)["enrollments"]
        assert (row["classSourcedId"], row["schoolSourcedId"], row["userSourcedId"]) == ("48989", "1", "12345")
        assert row["primary"] == "false"


def test_passwords_contacts_and_user_ids_are_dropped_on_reading() -> None:
    for version, user in (("1.1", USER), ("1.2", USER_1_2)):
        told = str(page("users", user, version=version))
        for unwanted in ("Xwyz", "+44", "LDAP", "Mike", "multipleBirth"):
            assert unwanted not in told


@pytest.mark.parametrize("version", ["1.1", "1.2"])
def test_every_used_column_maps_to_a_standard_property(version: str) -> None:
    made = {stem: cells for each in COLLECTIONS[version] for stem, cells in _columns(each).items()}
    for stem, table in STANDARDS[version].tables.items():
        if stem in IN_USE:
            known = {column.name for column in table.columns}
            used = {column.name for column in table.columns_in_use}
            assert used <= made[stem] <= known, stem


def _columns(each: Collection) -> dict[str, set[str]]:
    first = {"sourcedId", "status", "dateLastModified"}
    columns = {each.name: {cell.column for cell in each.cells}}
    if each.nested:
        columns[each.nested] = first | {"userSourcedId"} | {cell.column for cell in each.nested_cells}
    return columns


@pytest.mark.parametrize(
    ("name", "key"),
    [("users", "students"), ("users", "teachers"), ("orgs", "schools"), ("academicSessions", "terms")],
)
def test_an_envelope_that_follows_the_path_is_taken(name: str, key: str) -> None:
    assert page(name, {"sourcedId": "x-1", "title": "t"}, key=key)[name][0]["sourcedId"] == "x-1"


@pytest.mark.parametrize(
    "body",
    [
        {"user": USER},
        {"user": [USER]},
        {"users": None},
        {"users": USER},
        {"users": "none"},
        {},
        {"error": "x"},
        [],
        [USER],
        {"users": [USER], "students": [USER]},
        "users",
        7,
        None,
        {"Users": [USER]},
    ],
)
def test_anything_but_the_list_is_refused_not_empty(body: object) -> None:
    assert refused(body).code == "wrong-envelope"


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"users":[', b"<html>", b'{"users":[]} x', b'{"users":[{"sourcedId":1e999}]}']
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert refused(body).code == "malformed-page"


def test_empty_list_is_an_empty_page_with_all_columns() -> None:
    frames = read_page(b'{"users": []}', collection("users", "1.2"), "/users")
    assert [(stem, frame.height) for stem, frame in frames.items()] == [("users", 0), ("roles", 0)]
    filled = read_page(orjson.dumps({"users": [USER_1_2]}), collection("users", "1.2"), "/users")
    assert {stem: frame.schema for stem, frame in frames.items()} == {stem: f.schema for stem, f in filled.items()}


def test_booleans_and_numbers_become_text() -> None:
    (row,) = page("users", {"sourcedId": 1234567890123456789, "enabledUser": False, "identifier": 42, "grades": 9})[
        "users"
    ]
    assert (row["sourcedId"], row["enabledUser"], row["identifier"]) == ("1234567890123456789", "false", "42")
    assert row["grades"] == "9"


def test_list_items_that_hold_commas_stand_in_quotation_marks() -> None:
    (row,) = page("users", {"sourcedId": "u", "grades": ["05", "a,b", 'c"d'], "orgs": []})["users"]
    assert row["grades"] == '05,"a,b","c""d"'
    assert row["orgSourcedIds"] is None


def test_list_with_an_unnamed_item_is_rejected() -> None:
    rows = page(
        "users", {"sourcedId": "u", "orgs": [{"sourcedId": "s-1"}, {"href": "x"}]}, {"sourcedId": "v", "orgs": [None]}
    )
    assert [row["orgSourcedIds"] for row in rows["users"]] == [None, None]


def test_line_ends_become_spaces_in_text_but_not_keys() -> None:
    (row,) = page("users", {"sourcedId": "u\n1", "givenName": "Ann\r\nMary"})["users"]
    assert (row["sourcedId"], row["givenName"]) == ("u\n1", "Ann Mary")


def test_references_may_be_bare() -> None:
    bare = {**ENROLLMENT, "user": "12345", "class": "48989", "school": "1"}
    assert page("enrollments", bare, bare) == page("enrollments", ENROLLMENT, ENROLLMENT)
    mixed = page("enrollments", bare, ENROLLMENT)
    assert mixed == page("enrollments", ENROLLMENT, ENROLLMENT)
    one = page("users", {**USER, "orgs": USER["orgs"][0], "agents": ["80", "81"], "grades": "09"})["users"][0]
    assert (one["orgSourcedIds"], one["agentSourcedIds"], one["grades"]) == ("654", "80,81", "09")
    roles = {**USER_1_2, "roles": USER_1_2["roles"][0]}
    assert len(page("users", roles, version="1.2")["roles"]) == 1


def test_mistyped_value_blanks_the_required_fields_of_its_row() -> None:
    rows = page("users", USER, {**USER, "sourcedId": "u-2", "orgs": 7.5, "givenName": {"first": "A"}}, USER)["users"]
    assert [row["sourcedId"] for row in rows] == ["u-1", "u-2", "u-1"]
    assert rows[0] == rows[2]
    assert {name: value for name, value in rows[1].items() if value is not None} == {
        "sourcedId": "u-2",
        "identifier": "9898-PJN",
        "email": "mjones@mapletonhs.example",
        "username": "mjones",
    }


def test_row_without_a_sourced_id_keeps_its_place() -> None:
    rows = page("users", USER, {**USER, "sourcedId": None}, {**USER, "sourcedId": ""}, {**USER, "sourcedId": ["a"]})
    assert [row["sourcedId"] for row in rows["users"]] == ["u-1", None, None, None]
    assert all(row["username"] == "mjones" for row in rows["users"])


@pytest.mark.parametrize("row", [None, {}, "u-1", 7, [], {"sourcedID": "u-1"}, {"href": "x"}, {"orgs": {"a": 1}}])
def test_a_row_that_names_nothing_refuses_its_page(row: object) -> None:
    assert refused({"users": [USER, row]}).code == "malformed-page"


def test_page_with_many_misshapen_rows_is_refused() -> None:
    bad = [{**USER, "sourcedId": f"u-{number}", "email": {"x": 1}} for number in range(11)]
    assert len(page("users", *bad[:10])["users"]) == 10
    said = refused({"users": bad})
    assert said.code == "malformed-page"
    assert "email" in said.message
    assert "Jones" not in str(said)


def test_a_record_has_an_envelope_of_its_own() -> None:
    one = read_record(orjson.dumps({"user": USER}), collection("users"), "/users/u-1")
    assert one["users"].to_dicts() == page("users", USER)["users"]
    for body in ({"users": [USER]}, {"user": None}, {"user": [USER]}, {}):
        with pytest.raises(Refusal):
            read_record(orjson.dumps(body), collection("users"), "/users/u-1")


def test_nothing_of_a_page_that_is_refused_is_repeated() -> None:
    for body in ({"users": [{**USER, "email": [1]}] * 20}, {"user": USER}, b'{"users":[{"givenName":"Michael"'):
        assert "Michael" not in str(refused(body))


def test_a_bundle_as_json_is_its_csv_again() -> None:
    made = bundle(users=20)
    for table in ("orgs", "classes", "users", "enrollments"):
        frames = page(table, *(record(row) for row in made.tables[table]))[table]
        for ours, row in zip(frames, made.tables[table], strict=True):
            assert {name: ours[name] for name in row} == {name: value or None for name, value in row.items()}


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["sourcedId", "x"]), inner, max_size=2),
    max_leaves=4,
)
named = st.sampled_from(["sourcedId", "username", "enabledUser", "orgs", "agents", "grades", "roles", "primaryOrg"])


@given(
    rows=st.lists(st.dictionaries(named, anything, max_size=5) | anything, max_size=5),
    version=st.sampled_from(["1.1", "1.2"]),
)
@settings(max_examples=300, deadline=None)
def test_any_page_keeps_all_rows_in_place_or_is_refused(rows: list[Any], version: str) -> None:
    body = json.dumps({"users": [{"sourcedId": "first"}, *rows, {"sourcedId": "last"}]}).encode()
    try:
        frame = read_page(body, collection("users", version), "/users")["users"]
    except Refusal:
        return
    keys = frame["sourcedId"].to_list()
    assert len(keys) == len(rows) + 2
    assert (keys[0], keys[-1]) == ("first", "last")
    for key, row in zip(keys[1:-1], rows, strict=True):
        told = row.get("sourcedId")
        assert isinstance(told, str | int | float | None) or key is None
        if isinstance(told, str) and "\\" not in json.dumps(told):
            assert key == (told or None)
