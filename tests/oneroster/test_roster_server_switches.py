"""The switches of the tests' own OneRoster server do what they say."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.support.roster_server.caller import SMALL, Caller, token
from tests.support.roster_server.server import RosterServer
from tests.support.roster_server.switches import (
    Becomes,
    Body,
    CutBody,
    CutGzip,
    Dropped,
    EmptyPage,
    Fault,
    GzipBomb,
    HugeBody,
    LoginPage,
    NoContent,
    Redirect,
    Revoked,
    Slow,
    Status,
    Switches,
    Withheld,
    whenever,
)
from tests.support.rosters.bundles import bundle

Serving = Callable[..., RosterServer]
EVERYBODY = SMALL.ids("users")


@pytest.fixture
def caller(serving: Serving) -> Iterator[Caller]:
    made = Caller(serving(SMALL))
    with made.http:
        yield made


def test_a_clamp_is_silent(caller: Caller) -> None:
    caller.server.now(switches=Switches(clamp=4, total=None, link=None))
    answer = caller.get("users", limit=10)
    assert len(answer.json()["users"]) == 4
    assert not {"x-total-count", "link", "x-count"} & set(answer.headers)


def test_totals_may_be_renamed_wrong_or_growing(caller: Caller) -> None:
    caller.server.now(switches=Switches(total="x-count", total_off_by=3))
    assert caller.get("users").headers["x-count"] == "15"
    caller.server.now(switches=Switches(total_grows=True))
    assert [caller.get("users").headers["X-Total-Count"] for _ in range(2)] == ["13", "14"]


def test_links_may_be_relative_circular_endless_or_foreign(caller: Caller) -> None:
    def following(link: str, offset: int) -> str:
        caller.server.now(switches=Switches(link=link))
        return str(caller.get("users", limit=6, offset=offset).links["next"]["url"])

    assert following("relative", 0) == "/ims/oneroster/v1p1/users?limit=6&offset=6"
    assert following("loop", 6).endswith("offset=0")
    assert following("endless", 6).endswith("offset=12")
    assert following("cursor", 0).endswith("?limit=6&cursor=6")
    assert caller.ids("users", limit=6, cursor=6) == EVERYBODY[6:]
    assert following("https://elsewhere.example/", 0) == "https://elsewhere.example/"


def test_pages_may_repeat_overlap_or_come_in_any_order(caller: Caller) -> None:
    caller.server.now(switches=Switches(same_page=True))
    assert caller.ids("users", limit=5, offset=5) == EVERYBODY[:5]
    caller.server.now(switches=Switches(overlap=1))
    assert caller.ids("users", limit=5, offset=5) == EVERYBODY[4:9]
    caller.server.now(switches=Switches(doubled=frozenset(EVERYBODY[:1])))
    assert caller.ids("users", limit=3) == [EVERYBODY[0], EVERYBODY[0], EVERYBODY[1]]
    caller.server.now(switches=Switches(order="unless-sorted"))
    orders = [caller.ids("users") for _ in range(3)]
    assert len({tuple(order) for order in orders}) == 3
    assert caller.ids("users", sort="sourcedId") == EVERYBODY
    caller.server.now(switches=Switches(order="shuffled"))
    assert caller.ids("users", sort="sourcedId") != caller.ids("users", sort="sourcedId")


def test_sort_and_filter_may_be_ignored_or_refused(caller: Caller) -> None:
    query = {"filter": "role='teacher'", "sort": "familyName"}
    caller.server.now(switches=Switches(sort="ignored", filter="ignored"))
    assert caller.ids("users", **query) == EVERYBODY
    caller.server.now(switches=Switches(filter="nothing"))
    assert caller.ids("users", **query) == []
    for refusing in (Switches(sort="refused"), Switches(filter="refused")):
        caller.server.now(switches=refusing)
        assert caller.get("users", **query).status_code == 400
    caller.server.now(switches=Switches(sort="after-paging"))
    assert sorted(caller.ids("users", sort="familyName", limit=4)) == EVERYBODY[:4]


@pytest.mark.parametrize(
    ("envelope", "start"),
    [
        ("path", '{"students":['),
        ("singular", '{"user":['),
        ("null", '{"users":null}'),
        ("missing", "{}"),
        ("bare", "[{"),
    ],
)
def test_an_envelope_may_be_another(caller: Caller, envelope: str, start: str) -> None:
    caller.server.now(switches=Switches(envelope=envelope))  # type: ignore[arg-type]
    assert caller.get("students").text.startswith(start)


def test_values_may_be_of_another_form(caller: Caller) -> None:
    roster = SMALL.with_user("77", orgSourcedIds="s-1", email="")
    caller.server.now(
        bundle=roster, switches=Switches(booleans="json", href="relative", numeric_ids=True, empties="null")
    )
    user = caller.get("users/77").json()["user"]
    assert (user["enabledUser"], user["sourcedId"], user["email"]) == (True, 77, None)
    assert user["orgs"][0]["href"] == "orgs/s-1"
    caller.server.now(switches=Switches(empties="blank", usernames=False, code_minor="text"))
    assert caller.get("users/77").json()["user"]["email"] == ""
    assert "username" not in caller.get("users/77").json()["user"]
    assert caller.get("users/nobody").json()["imsx_CodeMinor"] == "unknownobject"


def test_records_marked_for_deletion_may_be_dropped_silently(caller: Caller) -> None:
    roster = SMALL.with_user(EVERYBODY[0], status="tobedeleted")
    caller.server.now(bundle=roster)
    assert caller.get(f"users/{EVERYBODY[0]}").json()["user"]["status"] == "tobedeleted"
    caller.server.now(switches=Switches(tobedeleted="dropped"))
    assert caller.ids("users") == EVERYBODY[1:]


def test_a_student_of_two_schools_may_be_two_rows(caller: Caller) -> None:
    student = SMALL.students()[0]
    caller.server.now(bundle=SMALL.with_user(student, orgSourcedIds="s-1,s-2"), switches=Switches(per_school=True))
    rows = caller.get("users", filter=f"email='{student.replace('-', '')}@example.com'").json()["users"]
    assert len({row["sourcedId"] for row in rows}) == 2
    assert {row["orgs"][0]["sourcedId"] for row in rows} == {"s-1", "s-2"}
    assert all("username" not in row for row in rows)
    known = set(caller.ids("users"))
    answer = caller.get("enrollments").json()["enrollments"]
    assert {each["user"]["sourcedId"] for each in answer} <= known


def test_fault_strikes_when_and_as_often_as_configured(caller: Caller) -> None:
    caller.server.now(Fault("users", Status(500), at=2))
    assert [caller.get("users").status_code for _ in range(3)] == [200, 500, 200]
    caller.server.now(whenever("users", Status(503), at=2))
    assert [caller.get(path).status_code for path in ("users", "orgs", "users", "users")] == [200, 200, 503, 503]
    caller.server.now(Fault("users", Status(502), offset=5, times=2))
    assert [caller.get("users", offset=offset).status_code for offset in (0, 5, 5, 5)] == [200, 502, 502, 200]
    caller.server.now(Fault("*", Status(404)))
    assert [caller.get(path).status_code for path in ("orgs", "users")] == [404, 200]


def test_errors_may_name_a_delay_or_be_pages(caller: Caller) -> None:
    caller.server.now(Fault("users", Status(429, retry_after="7", html=True)))
    answer = caller.get("users")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.headers["Content-Type"].startswith("text/html")


def test_answers_may_be_none_at_all(caller: Caller) -> None:
    caller.server.now(
        Fault("users", EmptyPage(), at=1),
        Fault("users", LoginPage(), at=2),
        Fault("users", Body(), at=3),
        Fault("users", NoContent(), at=4),
        Fault("users", Redirect("https://elsewhere.example{path}"), at=5),
    )
    empty, page, nothing, none, away = (caller.get("users", limit=5) for _ in range(5))
    assert (empty.json(), empty.headers["X-Total-Count"]) == ({"users": []}, "12")
    assert (page.status_code, page.headers["Content-Type"][:9]) == (200, "text/html")
    assert (nothing.status_code, nothing.content) == (200, b"")
    assert (none.status_code, none.content) == (204, b"")
    assert away.headers["Location"] == "https://elsewhere.example/ims/oneroster/v1p1/users?limit=5"


@pytest.mark.parametrize("fault", [CutBody(), Dropped()])
def test_a_body_may_be_cut(caller: Caller, fault: CutBody | Dropped) -> None:
    caller.server.now(Fault("users", fault))
    with pytest.raises(httpx.RemoteProtocolError):
        caller.get("users")
    assert caller.get("users").status_code == 200


def test_gzip_may_be_whole_cut_or_a_bomb(caller: Caller) -> None:
    caller.server.now(switches=Switches(gzip=True))
    answer = caller.get("users")
    assert (answer.headers["Content-Encoding"], len(answer.json()["users"])) == ("gzip", 12)
    caller.server.now(Fault("users", CutGzip()))
    with pytest.raises((ValueError, httpx.DecodingError)):
        caller.get("users").json()
    caller.server.now(Fault("users", GzipBomb(size=64 * 1024**2)))
    url = f"{caller.server.url}/users"
    with caller.http.stream("GET", url, headers=caller.signed(url)) as bomb:
        raw = unpacked = 0
        for part in bomb.iter_bytes():
            unpacked += len(part)
        raw = bomb.num_bytes_downloaded
    assert unpacked > 64 * 1024**2
    assert raw < unpacked / 500


def test_a_body_may_be_huge(caller: Caller) -> None:
    caller.server.now(Fault("users", HugeBody()))
    url = f"{caller.server.url}/users"
    with caller.http.stream("GET", url, headers=caller.signed(url)) as answer:
        seen = 0
        for part in answer.iter_bytes():
            seen += len(part)
            if seen > 50 * 1024**2:
                break
    assert seen > 50 * 1024**2


def test_token_may_be_revoked_and_scopes_narrower(serving: Serving) -> None:
    server = serving(SMALL, authorization="oauth2")
    server.now(Fault("users", Revoked(), at=2))
    with httpx.Client(trust_env=False, verify=False) as http:
        headers = token(server, "roster-core")
        codes = [http.get(f"{server.url}/users", headers=headers).status_code for _ in range(3)]
        assert codes == [200, 401, 401]
        assert http.get(f"{server.url}/users", headers=token(server, "roster-core")).status_code == 200
        server.now(switches=Switches(granted=frozenset({"roster"})))
        assert http.get(f"{server.url}/users", headers=token(server, "roster-core", "roster")).status_code == 403


def test_answer_may_be_withheld_until_the_test_allows(caller: Caller) -> None:
    caller.server.now(Fault("users", Withheld()))
    got: list[int] = []
    asking = threading.Thread(target=lambda: got.append(caller.get("users").status_code))
    asking.start()
    assert caller.server.reached.wait(5)
    assert not got
    caller.server.release()
    asking.join(5)
    assert got == [200]


def test_an_answer_may_be_slow(caller: Caller) -> None:
    caller.server.now(Fault("users", Slow(30)))
    with pytest.raises(httpx.ReadTimeout):
        caller.http.get(f"{caller.server.url}/users", headers=caller.signed(f"{caller.server.url}/users"), timeout=0.1)


def test_the_roster_may_become_another_between_two_pages(caller: Caller) -> None:
    caller.server.now(Fault("users", Becomes(SMALL.without_users(EVERYBODY[:1])), at=2))
    pages = [caller.ids("users", limit=6), caller.ids("users", limit=6, offset=6)]
    assert [*pages[0], *pages[1]] == [*EVERYBODY[:6], *EVERYBODY[7:]], "one is on no page"


def test_server_ends_at_once_despite_waiting_clients() -> None:
    with RosterServer(bundle(users=4, schools=1, classes=1)) as server:
        server.now(Fault("users", Slow(600)))
        caller = Caller(server)
        got: list[object] = []

        def ask() -> None:
            try:
                got.append(caller.get("users"))
            except httpx.HTTPError as problem:
                got.append(problem)

        asking = threading.Thread(target=ask)
        asking.start()
        while not server.requests:
            time.sleep(0.005)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    asking.join(5)
    assert isinstance(got[0], httpx.HTTPError)
