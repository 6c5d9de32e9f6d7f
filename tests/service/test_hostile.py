"""Strangers and accidents: what they send, and what fails under a request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from reconciler import clock
from reconciler.model.ids import SourcedId
from reconciler.service.app import build_app
from reconciler.service.headers import build_policy
from reconciler.service.lti import endpoint
from reconciler.service.site import Site
from reconciler.store.erased_people import make_anonymous_record
from tests.service.conftest import MakeSchool, connect
from tests.service.test_launch import DAY_ONE, PUPIL, ask, change, list_accounts
from tests.support.launches.school import ABSENT, PUBLIC_URL, TIME, Lms


def browse(site: Site) -> TestClient:
    return TestClient(build_app(site), base_url=PUBLIC_URL, follow_redirects=False, raise_server_exceptions=False)


@pytest.mark.parametrize("cookie", ['theme={"a": 1}; ', "a(b)=1; ", "plain text here; ", "path=x; "])
def test_cookies_of_other_applications_sign_nobody_out(school: Site, cookie: str) -> None:
    lms = connect(school)
    lms.arrive()
    pairs = "; ".join(f"{each.name}={each.value}" for each in lms.browser.cookies.jar)
    page = browse(school).get("/library", headers={"Cookie": cookie + pairs})
    assert page.status_code == 200


def test_an_address_with_a_slash_at_its_end_leads_to_no_other_host(school: Site) -> None:
    for path in ("/library/", "/lti/launch/", "/static"):
        answer = browse(school).get(path, headers={"Host": "evil.example"})
        assert answer.status_code == 404
        assert "location" not in answer.headers


def test_a_wrong_method_tells_the_right_one(school: Site) -> None:
    answer = browse(school).get("/lti/launch?x=%ff")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_head_request_does_not_use_up_an_arrival(lms: Lms) -> None:
    location = lms.launch().headers["location"]
    assert lms.browser.head(location).status_code == 405
    assert lms.browser.get(location).status_code == 200


def test_a_frame_shows_the_person_who_arrived_in_it(school: Site) -> None:
    lms = connect(school)
    lms.browser.get(lms.launch().headers["location"], headers={"Sec-Fetch-Dest": "document"})
    other = lms.launch(user_id="u-78", lis_person_name_full="Ada Lovelace")
    lms.browser.get(other.headers["location"], headers={"Sec-Fetch-Dest": "iframe"})
    assert "Ada Lovelace" in lms.browser.get("/library", headers={"Sec-Fetch-Dest": "iframe"}).text
    # The tab of whoever sat there before is closed to the next one.
    assert "Zoë" not in lms.browser.get("/library", headers={"Sec-Fetch-Dest": "document"}).text


def test_a_used_launch_shows_its_page_in_the_frame_of_the_lms(lms: Lms) -> None:
    lms.launch(nonce="once")
    for answer in (lms.launch(nonce="once"), lms.launch(lti_version="LTI-2")):
        assert "frame-ancestors https://lms.example" in answer.headers["content-security-policy"]


def test_many_without_a_name_come_at_once(school: Site) -> None:
    def come(number: int) -> int:
        with clock.freeze_time(TIME):
            return (
                connect(school)
                .arrive(
                    user_id=f"u-{number}",
                    nonce=f"n-{number}",
                    lis_person_name_full=ABSENT,
                    lis_person_contact_email_primary=ABSENT,
                )
                .status_code
            )

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(come, range(40))) == {200}
    assert len(list_accounts(school)) == 40


def test_guests_leave_no_sign_in(school: Site, lms: Lms) -> None:
    lms.arrive(user_id=ABSENT)
    assert ask(school, "SELECT count(*) FROM last_sign_ins") == [(0,)]


def test_an_address_that_is_too_long_is_no_address(school: Site, lms: Lms) -> None:
    lms.arrive(lis_person_contact_email_primary=f"zoe@{'long.' * 60}example")
    assert list_accounts(school)[0][2] is None


def test_an_erased_person_gets_no_account_by_a_launch(make_school: MakeSchool) -> None:
    site = make_school(roster=DAY_ONE)
    number = ask(site, "SELECT id FROM customers")[0][0]
    trace = make_anonymous_record(site.key, number, SourcedId("gone-1"))
    change(site, f"INSERT INTO erased (customer_id, trace, certificate_id) VALUES ({number}, '{trace}', 1)")
    before = list_accounts(site)
    for written in ("gone-1", "\u200bgone-1"):
        page = connect(site).arrive(lis_person_sourcedid=written)
        assert (page.status_code, list_accounts(site)) == (403, before)
        assert "Your account was removed" in page.text


def test_a_deleted_person_does_not_return_under_another_form_of_the_sourced_id(make_school: MakeSchool) -> None:
    site = make_school(roster=DAY_ONE)
    change(
        site,
        "UPDATE accounts SET tombstoned_at = '2026-08-31T00:00:00Z' WHERE id ="
        f" (SELECT account_id FROM identities WHERE subject = '{PUPIL}')",
    )
    before = list_accounts(site)
    assert connect(site).arrive(lis_person_sourcedid=f"\u200b{PUPIL}").status_code == 403
    assert list_accounts(site) == before


def test_a_lesson_on_an_international_host_is_shown(school: Site) -> None:
    change(school, "UPDATE lessons SET document = replace(document, 'lessons.example', 'уроки.example')")
    page = connect(school).arrive()
    assert page.status_code == 200
    host = "уроки.example".encode("idna").decode()
    assert f"frame-src https://{host}" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "url",
    ["https://a;script-src", "https://*", "javascript:alert(1)", "https://[", "https://a:x", f"https://{'a' * 70}é"],
)
def test_no_url_changes_a_policy(url: str) -> None:
    assert build_policy(frame_ancestors=[url], frames=[url]) == build_policy()


def test_pages_below_a_path_find_their_style_sheet(school: Site) -> None:
    below = browse(replace(school, public_url=f"{PUBLIC_URL}/reader"))
    assert 'href="/reader/static/site.css"' in below.get("/library").text
    assert 'href="/static/site.css"' in browse(school).get("/library").text


def test_a_launch_that_never_ends_is_refused(school: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "BODY_SECONDS", 0.05)
    sent: list[Any] = []

    async def wait() -> Any:
        await asyncio.sleep(600)

    async def keep(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/x-www-form-urlencoded"), (b"host", b"read.example")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/lti/launch",
        "raw_path": b"/lti/launch",
        "query_string": b"",
        "headers": headers,
    }
    asyncio.run(build_app(school)(scope, wait, keep))
    assert sent[0]["status"] == 400
    assert (b"connection", b"close") in sent[0]["headers"]


@pytest.mark.parametrize(
    "disturb",
    [
        lambda body: body.replace(b"u-77", b"u%2D78"),
        lambda body: body.replace(b"u-77", b"u%252D77"),
        lambda body: body + b"&user_id=u-78",
        lambda body: body + b"&%75ser_id=u-77",
        lambda body: body + b"&extra=1",
        lambda body: body.replace(b"Learner", b"Learner%00"),
        lambda body: body.replace(b"Learner", b"%c3%28"),
        lambda body: body.replace(b"HMAC-SHA1", b"PLAINTEXT"),
        lambda body: body.replace(b"HMAC-SHA1", b"HMAC-SHA256"),
        lambda body: body.replace(b"HMAC-SHA1", b"hmac-sha1"),
        lambda body: body.replace(b"oauth_signature=", b"oauth_signature=x&oauth_signature="),
    ],
)
def test_a_changed_launch_opens_nothing(
    school: Site, monkeypatch: pytest.MonkeyPatch, disturb: Callable[[bytes], bytes]
) -> None:
    lms = connect(school)
    send = lms.browser.post
    monkeypatch.setattr(
        lms.browser, "post", lambda path, content, headers: send(path, content=disturb(content), headers=headers)
    )
    assert lms.launch().status_code in (400, 401)
    assert list_accounts(school) == []


def test_a_removed_lms_ends_the_sessions_that_it_began(school: Site) -> None:
    lms = connect(school)
    lms.arrive()
    assert lms.browser.get("/library").status_code == 200
    document = json.loads(ask(school, "SELECT document FROM customers")[0][0])
    document["lti"]["platforms"] = {}
    change(school, f"UPDATE customers SET document = '{json.dumps(document)}'")
    assert lms.browser.get("/library").status_code == 401
