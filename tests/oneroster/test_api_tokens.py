"""OAuth 2 client credentials: how a token is asked for, how long it is used, what becomes of a refusal."""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import parse_qs, quote_plus

import httpx
import pytest
from pydantic import SecretStr

from reconciler.model.diagnostic import Refusal
from reconciler.network.http import create_http_client
from reconciler.oneroster.sources.api.auth.oauth2 import SCOPES, BearerAuth, TokenProvider
from reconciler.oneroster.sources.api.client import HttpApiClient, create_api_client
from tests.support.servers.scripted_http import (
    KEY,
    SECRET,
    Asked,
    Reply,
    Script,
    Serving,
    Time,
    account,
    in_turn,
    loopback,
    of_json,
    serving,
)

USERS = of_json({"users": []})


def basic(key: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()


#: RFC 6749, 2.3.1: both are encoded first.
BASIC = basic(KEY, quote_plus(SECRET))
PLAIN_BASIC = basic(KEY, SECRET)


def token(value: str = "t0k3n-1", **more: object) -> Reply:
    return of_json({"access_token": value, "token_type": "bearer", "expires_in": 3600} | more)


def denied(error: str, status: int = 400, text: str = "") -> Reply:
    return Reply(status, json.dumps({"error": error, "error_description": text}).encode())


@contextmanager
def asked_of(
    tokens: Script, users: Script = lambda _: USERS, **changes: object
) -> Iterator[tuple[HttpApiClient, Serving, Serving, Time]]:
    """A client, the API, its token endpoint on another port, and the time."""
    time = Time()
    with serving(users) as api, serving(tokens) as endpoint:
        known = account(
            api.url,
            **{"authorization": "oauth2", "token_url": endpoint.origin + "/oauth2/token?appName=roster"} | changes,
        )
        with create_api_client(known, time.hosts(), loopback, sleep=time.sleep, clock=time, wall=time) as client:
            yield client, api, endpoint, time


def refusal_of(tokens: Script, users: Script = lambda _: USERS, **changes: object) -> tuple[str, str, int]:
    """Code, text, and how often the token endpoint was asked, over two requests."""
    with asked_of(tokens, users, **changes) as (client, _, endpoint, _time):
        texts = []
        for _ in range(2):
            with pytest.raises(Refusal) as caught:
                client.get("/users", {})
            texts.append(str(caught.value))
    assert texts[0] == texts[1]
    for secret in (SECRET, BASIC.removeprefix("Basic "), PLAIN_BASIC.removeprefix("Basic "), "t0k3n"):
        assert secret not in texts[0]
    return caught.value.diagnostics[0].code, texts[0], len(endpoint.asked)


def form(asked: Asked) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}


def test_token_is_requested_once_and_sent_every_time() -> None:
    with asked_of(lambda _: token()) as (client, api, endpoint, _):
        for _ in range(3):
            client.get("/users", {"limit": "1"})
    (asked,) = endpoint.asked
    assert (asked.method, asked.target) == ("POST", "/oauth2/token?appName=roster")
    assert asked.headers["authorization"] == BASIC
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert form(asked) == {"grant_type": "client_credentials", "scope": " ".join(SCOPES["1.1"])}
    assert [each.headers["authorization"] for each in api.asked] == ["Bearer t0k3n-1"] * 3
    assert all("t0k3n" not in each.target and SECRET not in each.target for each in (*api.asked, asked))


@pytest.mark.parametrize(
    ("changes", "scopes"),
    [
        (
            {"version": "1.1"},
            "https://purl.imsglobal.org/spec/or/v1p1/scope/roster-core.readonly "
            "https://purl.imsglobal.org/spec/or/v1p1/scope/roster.readonly",
        ),
        (
            {"version": "1.2"},
            "https://purl.imsglobal.org/spec/or/v1p2/scope/roster-core.readonly "
            "https://purl.imsglobal.org/spec/or/v1p2/scope/roster.readonly",
        ),
        ({"version": "1.2", "scopes": ("roster",)}, "roster"),
    ],
)
def test_scopes_follow_the_version_unless_configured(changes: dict[str, object], scopes: str) -> None:
    with asked_of(lambda _: token(), **changes) as (client, _, endpoint, _time):
        client.get("/users", {})
    assert form(endpoint.asked[0])["scope"] == scopes


@pytest.mark.parametrize("refusal", [denied("invalid_client", 401), denied("invalid_client"), Reply(401, b"")])
def test_secret_goes_into_the_body_if_required(refusal: Reply) -> None:
    def in_body(asked: Asked) -> Reply:
        given = form(asked)
        good = given.get("client_id") == KEY and given.get("client_secret") == SECRET
        return token(f"t0k3n-{len(endpoint.asked)}") if good and "authorization" not in asked.headers else refusal

    with asked_of(in_body) as (client, _, endpoint, time):
        client.get("/users", {})
        time.now += 3600
        client.get("/users", {})
    assert [("authorization" in asked.headers) for asked in endpoint.asked] == [True, False, False]


def test_undecoded_header_form_is_tried_last() -> None:
    def undecoded(asked: Asked) -> Reply:
        return token() if asked.headers.get("authorization") == PLAIN_BASIC else denied("invalid_client", 401)

    with asked_of(undecoded) as (client, _, endpoint, _time):
        client.get("/users", {})
    assert len(endpoint.asked) == 3


def test_wrong_plain_secret_is_tried_twice_only() -> None:
    refusal = denied("invalid_client", 401)
    code, _, asked = refusal_of(lambda _: refusal, secret_key=SecretStr("another-secret"))
    assert (code, asked) == ("token-client-refused", 2)


@pytest.mark.parametrize(
    ("lifetime", "seconds", "asked"),
    [
        (3600, 3500, 1),
        (3600, 3541, 2),
        ("3600", 3541, 2),
        (100, 89, 1),
        (100, 91, 2),
        (None, 1_000_000, 1),
        (0, 7000, 1),
        ("soon", 7000, 1),
    ],
)
def test_a_token_is_renewed_before_its_end(lifetime: object, seconds: float, asked: int) -> None:
    with asked_of(lambda _: token(expires_in=lifetime), timeout=timedelta(days=30)) as (client, _, endpoint, time):
        client.get("/users", {})
        time.now += seconds
        client.get("/users", {})
    assert len(endpoint.asked) == asked


def only(*good: str) -> Callable[[Asked], Reply]:
    return lambda asked: USERS if asked.headers["authorization"].removeprefix("Bearer ") in good else Reply(401)


def test_token_rejected_in_mid_fetch_is_renewed_once_and_retried() -> None:
    users = in_turn(USERS, Reply(401), USERS)
    with asked_of(in_turn(token("t0k3n-1"), token("t0k3n-2")), users) as (client, api, endpoint, time):
        client.get("/users", {})
        client.get("/users", {"offset": "1"})
    assert [asked.headers["authorization"][-1] for asked in api.asked] == ["1", "1", "2"]
    assert [asked.query for asked in api.asked] == [{}, {"offset": "1"}, {"offset": "1"}]
    assert len(endpoint.asked) == 2
    assert time.slept == []


def test_second_rejection_of_a_renewed_token_ends_the_fetch() -> None:
    with (
        asked_of(in_turn(token("t0k3n-1"), token("t0k3n-2")), only()) as (client, api, endpoint, _),
        pytest.raises(Refusal, match="unauthorized"),
    ):
        client.get("/users", {})
    assert (len(api.asked), len(endpoint.asked)) == (2, 2)


def test_one_thread_renews_for_all() -> None:
    barrier = threading.Barrier(4, timeout=10)

    def users(asked: Asked) -> Reply:
        if asked.headers["authorization"].endswith("-1"):
            barrier.wait()
            return Reply(401)
        return USERS

    given = [f"t0k3n-{number}" for number in range(1, 9)]
    with asked_of(lambda _: token(given.pop(0)), users) as (client, api, endpoint, _):
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: answers.append(client.get("/users", {}).body), daemon=True)
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert len(answers) == 4
    assert len(endpoint.asked) == 2
    assert len(api.asked) == 8


@pytest.mark.parametrize(
    ("reply", "code", "asked", "word"),
    [
        (denied("invalid_client", 401, "no such key"), "token-client-refused", 3, "invalid_client: no such key"),
        (denied("invalid_scope"), "token-scope-refused", 1, "scope/roster.readonly"),
        (denied("unsupported_grant_type"), "token-grant-refused", 1, "client_credentials"),
        (denied("unauthorized_client"), "token-grant-refused", 1, "client_credentials"),
        (denied("invalid_request"), "token-refused", 1, "invalid_request"),
        (Reply(404, b""), "token-refused", 1, "404"),
        (Reply(404, b"<html>"), "token-not-json", 1, "an HTML page"),
        (Reply(200, b"<!doctype html>"), "token-not-json", 1, "an HTML page"),
        (Reply(200, b"{}"), "token-not-json", 1, "token_url"),
        (Reply(200, b'{"access_token": "a\\r\\nX: b"}'), "token-not-json", 1, "token_url"),
        (Reply(302, headers={"Location": "https://elsewhere.example/"}), "redirect-refused", 2, "token_url has moved"),
        (Reply(200, b" " * 500_000), "token-not-json", 1, "an empty body"),
        (denied("invalid_scope", 400, f"{SECRET} {BASIC}\x1b[1m"), "token-scope-refused", 1, "… Basic …"),
    ],
)
def test_every_token_rejection_has_its_own_diagnosis(reply: Reply, code: str, asked: int, word: str) -> None:
    found, text, times = refusal_of(lambda _: reply)
    assert (found, times) == (code, asked)
    assert word in text
    assert "\x1b" not in text


@pytest.mark.parametrize("reply", [Reply(503), Reply(429), Reply(raw=b"")])
def test_absent_token_endpoint_is_not_asked_again_by_one_request(reply: Reply) -> None:
    with asked_of(lambda _: reply) as (client, api, endpoint, time), pytest.raises(Refusal, match="token-unavailable"):
        client.get("/users", {})
    assert (len(api.asked), len(endpoint.asked), time.slept) == (0, 1, [])


def test_a_narrower_scope_is_named_where_something_is_forbidden() -> None:
    core, _ = SCOPES["1.1"]
    with (
        asked_of(lambda _: token(scope=core), lambda _: Reply(403)) as (client, *_),
        pytest.raises(Refusal) as caught,
    ):
        client.get("/users", {})
    assert caught.value.diagnostics[0].code == "forbidden"
    assert "without the scope roster.readonly" in str(caught.value)
    with asked_of(lambda _: token(), lambda _: Reply(403)) as (client, *_), pytest.raises(Refusal) as caught:
        client.get("/users", {})
    assert "scope" not in str(caught.value)


def test_token_goes_only_to_the_api_host() -> None:
    with asked_of(lambda _: token(), lambda _: Reply(302, headers={"Location": "http://localhost:1/users"})) as (
        client,
        api,
        *_,
    ):
        with pytest.raises(Refusal, match="redirect-refused"):
            client.get("/users", {})
        with pytest.raises(Refusal, match="link-refused"):
            client.follow_link("http://localhost/users")
    assert len(api.asked) == 1
    time = Time()
    with create_http_client(loopback) as http:
        known = account("https://sis.example/ims", authorization="oauth2", token_url="https://sis.example/token")
        bearer = BearerAuth(TokenProvider(known, http, time.hosts()), httpx.URL(known.url))
        for other in ("https://elsewhere.example/", "http://sis.example/", "https://sis.example:444/"):
            with pytest.raises(ValueError, match="own host"):
                next(bearer.auth_flow(httpx.Request("GET", other)))


def test_neither_secret_nor_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"imsx_codeMajor": "failure", "imsx_description": f"token t0k3n-1 of {SECRET} is bad"}
    with (
        asked_of(lambda _: token(), lambda _: Reply(403, json.dumps(echo).encode())) as (client, *_),
        pytest.raises(Refusal) as caught,
    ):
        client.get("/users", {})
    assert "token … of … is bad" in str(caught.value)
    for text in (caplog.text, str(caught.value), repr(client), repr(vars(client))):
        for secret in (SECRET, "t0k3n", BASIC, PLAIN_BASIC):
            assert secret not in text


COOKIE = {"Set-Cookie": "node=b-2; Path=/; HttpOnly"}


def test_123_a_token_that_was_created_is_used() -> None:
    created = Reply(201, json.dumps({"access_token": "t0k3n-1"}).encode())
    with asked_of(lambda _: created) as (client, api, _, _):
        client.get("/users", {})
        client.get("/users", {})
    assert [asked.headers["authorization"] for asked in api.asked] == ["Bearer t0k3n-1"] * 2


def sticky(first: Callable[[Asked], Reply]) -> Script:
    """A load balancer that knows nothing of a session on its other node."""
    return lambda asked: USERS if asked.headers.get("cookie") == "node=b-2" else first(asked)


@pytest.mark.parametrize("by", ["token endpoint", "api"])
def test_198_a_host_gets_the_cookie_back_that_it_set(by: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    created = Reply(200, json.dumps({"access_token": "t0k3n-1"}).encode(), COOKIE if by == "token endpoint" else {})
    users = sticky(lambda _: Reply(503, headers=COOKIE) if by == "api" else Reply(403))
    with asked_of(lambda _: created, users) as (client, api, _, _):
        client.get("/users", {})
        client.get("/users", {})
        assert "b-2" not in repr(client) + repr(vars(client))
    assert api.asked[-1].headers["cookie"] == "node=b-2"
    assert "b-2" not in caplog.text


def test_198_no_other_host_gets_a_cookie() -> None:
    time = Time()
    created = Reply(200, json.dumps({"access_token": "t0k3n-1", "expires_in": 1}).encode(), COOKIE)
    with serving(lambda _: Reply(headers={"Set-Cookie": "page=1"})) as api, serving(lambda _: created) as endpoint:
        url = endpoint.origin.replace("127.0.0.1", "localhost") + "/token"
        known = account(api.url, authorization="oauth2", token_url=url)
        with create_api_client(known, time.hosts(), loopback, sleep=time.sleep, clock=time, wall=time) as client:
            for _ in range(2):
                client.get("/users", {})
                time.sleep(60)
    assert [asked.headers.get("cookie") for asked in api.asked] == [None, "page=1"]
    assert [asked.headers.get("cookie") for asked in endpoint.asked] == [None, "node=b-2"]


def test_198_the_next_fetch_begins_without_cookies() -> None:
    with serving(lambda _: Reply(headers=COOKIE)) as api:
        for _ in range(2):
            time = Time()
            with create_api_client(account(api.url), time.hosts(), loopback, sleep=time.sleep, clock=time) as client:
                client.get("/users", {})
    assert not any("cookie" in asked.headers for asked in api.asked)
