"""The tests' own OneRoster server: what it serves is the standard's, and it refuses what is signed or asked wrongly."""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA256, Client

from tests.support.roster_server.authority import CONSUMER_KEY, SCOPES, SECRET
from tests.support.roster_server.caller import SMALL, Caller, token
from tests.support.roster_server.server import RosterServer
from tests.support.roster_server.tls import Authority
from tests.support.rosters.bundles import Bundle

Serving = Callable[..., RosterServer]


@pytest.fixture
def caller(serving: Serving) -> Iterator[Caller]:
    made = Caller(serving(SMALL))
    with made.http:
        yield made


def test_every_collection_has_the_key_of_its_type(caller: Caller) -> None:
    keys = {
        path: next(iter(caller.get(path).json()))
        for path in ("academicSessions", "classes", "courses", "enrollments", "gradingPeriods", "orgs", "schools",
                     "students", "teachers", "terms", "users", "demographics")
    }  # fmt: skip
    assert keys == {
        "academicSessions": "academicSessions",
        "gradingPeriods": "academicSessions",
        "terms": "academicSessions",
        "orgs": "orgs",
        "schools": "orgs",
        "students": "users",
        "teachers": "users",
        "users": "users",
        "classes": "classes",
        "courses": "courses",
        "enrollments": "enrollments",
        "demographics": "demographics",
    }
    assert list(caller.get("terms/t-1").json()) == ["academicSession"]
    assert list(caller.get("students/u-0003").json()) == ["user"]


def test_person_of_1_1_follows_the_standard(caller: Caller) -> None:
    row = next(row for row in SMALL.tables["users"] if row["sourcedId"] == "u-0003")
    assert caller.get("users/u-0003").json()["user"] == {
        "sourcedId": "u-0003",
        "status": "active",
        "dateLastModified": "2026-09-01T02:00:00.000Z",
        "username": "u0003",
        "enabledUser": "true",
        "givenName": row["givenName"],
        "familyName": row["familyName"],
        "identifier": "100003",
        "email": "u0003@example.com",
        "grades": ["05"],
        "role": "student",
        "orgs": [{"href": f"{caller.server.url}/orgs/s-2", "sourcedId": "s-2", "type": "org"}],
    }


def test_1_2_people_have_their_roles_and_required_fields(serving: Serving) -> None:
    server = serving(SMALL, version="1.2", authorization="oauth2")
    assert "/ims/oneroster/rostering/v1p2" in server.url
    headers = token(server, "roster-core", version="1p2")
    found = {
        path: httpx.get(f"{server.url}/{path}", headers=headers, trust_env=False, verify=False).json()
        for path in ("users/u-0003", "orgs/s-1", "enrollments/e-00001", "courses/course-1", "roles")
    }
    user = found["users/u-0003"]["user"]
    org = {"href": f"{server.url}/orgs/s-2", "sourcedId": "s-2", "type": "org"}
    assert user["roles"] == [{"roleType": "primary", "role": "student", "org": org}]
    assert not {"role", "orgs"} & set(user)
    assert "identifier" in found["orgs/s-1"]["org"]
    assert "courseCode" in found["courses/course-1"]["course"]
    assert {"user", "class", "school", "role"} <= set(found["enrollments/e-00001"]["enrollment"])
    assert "org" not in found["enrollments/e-00001"]["enrollment"]
    assert "imsx_CodeMinor" in found["roles"], "1.2 has no such endpoint"


def test_pages_follow_each_other_by_limit_offset_and_link(caller: Caller) -> None:
    everybody = SMALL.ids("users")
    assert [caller.ids("users", limit=5, offset=offset) for offset in (0, 5, 10, 15)] == [
        everybody[:5],
        everybody[5:10],
        everybody[10:],
        [],
    ]
    answer = caller.get("users", limit=5, offset=5, sort="sourcedId")
    assert answer.headers["X-Total-Count"] == "12"
    url = caller.server.url
    assert {name: link["url"] for name, link in answer.links.items()} == {
        "next": f"{url}/users?sort=sourcedId&limit=5&offset=10",
        "last": f"{url}/users?sort=sourcedId&limit=5&offset=10",
        "first": f"{url}/users?sort=sourcedId&limit=5&offset=0",
        "prev": f"{url}/users?sort=sourcedId&limit=5&offset=0",
    }
    assert "next" not in caller.get("users", limit=5, offset=10).links
    assert len(caller.ids("enrollments")) == 24, "the default is 100"


def test_sort_and_fields_are_obeyed(caller: Caller) -> None:
    names = [row["familyName"] for row in SMALL.tables["users"]]
    answer = caller.get("users", sort="familyName", orderBy="desc", fields="sourcedId,familyName").json()["users"]
    assert [each["familyName"] for each in answer] == sorted(names, reverse=True)
    assert {tuple(sorted(each)) for each in answer} == {("familyName", "sourcedId")}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("role='teacher'", lambda row: row["role"] == "teacher"),
        ("role!='teacher'", lambda row: row["role"] != "teacher"),
        ("identifier >= '100010'", lambda row: row["identifier"] >= "100010"),
        ("orgs.sourcedId='s-1' AND role='student'", lambda r: (r["orgSourcedIds"], r["role"]) == ("s-1", "student")),
        ("username='u0001' OR username='u0005'", lambda row: row["username"] in ("u0001", "u0005")),
        ("email~'01'", lambda row: "01" in row["email"]),
        ("familyName='O''Neil AND more'", lambda row: False),
        ("dateLastModified>'2026-09-01T02:00:00.000Z'", lambda row: False),
    ],
)
def test_a_filter_lets_through_what_a_simple_model_does(caller: Caller, text: str, wanted: Any) -> None:
    assert caller.ids("users", filter=text) == [row["sourcedId"] for row in SMALL.tables["users"] if wanted(row)]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"filter": "shoeSize='41'"}, "invalid_filter_field"),
        ({"filter": "role=teacher"}, "invalid_filter_field"),
        ({"filter": "role='a' OR role='b' OR role='c'"}, "invalid_filter_field"),
        ({"sort": "shoeSize"}, "invalid_sort_field"),
        ({"fields": "sourcedId,shoeSize"}, "invalid_selection_field"),
        ({"limit": "0"}, "invaliddata"),
        ({"offset": "-1"}, "invaliddata"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_code(caller: Caller, query: dict[str, str], code: str) -> None:
    answer = caller.get("users", **query)
    assert answer.status_code == 400
    field = answer.json()["imsx_CodeMinor"]["imsx_codeMinorField"][0]
    assert field["imsx_codeMinorFieldValue"] == code
    assert answer.json()["imsx_codeMajor"] == "failure"


def test_sub_collections_hold_what_the_enrollments_say(caller: Caller) -> None:
    rows = SMALL.tables["enrollments"]
    in_class = [row["userSourcedId"] for row in rows if row["classSourcedId"] == "c-01" and row["role"] == "student"]
    assert sorted(caller.ids("classes/c-01/students")) == sorted(in_class)
    school = next(row["schoolSourcedId"] for row in SMALL.tables["classes"] if row["sourcedId"] == "c-01")
    assert caller.ids(f"schools/{school}/classes/c-01/students") == caller.ids("classes/c-01/students")
    theirs = [row["classSourcedId"] for row in rows if row["userSourcedId"] == "u-0003"]
    assert sorted(caller.ids("students/u-0003/classes")) == sorted(theirs)
    assert caller.ids(f"schools/{school}/terms") == ["t-1", "t-2"]
    assert caller.get("schools/s-99/classes").status_code == 404
    assert caller.get("schools/s-1/roles").status_code == 404


@pytest.mark.parametrize("method", ["HMAC-SHA1", SIGNATURE_HMAC_SHA256])
def test_a_right_signature_is_taken_once(caller: Caller, method: str) -> None:
    url = f"{caller.server.url}/users?filter=role%3D%27student%27%20AND%20status%3D%27active%27&limit=2"
    headers = caller.signed(url, signature_method=method)
    assert [caller.http.get(url, headers=headers).status_code for _ in range(2)] == [200, 401], "a nonce is good once"


def test_a_wrong_signature_is_refused(caller: Caller) -> None:
    url = f"{caller.server.url}/users?limit=2"
    old = str(int(time.time()) - 3600)
    for headers in (
        {},
        caller.signed(url, secret="another"),
        caller.signed(url, key="nobody"),
        caller.signed(url, timestamp=old),
        caller.signed(f"{caller.server.url}/users"),
        caller.signed(f"{url}0"),
        caller.signed(url, signature_method="PLAINTEXT"),
    ):
        assert caller.http.get(url, headers=headers).status_code == 401
    in_query = Client(CONSUMER_KEY, SECRET, signature_type="QUERY").sign(url)[0]
    assert caller.http.get(in_query).status_code == 401


def test_a_token_is_given_to_the_client_alone(serving: Serving) -> None:
    server = serving(SMALL, authorization="oauth2", token_query="appName=reader", prefix="/campus/api")
    assert server.token_url == f"{server.root}/campus/oauth2/token?appName=reader"
    form = {"grant_type": "client_credentials"}
    encoded = base64.b64encode(f"{CONSUMER_KEY}:{quote_plus(SECRET)}".encode()).decode()
    with httpx.Client(trust_env=False, verify=False) as http:
        asked = {
            "basic": http.post(server.token_url, data=form, auth=(CONSUMER_KEY, SECRET)),
            "encoded": http.post(server.token_url, data=form, headers={"Authorization": f"Basic {encoded}"}),
            "body": http.post(server.token_url, data={**form, "client_id": CONSUMER_KEY, "client_secret": SECRET}),
            "wrong": http.post(server.token_url, data=form, auth=(CONSUMER_KEY, "another")),
            "none": http.post(server.token_url, data=form),
            "grant": http.post(server.token_url, data={"grant_type": "password"}, auth=(CONSUMER_KEY, SECRET)),
            "scope": http.post(server.token_url, data={**form, "scope": "all"}, auth=(CONSUMER_KEY, SECRET)),
            "query": http.post(server.token_url.partition("?")[0], data=form, auth=(CONSUMER_KEY, SECRET)),
        }
    assert {name: answer.status_code for name, answer in asked.items()} == {
        "basic": 200,
        "encoded": 200,
        "body": 200,
        "wrong": 401,
        "none": 401,
        "grant": 400,
        "scope": 400,
        "query": 404,
    }
    assert set(asked["basic"].json()) == {"access_token", "token_type", "expires_in", "scope"}


@pytest.mark.parametrize(
    ("version", "scopes", "answers"),
    [
        ("1.1", ("roster-core",), (200, 403, 403)),
        ("1.1", ("roster",), (403, 200, 403)),
        ("1.2", ("roster",), (200, 200, 403)),
        ("1.2", ("roster-core",), (200, 403, 403)),
        ("1.2", SCOPES, (200, 200, 200)),
    ],
)
def test_scopes_open_what_they_name(
    serving: Serving, version: str, scopes: tuple[str, ...], answers: tuple[int, ...]
) -> None:
    server = serving(SMALL, version=version, authorization="oauth2")
    headers = token(server, *scopes, version=version.replace(".", "p"))
    with httpx.Client(trust_env=False, verify=False, headers=headers) as http:
        got = [http.get(f"{server.url}/{path}") for path in ("users", "schools/s-1/students", "demographics")]
    assert tuple(answer.status_code for answer in got) == answers


def test_a_token_ends_with_its_time(serving: Serving) -> None:
    now = [1_800_000_000.0]
    server = serving(SMALL, authorization="oauth2", clock=lambda: now[0])
    headers = token(server, "roster-core")
    assert httpx.get(f"{server.url}/users", headers=headers, trust_env=False, verify=False).status_code == 200
    now[0] += 3600
    refused = httpx.get(f"{server.url}/users", headers=headers, trust_env=False, verify=False)
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Bearer error="invalid_token"')
    assert httpx.get(f"{server.url}/users", trust_env=False, verify=False).status_code == 401


@pytest.mark.parametrize("kind", ["good", "expired", "wrong-host", "unknown-issuer"])
def test_a_certificate_is_as_bad_as_it_should_be(serving: Serving, tmp_path: Path, kind: Any) -> None:
    authority = Authority()
    server = serving(SMALL, authorization="oauth2", tls=authority.context(kind))
    believed = ssl.create_default_context(cafile=str(authority.believed(tmp_path / "ca.pem")))
    with httpx.Client(trust_env=False, verify=believed) as http:
        if kind == "good":
            assert http.get(f"{server.url}/users").status_code == 401
        else:
            with pytest.raises(httpx.ConnectError, match="certificate"):
                http.get(f"{server.url}/users")


def test_what_was_asked_is_kept_without_what_is_secret(caller: Caller) -> None:
    caller.get("users", limit=5, offset=5)
    asked = caller.server.requests[0]
    assert (asked.path, asked.offset, asked.scheme, asked.status, asked.rows) == ("users", 5, "OAuth", 200, 5)
    assert "oauth_signature" not in repr(caller.server.requests)
    assert isinstance(caller.server.bundle, Bundle)
