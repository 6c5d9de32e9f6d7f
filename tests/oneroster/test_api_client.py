"""How an API is asked: what is tried again, what is waited for, and what is refused."""

from __future__ import annotations

import gzip
import json
import logging
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.api import client as asking
from reconciler.oneroster.sources.api.client import HttpApiClient, create_api_client
from reconciler.oneroster.sources.api.http import response as body
from reconciler.oneroster.sources.api.http import response as reception
from tests.support.servers.scripted_http import (
    BASE,
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

USERS = {"users": [{"sourcedId": "u-1"}]}
BODY = json.dumps(USERS).encode()
GOOD = of_json(USERS)


@contextmanager
def asked_of(
    script: Script, time: Time | None = None, **changes: object
) -> Iterator[tuple[HttpApiClient, Serving, Time]]:
    time = time or Time()
    with (
        serving(script) as server,
        create_api_client(
            account(server.url, **changes), time.hosts(), loopback, sleep=time.sleep, clock=time, wall=time
        ) as client,
    ):
        yield client, server, time


def refusal_of(script: Script, **changes: object) -> tuple[str, str, int]:
    """Code, everything it says, and how often the server was asked."""
    with asked_of(script, **changes) as (client, server, _), pytest.raises(Refusal) as caught:
        client.get("/users", {"limit": "100"})
    (diagnostic,) = caught.value.diagnostics
    assert SECRET not in str(caught.value)
    assert "{" not in str(diagnostic)
    return diagnostic.code, str(diagnostic), len(server.asked)


def test_answer_has_body_headers_and_origin() -> None:
    with asked_of(lambda _: of_json(USERS, X_Total_Count="1")) as (client, server, time):
        answer = client.get("/users", {"limit": "100", "filter": "dateLastModified>'2026-01-01'"})
    assert answer.body == BODY
    assert answer.headers["x-total-count"] == "1"
    assert answer.address == f"{BASE}/users?limit=100&filter=dateLastModified>'2026-01-01'"
    assert server.asked[0].query == {"limit": "100", "filter": "dateLastModified>'2026-01-01'"}
    assert server.asked[0].headers["cache-control"] == "no-cache", "a cache between us is not to answer"
    assert time.slept == []


def test_connections_are_kept() -> None:
    with asked_of(lambda _: GOOD) as (client, server, _):
        for _ in range(3):
            client.get("/users", {})
    assert len({asked.port for asked in server.asked}) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 524])
def test_a_server_that_recovers_is_asked_again(status: int) -> None:
    with asked_of(in_turn(Reply(status), Reply(status), GOOD)) as (client, server, time):
        assert client.get("/users", {}).body == BODY
    assert len(server.asked) == 3
    assert len(time.slept) >= 2
    assert sum(time.slept) >= 1.5


@pytest.mark.parametrize(
    ("status", "code", "attempts"),
    [
        (400, "bad-request", 1),
        (401, "unauthorized", 1),
        (403, "forbidden", 1),
        (404, "not-found", 1),
        (405, "unexpected-status", 1),
        (422, "bad-request", 1),
        (206, "unexpected-status", 1),
        (500, "server-error", 3),
        (502, "server-error", 6),
        (503, "server-busy", 8),
        (429, "server-busy", 8),
    ],
)
def test_every_status_ends_in_its_own_refusal(status: int, code: str, attempts: int) -> None:
    found, text, asked = refusal_of(lambda _: Reply(status, headers={"Content-Type": "application/json"}))
    assert (found, asked) == (code, attempts)
    assert "/users?limit=100" in text
    assert str(status) in text


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
PACKED = gzip.compress(BODY)
CUTS = {
    "length": HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY[:-5],
    "chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY[:-5],
    "last-chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + BODY + b"\r\n",
    "head": HEAD[:30],
    "nothing": b"",
    "gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (len(PACKED) - 6) + PACKED[:-6],
    "no-gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "json": HEAD + b"Content-Length: %d\r\n\r\n" % (len(BODY) - 5) + BODY[:-5],
    "behind-a-bracket": HEAD + b"Content-Length: %d\r\n\r\n" % (len(BODY) - 2) + BODY[:-2],
    "until-closed": HEAD + b"Connection: close\r\n\r\n" + BODY[:-5],
}


@pytest.mark.parametrize("how", CUTS)
def test_a_body_that_is_cut_is_asked_for_again(how: str) -> None:
    with asked_of(in_turn(Reply(raw=CUTS[how]), GOOD)) as (client, server, _):
        assert client.get("/users", {}).body == BODY
    assert len(server.asked) == 2


@pytest.mark.parametrize("how", CUTS)
def test_a_body_that_is_always_cut_is_refused(how: str) -> None:
    code, _, asked = refusal_of(lambda _: Reply(raw=CUTS[how]))
    assert code in ("connection-dropped", "broken-json")
    # Not all attempts arrive: one may be made over a connection that the server has just closed.
    assert asked > 1


@pytest.mark.parametrize(
    ("reply", "code", "word"),
    [
        (
            Reply(body=b"<!DOCTYPE html><title>Log in</title>", headers={"Content-Type": "text/html"}),
            "not-json",
            "HTML",
        ),
        (Reply(body=b"<html>", headers={"Content-Type": "application/json"}), "not-json", "HTML"),
        (Reply(body=b"<users/>", headers={"Content-Type": "text/xml"}), "not-json", "XML"),
        (Reply(body=b"sourcedId,status", headers={"Content-Type": "text/csv"}), "not-json", "text/csv"),
        (Reply(body=b""), "empty-answer", "without content"),
        (Reply(body=b" \n"), "empty-answer", "without content"),
        (Reply(204), "empty-answer", "204"),
        (Reply(body=b"x", headers={"Content-Encoding": "br"}), "unknown-encoding", "br"),
    ],
)
def test_what_is_no_json_is_refused_at_once(reply: Reply, code: str, word: str) -> None:
    found, text, asked = refusal_of(lambda _: reply)
    assert (found, asked) == (code, 1)
    assert word in text


def test_an_empty_body_that_is_packed_is_refused() -> None:
    reply = Reply(body=gzip.compress(b""), headers={"Content-Encoding": "gzip"})
    assert refusal_of(lambda _: reply)[0] == "empty-answer"


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_packed_body_is_unpacked(encoding: str) -> None:
    halves = gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])
    for packed in (gzip.compress(BODY), halves):
        reply = Reply(body=packed, headers={"Content-Encoding": encoding})
        with asked_of(lambda _, reply=reply: reply) as (client, server, _):
            assert client.get("/users", {}).body == BODY
        assert server.asked[0].headers["accept-encoding"] == "gzip"


def test_brackets_in_text_do_not_look_cut_off() -> None:
    body = b'{"users": [{"sourcedId": "u-1", "givenName": "}]{"}]}'
    with asked_of(lambda _: Reply(body=body)) as (client, server, _):
        assert client.get("/users", {}).body == body
    assert len(server.asked) == 1


def test_json_is_recognized_by_body_not_type() -> None:
    reply = Reply(body=b"\xef\xbb\xbf" + BODY, headers={"Content-Type": "text/html"})
    with asked_of(lambda _: reply) as (client, _, _):
        assert client.get("/users", {}).body == BODY


def test_a_gzip_bomb_is_stopped_while_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "MAX_PAGE_BYTES", 1_000_000)
    bomb = gzip.compress(b'{"users": "' + b" " * 5_000_000 + b'"}')
    code, text, asked = refusal_of(lambda _: Reply(body=bomb, headers={"Content-Encoding": "gzip"}))
    assert (code, asked) == ("answer-too-large", 1)
    assert "page_size" in text
    plain = Reply(body=b'{"users": "' + b" " * 1_000_000 + b'"}')
    assert refusal_of(lambda _: plain)[0] == "answer-too-large"


def test_compressed_bomb_is_never_unpacked_beyond_the_bound() -> None:
    bomb = gzip.compress(b" " * 20_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(body.BodyTooLargeError):
            body.unpack_body([bomb], "gzip", 10_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_all_threads_wait_the_seconds_a_server_names() -> None:
    time = Time()
    hosts = time.hosts()
    with serving(in_turn(Reply(429, headers={"Retry-After": "120"}), GOOD)) as server:
        clients = [
            create_api_client(account(server.url), hosts, loopback, sleep=time.sleep, clock=time, wall=time)
            for _ in range(2)
        ]
        start = time.now
        paused: list[float] = []
        pause = hosts.defer_requests
        hosts.defer_requests = lambda host, seconds: (paused.append(seconds), pause(host, seconds))  # type: ignore[method-assign]
        clients[0].get("/users", {})
        assert time.now - start >= 120
        assert len(paused) == 1
        assert 120 <= paused[0] <= 121
        for client in clients:
            client.close()


def test_named_moment_is_counted_by_the_servers_clock() -> None:
    headers = {"Retry-After": "Wed, 15 Nov 2023 01:01:30 GMT", "Date": "Wed, 15 Nov 2023 01:00:00 GMT"}
    with asked_of(in_turn(Reply(503, headers=headers), GOOD)) as (client, _, time):
        client.get("/users", {})
    assert 90 <= sum(time.slept) <= 92


def test_server_naming_an_absurd_time_is_not_retried_before() -> None:
    time = Time()
    with (
        asked_of(lambda _: Reply(429, headers={"Retry-After": "86400"}), time) as (client, server, _),
        pytest.raises(Refusal, match="asked-to-wait") as caught,
    ):
        client.get("/users", {})
    assert "2023-11-15 22:13 UTC" in str(caught.value)
    assert time.slept == []
    assert len(server.asked) == 1
    with pytest.raises(Refusal, match="asked-to-wait"):
        client.get("/users", {})
    assert len(server.asked) == 1


def test_wait_beyond_the_deadline_is_not_begun() -> None:
    code, _, asked = refusal_of(lambda _: Reply(503, headers={"Retry-After": "300"}), timeout=timedelta(minutes=4))
    assert (code, asked) == ("asked-to-wait", 1)


def test_wait_beyond_all_patience_is_not_begun() -> None:
    code, _, asked = refusal_of(lambda _: Reply(503, headers={"Retry-After": "3000"}), timeout=timedelta(hours=2))
    assert (code, asked) == ("asked-to-wait", 1)


def test_unreadable_retry_after_still_waits() -> None:
    with asked_of(in_turn(Reply(429, headers={"Retry-After": "soon"}), GOOD)) as (client, _, time):
        client.get("/users", {})
    assert sum(time.slept) >= 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "9" * 50},
        {"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT", "Date": "Mon, 01 Jan 1900 00:00:00 GMT"},
    ],
)
def test_infinite_wait_is_treated_like_any_other(headers: dict[str, str]) -> None:
    assert refusal_of(lambda _: Reply(429, headers=headers))[0] == "asked-to-wait"


@pytest.mark.parametrize("zone", [f"+{'9' * 20}", "-9999"])
def test_a_moment_that_no_clock_has_is_none(zone: str) -> None:
    moment = f"Fri, 31 Dec 2026 23:59:59 {zone}"
    assert refusal_of(lambda _: Reply(429, headers={"Retry-After": moment, "Date": moment}))[0] == "server-busy"
    assert refusal_of(lambda _: Reply(401, headers={"Date": moment}))[0] == "unauthorized"


def test_a_fetch_ends_at_its_deadline() -> None:
    with asked_of(lambda _: GOOD, timeout=timedelta(minutes=30)) as (client, server, time):
        client.get("/users", {})
        time.now += 1801
        for _ in range(2):
            with pytest.raises(Refusal, match="fetch-too-long"):
                client.get("/users", {})
    assert len(server.asked) == 1
    code, text, _ = refusal_of(lambda _: Reply(502), timeout=timedelta(seconds=2))
    assert code == "fetch-too-long"
    assert "0:00:02" in text


def test_a_body_that_trickles_does_not_outlive_the_deadline() -> None:
    time = Time()

    def late(_: Asked) -> Reply:
        time.now += 3600
        return GOOD

    with asked_of(late, time, timeout=timedelta(minutes=30)) as (client, _, _), pytest.raises(Refusal) as caught:
        client.get("/users", {})
    assert caught.value.diagnostics[0].code == "fetch-too-long"


def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "TIMEOUTS", asking.httpx.Timeout(0.05))
    end = threading.Event()

    def silent(_: Asked) -> Reply:
        end.wait(5)
        return GOOD

    code, _, asked = refusal_of(silent)
    end.set()
    assert (code, asked) == ("no-answer-in-time", 3)


def test_silent_host_is_retried_and_then_refused() -> None:
    time = Time()
    with serving(lambda _: GOOD) as server:
        url = server.url
    with (
        create_api_client(account(url), time.hosts(), loopback, sleep=time.sleep, clock=time, wall=time) as client,
        pytest.raises(Refusal, match="host-unreachable"),
    ):
        client.get("/users", {})
    assert len(time.slept) == 5


def test_server_error_text_is_repeated_in_one_shortened_line() -> None:
    info = {
        "imsx_StatusInfo": {
            "imsx_codeMajor": "failure",
            "imsx_severity": "error",
            "imsx_description": f"no such\n\x1b[31mfield\u202e; your secret is {SECRET} " + "x" * 500,
            "imsx_CodeMinor": {"imsx_codeMinorField": [{"imsx_codeMinorFieldValue": "invalid_filter_field"}]},
        },
        "trace": "Lisa Simpson",
    }
    code, text, _ = refusal_of(lambda _: Reply(400, json.dumps(info).encode()))
    assert code == "bad-request"
    assert "it says “failure, invalid_filter_field: no such [31mfield; your secret is … xxx" in text
    assert "Lisa" not in text
    assert len(text) < 600
    assert "\x1b" not in text
    assert refusal_of(lambda _: Reply(403, b"<html>Lisa"))[1].count("Lisa") == 0


@pytest.mark.parametrize(
    ("to", "word"),
    [
        ("https://elsewhere.example/ims", "another host, elsewhere.example"),
        ("http://10.0.0.7/ims", "another host, 10.0.0.7"),
        ("//elsewhere.example/x", "another host"),
        ("https://127.0.0.1/x", "from http to https"),
        ("http://127.0.0.1:1/x", "another port, 1"),
        ("http://[::1", "an unreadable address"),
        ("javascript:alert(1)", "another host"),
    ],
)
def test_a_redirect_elsewhere_is_refused(to: str, word: str) -> None:
    code, text, asked = refusal_of(lambda _: Reply(302, headers={"Location": to}))
    assert (code, asked) == ("redirect-refused", 1)
    assert word in text


def test_redirect_within_the_host_is_followed_and_resigned() -> None:
    def moved(asked: Asked) -> Reply:
        return GOOD if asked.path == "/users/" else Reply(301, headers={"Location": f"{BASE}/users/?limit=5"})

    with asked_of(moved) as (client, server, _):
        assert client.get("/users", {"limit": "5"}).address == f"{BASE}/users/?limit=5"
    first, second = (asked.headers["authorization"] for asked in server.asked)
    assert first != second


def test_redirects_without_end_are_refused() -> None:
    code, text, asked = refusal_of(lambda _: Reply(307, headers={"Location": f"{BASE}/users?limit=100"}))
    assert (code, asked) == ("redirect-refused", 4)
    assert "more than 3 times" in text


LINKS: list[tuple[str, Callable[[Serving], str]]] = [
    ("absolute", lambda server: f"{server.url}/users?limit=2&offset=2&cursor=a%20b%2Bc"),
    ("path", lambda _: f"{BASE}/users?limit=2&offset=2&cursor=a%20b%2Bc"),
    ("relative", lambda _: "users?limit=2&offset=2&cursor=a%20b%2Bc"),
]


@pytest.mark.parametrize(("_", "link"), LINKS, ids=[name for name, _ in LINKS])
def test_a_link_is_followed(_: str, link: Callable[[Serving], str]) -> None:
    with asked_of(lambda _: GOOD) as (client, server, _time):
        answer = client.follow_link(link(server))
    assert server.asked[0].path == "/users"
    assert server.asked[0].query == {"limit": "2", "offset": "2", "cursor": "a b+c"}
    assert answer.address == f"{BASE}/users?limit=2&offset=2&cursor=…"


def test_a_link_elsewhere_is_refused() -> None:
    with asked_of(lambda _: GOOD) as (client, server, _):
        for link in ("https://elsewhere.example/users", "http://user:pw@10.1.1.1/users", "ftp://127.0.0.1/users"):
            with pytest.raises(Refusal, match="link-refused"):
                client.follow_link(link)
    assert server.asked == []


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with asked_of(in_turn(Reply(503), GOOD)) as (client, server, _):
        client.get("/users", {})
    assert SECRET not in caplog.text
    assert all(SECRET not in asked.target and "oauth_" not in asked.target for asked in server.asked)
