"""Turns the rows of a bundle into the records of a OneRoster service."""

# What a record of each type holds is the standard's (1.1 endpoint tables; 1.2 OpenAPI). An optional property without a
# value is `None` here; how that is sent is decided where it is sent. A reference is `{href, sourcedId, type}`, its href
# the path below the base address until then.

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from tests.support.rosters.bundles import Bundle, Row

Record = dict[str, Any]

#: When everything was changed last, where the row itself does not say.
MODIFIED = "2026-09-01T02:00:00.000Z"

#: type of a record -> the collection that its href leads to.
HOMES = {
    "academicSession": "academicSessions",
    "class": "classes",
    "course": "courses",
    "demographics": "demographics",
    "enrollment": "enrollments",
    "org": "orgs",
    "user": "users",
}

RACES = (
    "americanIndianOrAlaskaNative",
    "asian",
    "blackOrAfricanAmerican",
    "nativeHawaiianOrOtherPacificIslander",
    "white",
    "demographicRaceTwoOrMoreRaces",
    "hispanicOrLatinoEthnicity",
)
#: Properties that are "true" or "false".
BOOLEANS = frozenset({"enabledUser", "primary", *RACES})


def records_of(bundle: Bundle, version: str) -> dict[str, list[Record]]:
    """Records by type, in the order of the rows. A 1.1 bundle is served as 1.2 too; not the other way round."""
    if version == "1.2" and bundle.version == "1.1":
        bundle = bundle.version12()
    if version != bundle.version:
        raise ValueError(f"a {bundle.version} bundle cannot be served as {version}")
    rows = {table: bundle.tables.get(table, ()) for table in HOMES.values()}
    modern = version == "1.2"
    roles = _by(bundle.tables.get("roles", ()), "userSourcedId")
    profiles = _by(bundle.tables.get("userProfiles", ()), "userSourcedId")
    makers: dict[str, Callable[[Row], Record]] = {
        "academicSession": lambda row: _session(row, _by(rows["academicSessions"], "parentSourcedId")),
        "class": _class,
        "course": lambda row: _course(row, modern),
        "demographics": _demographics,
        "enrollment": _enrollment,
        "user": lambda row: _user_1_2(row, roles, profiles) if modern else _user_1_1(row),
    }
    children = _by(rows["orgs"], "parentSourcedId")
    makers["org"] = lambda row: _org(row, children, modern)
    return {type_: [_stamped(row) | maker(row) for row in rows[HOMES[type_]]] for type_, maker in makers.items()}


def reference(type_: str, sourced_id: str | None) -> Record | None:
    return {"href": f"{HOMES[type_]}/{sourced_id}", "sourcedId": sourced_id, "type": type_} if sourced_id else None


def references(type_: str, ids: Iterable[str]) -> list[Record] | None:
    return [made for each in ids if (made := reference(type_, each))] or None


def _stamped(row: Row) -> Record:
    return {
        "sourcedId": row["sourcedId"],
        "status": row.get("status") or "active",
        "dateLastModified": row.get("dateLastModified") or MODIFIED,
        "metadata": {name.removeprefix("metadata."): row[name] for name in row if name.startswith("metadata.")} or None,
    }


def _org(row: Row, children: Mapping[str, list[Row]], modern: bool) -> Record:
    # 1.2 requires an identifier, which its own CSV does not.
    identifier = row.get("identifier", "") if modern else _text(row, "identifier")
    return {
        "name": row["name"],
        "type": row["type"],
        "identifier": identifier,
        "parent": reference("org", row.get("parentSourcedId")),
        "children": references("org", (child["sourcedId"] for child in children[row["sourcedId"]])),
    }


def _session(row: Row, children: Mapping[str, list[Row]]) -> Record:
    return {
        **{name: row[name] for name in ("title", "startDate", "endDate", "type", "schoolYear")},
        "parent": reference("academicSession", row.get("parentSourcedId")),
        "children": references("academicSession", (child["sourcedId"] for child in children[row["sourcedId"]])),
    }


def _course(row: Row, modern: bool) -> Record:
    return {
        "title": row["title"],
        "schoolYear": reference("academicSession", row.get("schoolYearSourcedId")),
        "courseCode": row.get("courseCode", "") if modern else _text(row, "courseCode"),
        "grades": _list(row, "grades"),
        "subjects": _list(row, "subjects"),
        "org": reference("org", row.get("orgSourcedId")),
        "subjectCodes": _list(row, "subjectCodes"),
    }


def _class(row: Row) -> Record:
    return {
        **{name: _text(row, name) for name in ("title", "classCode", "classType", "location")},
        "grades": _list(row, "grades"),
        "subjects": _list(row, "subjects"),
        "course": reference("course", row.get("courseSourcedId")),
        "school": reference("org", row.get("schoolSourcedId")),
        "terms": references("academicSession", _list(row, "termSourcedIds") or ()),
        "subjectCodes": _list(row, "subjectCodes"),
        "periods": _list(row, "periods"),
    }


def _enrollment(row: Row) -> Record:
    return {
        "user": reference("user", row["userSourcedId"]),
        "class": reference("class", row["classSourcedId"]),
        "school": reference("org", row.get("schoolSourcedId")),
        **{name: _text(row, name) for name in ("role", "primary", "beginDate", "endDate")},
    }


def _demographics(row: Row) -> Record:
    places = ("countryOfBirthCode", "stateOfBirthAbbreviation", "cityOfBirth", "publicSchoolResidenceStatus")
    return {name: _text(row, name) for name in ("birthDate", "sex", *RACES, *places)}


def _person(row: Row) -> Record:
    names = ("username", "enabledUser", "givenName", "familyName", "middleName", "identifier", "email", "sms", "phone")
    return {
        **{name: _text(row, name) for name in names},
        "userIds": [_user_id(item) for item in _list(row, "userIds") or ()] or None,
        "agents": references("user", _list(row, "agentSourcedIds") or ()),
        "grades": _list(row, "grades"),
        "password": _text(row, "password"),
    }


def _user_1_1(row: Row) -> Record:
    return {**_person(row), "role": row["role"], "orgs": references("org", _list(row, "orgSourcedIds") or ())}


def _user_1_2(row: Row, roles: Mapping[str, list[Row]], profiles: Mapping[str, list[Row]]) -> Record:
    """CSV says preferredGivenName and preferredFamilyName, REST preferredFirstName and preferredLastName."""
    return {
        **_person(row),
        "userMasterIdentifier": _text(row, "userMasterIdentifier"),
        "preferredFirstName": _text(row, "preferredGivenName"),
        "preferredMiddleName": _text(row, "preferredMiddleName"),
        "preferredLastName": _text(row, "preferredFamilyName"),
        "pronouns": _text(row, "pronouns"),
        "roles": [_role(role) for role in roles[row["sourcedId"]]],
        "userProfiles": [_profile(profile) for profile in profiles[row["sourcedId"]]] or None,
        "primaryOrg": reference("org", row.get("primaryOrgSourcedId")),
    }


def _role(row: Row) -> Record:
    return {
        "roleType": row["roleType"],
        "role": row["role"],
        "org": reference("org", row["orgSourcedId"]),
        "userProfile": _text(row, "userProfileSourcedId"),
        "beginDate": _text(row, "beginDate"),
        "endDate": _text(row, "endDate"),
    }


def _profile(row: Row) -> Record:
    names = ("profileType", "vendorId", "applicationId", "description")
    credential = {"type": row["credentialType"], "username": row["username"], "password": _text(row, "password")}
    return {
        "profileId": f"urn:profile:{row['sourcedId']}",
        **{n: _text(row, n) for n in names},
        "credentials": [credential],
    }


def _user_id(item: str) -> Record:
    type_, _, identifier = item.strip().removeprefix("{").removesuffix("}").partition(":")
    return {"type": type_, "identifier": identifier}


def _text(row: Row, name: str) -> str | None:
    return row.get(name) or None


def _list(row: Row, name: str) -> list[str] | None:
    return next(csv.reader([row.get(name, "")], skipinitialspace=True), None) or None


def _by(rows: Iterable[Row], name: str) -> defaultdict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row.get(name):
            found[row[name]].append(row)
    return found


@cache
def properties(type_: str, version: str) -> frozenset[str]:
    """The names of all properties that records of this type may have."""
    blank = Bundle({table: (defaultdict(str),) for table in HOMES.values()}, version=version)
    return frozenset(records_of(blank, version)[type_][0])
