"""Faults 58 to 74: OneRoster APIs. Each case has its number and ends with all accounts intact."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from tests.support.customers.project import Project
from tests.support.roster_server.authority import SECRET
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
    Status,
    Switches,
    whenever,
)
from tests.support.roster_server.tls import Authority
from tests.support.rosters.bundles import bundle
from tests.support.schools.by_api import DAY_ONE, DAY_TWO, VARIABLE, ApiSchool, api_customer, codes, everybody

pytestmark = pytest.mark.slow

Serving = Callable[..., RosterServer]
SILENT = Switches(total=None, link=None)


def elsewhere(api: ApiSchool, server: RosterServer, **how: Any) -> ApiSchool:
    """Return the same school, fetched from another server."""
    api_customer(api.project, server, **how)
    return ApiSchool(api.project, server, api.time)


def test_58_page_that_fails_once_is_requested_again(api: ApiSchool) -> None:
    faults = [Fault("users", Status(status), at=at) for status, at in ((500, 3), (502, 5), (503, 7))]
    api.comes_through(*faults)
    assert len(api.time.slept) == 3
    assert api.server.offsets("users") == [0, 29, 58, 58, 87, 87, 100, 100]


def test_58_page_that_always_fails_ends_a_resumable_fetch(api: ApiSchool) -> None:
    api.refused("server-error", whenever("enrollments", Status(500), at=4), bundle=DAY_TWO)
    assert api.server.offsets("enrollments")[:4] == [0, 29, 58, 87]
    api.recovers()
    assert api.server.offsets("enrollments")[:2] == [58, 87], "the last page is looked at again, and no earlier one"
    assert api.server.offsets("users") == [87, 100], "its last page, and that nothing is behind it"


def test_58_refused_fetch_is_refused_in_a_plan_too(api: ApiSchool) -> None:
    customer = api.planned(whenever("users", Status(502), at=2))
    assert (customer["outcome"], customer["changes"], customer["source"]) == ("refused", [], None)
    assert codes(customer) == {"server-error"}


def test_59_empty_page_in_the_middle_is_not_the_end(api: ApiSchool) -> None:
    api.comes_through(Fault("users", EmptyPage(), at=3))
    api.refused("incomplete-collection", Fault("users", EmptyPage(), offset=58, times=None))


def test_59_empty_page_without_a_total_is_not_the_end(api: ApiSchool) -> None:
    api.comes_through(Fault("users", EmptyPage(), at=3), switches=SILENT)
    api.refused("unstable-paging", Fault("users", EmptyPage(), offset=58, times=None), switches=SILENT)
    api.refused("unstable-paging", whenever("users", EmptyPage(), at=3), switches=SILENT)
    api.recovers()


@pytest.mark.parametrize("how", [Switches(clamp=13), Switches(clamp=13, total=None, link=None)])
def test_60_short_pages_are_followed_by_rows_received(api: ApiSchool, how: Switches) -> None:
    customer = api.planned(switches=how)
    assert customer["outcome"] == "unchanged"
    assert "page-clamp" in codes(customer)
    api.comes_through(switches=how)


@pytest.mark.parametrize("link", ["absolute", "relative", "cursor"])
def test_60_links_are_taken_as_they_are(api: ApiSchool, link: str) -> None:
    api.comes_through(switches=Switches(clamp=13, link=link, total=None))


def test_61_collection_changing_while_read_is_read_again(api: ApiSchool) -> None:
    first_of_all = DAY_TWO.with_user("a-new")
    api.server.now(Fault("users", Becomes(first_of_all), at=3), bundle=DAY_TWO)
    assert api.apply().code == 0
    assert api.live() == everybody(first_of_all)
    assert api.server.offsets("users").count(0) == 2, "all others have moved down by one"
    api.refused("incomplete-collection", switches=Switches(total_grows=True))


def test_61_wrong_total_never_ends_a_fetch_early(api: ApiSchool) -> None:
    api.comes_through(switches=Switches(total_off_by=-40))
    api.refused("incomplete-collection", switches=Switches(total_off_by=5))


@pytest.mark.parametrize("how", [Switches(), SILENT])
def test_61_row_leaving_between_pages_hides_no_other(api: ApiSchool, how: Switches) -> None:
    """The first of 100 rows disappears and the others move up by one, so a row between two pages would be skipped."""
    gone = DAY_ONE.ids("users")[0]
    customer = api.planned(Fault("users", Becomes(DAY_ONE.without_users([gone])), at=3), switches=how)
    assert [each["key"] for each in customer["changes"] if each["kind"] == "user"] == [gone]


def test_62_unstable_order_is_replaced_by_requested_sorting(api: ApiSchool) -> None:
    api.comes_through(switches=Switches(order="unless-sorted"))
    assert {dict(each.query).get("sort") for each in api.server.asked("users")} == {"sourcedId"}


@pytest.mark.parametrize("how", [Switches(order="shuffled"), Switches(order="shuffled", total=None, link=None)])
def test_62_and_where_it_stays_unstable_nothing_is_compared(api: ApiSchool, how: Switches) -> None:
    api.refused("unstable-paging", switches=how)


@pytest.mark.parametrize("sort", ["ignored", "refused", "after-paging"])
def test_62_server_without_full_sorting_is_still_read(api: ApiSchool, sort: Any) -> None:
    api.comes_through(switches=Switches(sort=sort))


@pytest.mark.parametrize(("overlap", "total"), [(1, "X-Total-Count"), (1, None), (5, "X-Total-Count")])
def test_62_rows_that_come_on_two_pages_hide_none(api: ApiSchool, overlap: int, total: Any) -> None:
    """More rows are received than exist, so the count would be reached too early."""
    api.refused("unstable-paging", switches=Switches(overlap=overlap, total=total), bundle=DAY_TWO)
    api.refused("unstable-paging", switches=Switches(overlap=overlap, total=total, link="cursor"))


@pytest.mark.parametrize("total", ["X-Total-Count", None])
def test_63_the_same_page_for_ever_is_no_roster(api: ApiSchool, total: Any) -> None:
    api.refused("paging-loop", switches=Switches(same_page=True, total=total))
    assert len(api.server.requests) < 50


@pytest.mark.parametrize("total", ["X-Total-Count", None])
@pytest.mark.parametrize("link", ["loop", "endless"])
def test_63_circular_or_endless_links_are_not_followed_forever(api: ApiSchool, link: str, total: Any) -> None:
    api.server.now(switches=Switches(link=link, total=total), bundle=DAY_TWO)
    before = api.live()
    assert api.apply().code in (0, 3)
    assert api.live() in (before, everybody(DAY_TWO))
    assert len(api.server.requests) < 200


@pytest.mark.parametrize("kind", ["seconds", "date", "absent"])
def test_64_busy_server_gets_the_time_it_asks_for(api: ApiSchool, kind: str) -> None:
    header = {"seconds": "240", "date": formatdate(api.time.now() + 240, usegmt=True), "absent": None}[kind]
    api.comes_through(Fault("users", Status(429, header, html=True), at=2))
    longest = max(api.time.slept)
    assert (longest < 10) if kind == "absent" else (239 <= longest <= 242)


def test_64_server_asking_for_a_day_is_tried_later(api: ApiSchool) -> None:
    said = api.refused("asked-to-wait", whenever("users", Status(429, "86400"), at=3), bundle=DAY_TWO)
    assert "UTC" in said
    assert not api.time.slept
    api.recovers()
    assert api.server.offsets("users")[0] == 29, "it goes on from there"


def test_64_server_that_stays_busy_is_left_alone(api: ApiSchool) -> None:
    api.refused("server-busy", whenever("users", Status(429, "5"), at=2))
    assert len(api.server.asked("users")) < 12


def test_65_token_expiring_in_mid_fetch_is_renewed_once(api: ApiSchool, serving: Serving) -> None:
    school = elsewhere(api, serving(DAY_ONE, authorization="oauth2", clock=api.time.now))
    school.comes_through(Fault("users", Revoked(), at=3))
    assert len(school.server.asked("token")) == 2
    assert school.server.offsets("users") == [0, 29, 58, 58, 87, 100]
    school.refused("unauthorized", whenever("users", Status(401), at=3))
    school.recovers()


def test_65_a_token_is_renewed_before_it_ends(api: ApiSchool, serving: Serving) -> None:
    school = elsewhere(api, serving(DAY_ONE, authorization="oauth2", clock=api.time.now))
    school.comes_through(Fault("users", Status(503, "500"), at=2), switches=Switches(token_life=300))
    assert [each.status for each in school.server.requests].count(401) == 0
    assert len(school.server.asked("token")) == 2


def test_65_rejected_signature_ends_the_fetch_at_once(api: ApiSchool) -> None:
    api.refused("unauthorized", whenever("classes", Status(401)))
    assert len(api.server.asked("classes")) == 1


@pytest.mark.parametrize("collection", ["courses", "users", "enrollments"])
def test_65_revoked_permission_is_not_an_empty_collection(api: ApiSchool, collection: str) -> None:
    assert collection in api.refused("forbidden", whenever(collection, Status(403)))


def test_65_a_scope_that_is_too_narrow_is_told(api: ApiSchool, serving: Serving) -> None:
    school = elsewhere(api, serving(DAY_ONE, authorization="oauth2", clock=api.time.now))
    assert "roster-core.readonly" in school.refused("forbidden", switches=Switches(granted=frozenset({"roster"})))


@pytest.mark.parametrize(("collection", "code"), [("users", "not-found"), ("courses", "collection-gone")])
def test_66_vanished_collection_is_not_an_empty_one(api: ApiSchool, collection: str, code: str) -> None:
    api.refused(code, whenever(collection, Status(404)))


@pytest.mark.parametrize("answer", [LoginPage(), LoginPage("application/json"), Body(b"Please sign in.", "text/plain")])
def test_67_a_page_for_people_is_no_answer(api: ApiSchool, answer: Any) -> None:
    api.refused("not-json", whenever("users", answer, at=2))


@pytest.mark.parametrize("answer", [Body(), Body(b" \n"), NoContent()])
def test_67_neither_is_nothing_at_all(api: ApiSchool, answer: Any) -> None:
    api.refused("empty-answer", whenever("enrollments", answer))


def test_68_what_breaks_off_is_asked_for_again(api: ApiSchool) -> None:
    cut = (CutBody(), CutGzip(), Dropped(), Body(b'{"users": [{"sourcedId": "u-1"'))
    api.comes_through(*(Fault("users", answer, at=at) for answer, at in zip(cut, (2, 4, 6, 8), strict=True)))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (CutBody(), "connection-dropped"),
        (CutGzip(), "broken-json"),
        (GzipBomb(), "answer-too-large"),
        (HugeBody(), "answer-too-large"),
    ],
)
def test_68_persistent_or_endless_fault_is_refused(api: ApiSchool, answer: Any, code: str) -> None:
    api.refused(code, whenever("users", answer, at=3))


@pytest.mark.parametrize("envelope", ["singular", "null", "missing", "bare"])
def test_69_answer_without_its_list_is_not_empty(api: ApiSchool, envelope: Any) -> None:
    api.refused("wrong-envelope", switches=Switches(envelope=envelope))


@pytest.mark.parametrize(
    ("table", "code"), [("users", "empty-collection"), ("classes", "emptied-file"), ("enrollments", "emptied-file")]
)
def test_69_a_collection_that_was_emptied_is_no_roster(api: ApiSchool, table: str, code: str) -> None:
    api.refused(code, bundle=DAY_ONE.with_rows(table, []))


def test_70_person_added_between_users_and_enrollments_is_fetched(api: ApiSchool) -> None:
    api.server.now(Fault("enrollments", Becomes(DAY_TWO)), bundle=DAY_ONE)
    assert api.apply().code == 0
    assert api.live() == everybody(DAY_TWO)
    assert [each.status for each in api.server.asked("users/u-new")] == [200]


def test_70_enrollment_of_an_unknown_person_is_quarantined(api: ApiSchool) -> None:
    nobody = {"classSourcedId": "c-01", "schoolSourcedId": "s-2", "userSourcedId": "u-x", "role": "student"}
    customer = api.planned(bundle=DAY_ONE.with_row("enrollments", "e-x", **nobody))
    assert [each.status for each in api.server.asked("users/u-x")] == [404]
    assert customer["counts"]["enrollment"] == customer["counts"]["enrollment"] | {"quarantined": 1, "delete": 0}


def changes_later(api: ApiSchool) -> None:
    """Make the school request only changes since its last full roster."""
    api_customer(api.project, api.server, more="delta: true, ")


NEWS = "2026-09-20T02:00:00.000Z"


@pytest.mark.parametrize("how", ["obeyed", "ignored", "refused"])
def test_71_ignored_or_refused_filter_gives_the_same_plan(api: ApiSchool, how: Any) -> None:
    changes_later(api)
    someone = DAY_ONE.students()[0]
    later = DAY_ONE.with_user(someone, email="new@example.com", dateLastModified=NEWS)
    customer = api.planned(switches=Switches(filter=how), bundle=later)
    assert dict(api.server.asked("orgs")[0].query)["filter"].startswith("dateLastModified>='")
    assert [(each["action"], each["key"]) for each in customer["changes"] if each["kind"] == "user"] == [
        ("update", someone)
    ]
    assert ("whole-after-all" in codes(customer)) == (how == "refused")


@pytest.mark.parametrize("how", ["obeyed", "ignored"])
def test_71_delta_keeps_unnamed_people_and_deletes_marked_ones(api: ApiSchool, how: Any) -> None:
    changes_later(api)
    gone = DAY_ONE.students()[0]
    marked = DAY_ONE.with_user(gone, status="tobedeleted", dateLastModified=NEWS)
    customer = api.planned(switches=Switches(filter=how), bundle=marked)
    assert [(each["action"], each["key"]) for each in customer["changes"] if each["kind"] == "user"] == [
        ("delete", gone)
    ]


@pytest.fixture
def other(serving: Serving) -> RosterServer:
    """Another server, which waits for requests."""
    return serving(DAY_ONE)


def test_72_a_redirect_to_another_host_is_not_followed(api: ApiSchool, other: RosterServer) -> None:
    at_home = api.server.root.replace("127.0.0.1", "localhost")
    for place, why in ((other.root, "to another port"), (at_home, "to another host, localhost")):
        said = api.refused("redirect-refused", whenever("users", Redirect(f"{place}{{path}}")))
        assert why in said
        assert "the redirect was not followed" in said
    assert not other.requests


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("http://10.0.0.1/", 301),
        ("http://169.254.169.254/latest/meta-data", 307),
        ("//[::1]/", 308),
        ("file:///x", 303),
    ],
)
def test_72_neither_is_one_to_an_address_inside(api: ApiSchool, place: str, code: int) -> None:
    api.refused("redirect-refused", whenever("orgs", Redirect(place, code)))


def test_72_nor_does_a_link_lead_away(api: ApiSchool, other: RosterServer) -> None:
    api.refused("link-refused", switches=Switches(link=f"{other.url}/users?limit=30&offset=30", clamp=7))
    assert not other.requests


def test_72_redirect_within_the_host_is_followed_and_resigned(api: ApiSchool) -> None:
    api.comes_through(Fault("users", Redirect("{path}&"), at=2))
    api.refused("redirect-refused", whenever("users", Redirect("{path}")))
    assert len(api.server.asked("users")) < 10


@pytest.mark.parametrize("authorization", ["oauth1", "oauth2"])
def test_72_from_https_to_http_is_no_way(
    api: ApiSchool, serving: Serving, other: RosterServer, authority: Authority, authorization: str
) -> None:
    server = serving(DAY_ONE, authorization=authorization, tls=authority.context("good"), clock=api.time.now)
    school = elsewhere(api, server)
    school.refused("redirect-refused", whenever("users", Redirect(f"{other.root}{{path}}")))
    school.refused("redirect-refused", whenever("users", Redirect(f"{server.root}{{path}}".replace("https", "http"))))
    assert not other.requests


@pytest.fixture
def authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Authority:
    """An authority that this machine trusts."""
    made = Authority()
    monkeypatch.setenv("SSL_CERT_FILE", str(made.believed(tmp_path / "authorities.pem")))
    return made


@pytest.mark.parametrize(
    ("kind", "what"), [("expired", "has expired"), ("wrong-host", "is for another host"), ("unknown-issuer", "issuer")]
)
def test_73_invalid_certificate_is_rejected(
    api: ApiSchool, serving: Serving, authority: Authority, kind: Any, what: str
) -> None:
    school = elsewhere(api, serving(DAY_ONE, tls=authority.context(kind), clock=api.time.now))
    assert what in school.refused("tls-failed")
    assert not school.server.requests


def test_73_one_that_is_in_order_is(api: ApiSchool, serving: Serving, authority: Authority) -> None:
    elsewhere(api, serving(DAY_ONE, tls=authority.context("good"), clock=api.time.now)).comes_through()


def test_73_internal_host_needs_permission(api: ApiSchool, other: RosterServer) -> None:
    api_customer(api.project, other, url=other.url.replace("127.0.0.1", "localhost"))
    assert api.apply().code == 65
    assert not other.requests


@pytest.mark.parametrize("table", ["users", "enrollments"])
def test_74_changes_not_explaining_the_total_are_rejected(api: ApiSchool, table: str) -> None:
    """The server answers 200 without rows to every filter, although somebody has left."""
    changes_later(api)
    gone = DAY_ONE.ids(table)[-1]
    later = DAY_ONE.without_users([gone]) if table == "users" else DAY_ONE.without(table, [gone])
    customer = api.planned(switches=Switches(filter="nothing"), bundle=later)
    assert "whole-after-all" in codes(customer)
    assert gone in {each["key"] for each in customer["changes"] if each["action"] == "delete"}


def test_74_changes_that_explain_it_are_enough(api: ApiSchool) -> None:
    changes_later(api)
    customer = api.planned(switches=Switches(filter="nothing"))
    assert "whole-after-all" not in codes(customer)
    assert {each["kind"] for each in customer["changes"]} == {"customer"}, "whose setting is new"
    assert max(each.rows or 0 for each in api.server.requests) <= 1, "the totals alone were asked for"


def test_58_unsorted_server_resumes_too(api: ApiSchool) -> None:
    how = Switches(sort="refused")
    api.refused("server-error", whenever("enrollments", Status(500), at=5), switches=how, bundle=DAY_TWO)
    api.comes_through(switches=how)
    assert 0 not in api.server.offsets("enrollments")


@pytest.mark.parametrize(("total", "code"), [("X-Total-Count", "incomplete-collection"), (None, "empty-collection")])
def test_120_changes_for_a_key_that_sees_nothing_are_no_quiet_night(api: ApiSchool, total: Any, code: str) -> None:
    changes_later(api)
    nothing = whenever("*", EmptyPage())
    said = api.refused(code, nothing, switches=Switches(total=total, link=None))
    assert "orgs" in said


@pytest.mark.parametrize("how", [Switches(), Switches(total=None), SILENT], ids=["total", "links", "neither"])
def test_121_a_404_behind_the_end_is_an_end(api: ApiSchool, how: Switches) -> None:
    ends = {name: len(DAY_TWO.ids(name)) for name in ("orgs", "users", "classes", "enrollments", "courses")}
    faults = [Fault(name, Status(404), offset=rows, times=None) for name, rows in ends.items()]
    api.comes_through(*faults, switches=how)


@pytest.mark.parametrize("how", [Switches(), Switches(link="cursor"), Switches(link="cursor", total=None), SILENT])
@pytest.mark.parametrize("collection", ["users", "enrollments", "academicSessions"])
def test_122_a_404_in_the_middle_is_no_missing_collection(
    project: Project, serving: Serving, monkeypatch: pytest.MonkeyPatch, collection: str, how: Switches
) -> None:
    """The first fetch of a customer, with two rows a page."""
    monkeypatch.setenv(VARIABLE, SECRET)
    server = serving(bundle(users=8, classes=3).with_sessions_and_courses())
    api_customer(project, server, page_size=2)
    server.now(whenever(collection, Status(404), at=2), switches=how)
    customer = project.plan("springfield").json["customers"][0]
    assert customer["outcome"] == "refused", customer["diagnostics"]
    assert {each["code"] for each in customer["diagnostics"] if each["severity"] == "error"} <= {
        "incomplete-collection",
        "unstable-paging",
    }
