"""The client against the tests' own OneRoster server, which was made from the standard and not from the client."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.client import HttpApiClient, create_api_client
from tests.support.roster_server.authority import CONSUMER_KEY, SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.roster_server.switches import (
    Answer,
    CutBody,
    CutGzip,
    Dropped,
    Fault,
    GzipBomb,
    HugeBody,
    Redirect,
    Revoked,
    Slow,
    Status,
    Switches,
    whenever,
)
from tests.support.roster_server.tls import Authority
from tests.support.rosters.bundles import bundle
from tests.support.servers.scripted_http import Time, loopback

SMALL = bundle(users=12, schools=2, classes=4).with_sessions_and_courses()
Serving = Callable[..., RosterServer]


def account_of(server: RosterServer, **changes: Any) -> ApiAccount:
    account = ApiAccount(
        url=server.url,
        version=server.version,
        authorization=server.authorization,
        consumer_key=CONSUMER_KEY,
        secret_key=SecretStr(SECRET),
        token_url=server.token_url if server.authorization == "oauth2" else None,
    )
    return replace(account, **changes)


def client_of(server: RosterServer, **changes: Any) -> HttpApiClient:
    time = Time()
    return create_api_client(account_of(server, **changes), time.hosts(), loopback, sleep=time.sleep)


def ids(client: HttpApiClient, path: str, **query: str) -> list[str]:
    return [row["sourcedId"] for row in json.loads(client.get(path, query).body)["users"]]


@pytest.mark.parametrize(
    ("server_like", "changes"),
    [
        ({}, {"signature": "hmac-sha1"}),
        ({}, {"signature": "hmac-sha256"}),
        ({"prefix": "/aeries"}, {}),
        ({"authorization": "oauth2"}, {}),
        ({"authorization": "oauth2", "switches": Switches(token_credentials="basic")}, {}),
        ({"authorization": "oauth2", "switches": Switches(token_credentials="body")}, {}),
        ({"authorization": "oauth2", "version": "1.2", "prefix": "/campus/api", "token_query": "appName=roster"}, {}),
        ({"switches": Switches(gzip=True)}, {}),
    ],
)
def test_every_sign_in_method_reads_the_requested_rows(
    serving: Serving, server_like: dict[str, Any], changes: dict[str, Any]
) -> None:
    server = serving(SMALL, **server_like)
    with client_of(server, **changes) as client:
        found = ids(client, "/users", limit="5", offset="5", sort="sourcedId", orderBy="desc", filter="status!=' +&%é'")
    assert found == sorted(SMALL.ids("users"), reverse=True)[5:10]


@pytest.mark.parametrize(
    "answer", [Status(500), Status(502, html=True), Status(429, "3"), Status(503), CutBody(), CutGzip(), Dropped()]
)
def test_what_passes_is_survived(serving: Serving, answer: Answer) -> None:
    server = serving(SMALL, switches=Switches(gzip=True, faults=(Fault("users", answer, times=2),)))
    with client_of(server) as client:
        assert len(ids(client, "/users", limit="100")) == len(SMALL.ids("users"))
    assert len(server.requests) == 3


def test_token_revoked_in_mid_fetch_is_renewed_once(serving: Serving) -> None:
    server = serving(SMALL, authorization="oauth2", switches=Switches(faults=(Fault("users", Revoked(), at=2),)))
    with client_of(server) as client:
        pages = [ids(client, "/users", limit="5", offset=str(offset)) for offset in (0, 5, 10)]
    assert [each for page in pages for each in page] == SMALL.ids("users")
    assert len(server.asked("token")) == 2
    assert server.offsets("users") == [0, 5, 5, 10]


def test_tokens_that_are_always_revoked_end_the_fetch(serving: Serving) -> None:
    server = serving(SMALL, authorization="oauth2", switches=Switches(faults=(whenever("users", Revoked()),)))
    with client_of(server) as client, pytest.raises(Refusal, match="unauthorized"):
        ids(client, "/users")
    assert (len(server.asked("users")), len(server.asked("token"))) == (2, 2)


@pytest.mark.parametrize("answer", [GzipBomb(), HugeBody()])
def test_bombs_and_endless_bodies_do_not_fill_memory(serving: Serving, answer: Answer) -> None:
    server = serving(SMALL, switches=Switches(gzip=True, faults=(whenever("users", answer),)))
    tracemalloc.start()
    try:
        with client_of(server) as client, pytest.raises(Refusal, match="answer-too-large"):
            ids(client, "/users")
        assert tracemalloc.get_traced_memory()[1] < 200 * 2**20
    finally:
        tracemalloc.stop()
    assert len(server.requests) == 1


def test_a_body_that_trickles_does_not_outlive_the_fetch(serving: Serving) -> None:
    """Every byte comes within the time for one."""
    server = serving(SMALL, switches=Switches(faults=(whenever("users", Slow(30, drip=True)),)))
    with client_of(server, timeout=timedelta(seconds=0.5)) as client, pytest.raises(Refusal, match="fetch-too-long"):
        ids(client, "/users")


@pytest.mark.parametrize("to", ["http://localhost:1{path}", "https://127.0.0.1{path}", "http://10.0.0.1{path}"])
def test_redirect_elsewhere_is_refused_without_sending_the_token(serving: Serving, to: str) -> None:
    server = serving(SMALL, authorization="oauth2", switches=Switches(faults=(whenever("users", Redirect(to)),)))
    with client_of(server) as client, pytest.raises(Refusal, match="redirect-refused"):
        ids(client, "/users")
    assert len(server.asked("users")) == 1


def test_what_a_server_says_of_an_error_is_told(serving: Serving) -> None:
    for code_minor in ("object", "text"):
        server = serving(SMALL, switches=Switches(code_minor=code_minor))
        with client_of(server) as client, pytest.raises(Refusal) as caught:
            ids(client, "/users", filter="shoeSize='40'")
        assert caught.value.diagnostics[0].code == "bad-request"
        assert "failure, invalid_filter_field" in str(caught.value)


def test_a_scope_that_was_not_given_is_named(serving: Serving) -> None:
    switches = Switches(granted=frozenset({"roster"}), core_required=True)
    server = serving(SMALL, authorization="oauth2", switches=switches)
    with client_of(server) as client, pytest.raises(Refusal) as caught:
        ids(client, "/users")
    assert caught.value.diagnostics[0].code == "forbidden"
    assert "without the scope roster-core.readonly" in str(caught.value)


@pytest.mark.parametrize("kind", ["good", "expired", "wrong-host", "unknown-issuer"])
def test_server_with_invalid_certificate_learns_nothing(
    serving: Serving, kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.believed(tmp_path / "ca.pem")))
    server = serving(SMALL, authorization="oauth2", tls=authority.context(kind))
    with client_of(server) as client:
        if kind == "good":
            assert ids(client, "/users") == SMALL.ids("users")
            return
        with pytest.raises(Refusal, match="tls-failed"):
            ids(client, "/users")
    assert server.requests == []
