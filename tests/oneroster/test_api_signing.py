"""OAuth 1.0a signatures, checked by a reading of RFC 5849 of the test's own, and by oauthlib's server side."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import re
from collections.abc import Mapping
from email.utils import formatdate
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx
import pytest
from oauthlib import oauth1
from pydantic import SecretStr

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.api.account import SignatureMethod
from reconciler.oneroster.sources.api.auth.oauth1 import OAuth1Signer
from reconciler.oneroster.sources.api.client import create_api_client
from tests.support.servers.scripted_http import (
    BASE,
    KEY,
    SECRET,
    Asked,
    Reply,
    Time,
    account,
    loopback,
    of_json,
    serving,
)

METHODS: list[SignatureMethod] = ["hmac-sha1", "hmac-sha256"]
NOW = 1_700_000_000.0


def escaped(text: str) -> str:
    """RFC 5849, 3.6."""
    return quote(text, safe="-._~")


def signature(url: str, oauth: Mapping[str, str], client_secret: str, token_secret: str = "") -> str:
    """RFC 5849, 3.4: of a GET without a body."""
    parts = urlsplit(url)
    pairs = [*parse_qsl(parts.query, keep_blank_values=True), *oauth.items()]
    pairs = sorted((escaped(name), escaped(value)) for name, value in pairs if name != "oauth_signature")
    port = f":{parts.port}" if parts.port not in (None, 80, 443) else ""
    address = f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
    base = "&".join(escaped(part) for part in ("GET", address, "&".join(f"{a}={b}" for a, b in pairs)))
    key = f"{escaped(client_secret)}&{escaped(token_secret)}"
    kind = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}[oauth["oauth_signature_method"]]
    return base64.b64encode(hmac.new(key.encode(), base.encode(), kind).digest()).decode()


def of_header(header: str) -> dict[str, str]:
    assert header.startswith("OAuth ")
    return {unquote(name): unquote(value) for name, value in re.findall(r'([^\s,="]+)="([^"]*)"', header)}


def signed(url: str, method: SignatureMethod = "hmac-sha1", secret: str = SECRET) -> dict[str, str]:
    request = httpx.Request("GET", url)
    next(OAuth1Signer(KEY, SecretStr(secret), method, lambda: NOW).auth_flow(request))
    assert str(request.url) == url
    return of_header(request.headers["Authorization"])


def test_signature_matches_the_standards_example() -> None:
    """RFC 5849, 1.2: the resource that is asked for with a token."""
    oauth = {
        "oauth_consumer_key": "dpf43f3p2l4k3l03",
        "oauth_token": "nnch734d00sl2jdk",
        "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "137131202",
        "oauth_nonce": "chapoH",
    }
    url = "http://photos.example.net/photos?file=vacation.jpg&size=original"
    assert signature(url, oauth, "kd94hf93k423kf44", "pfkkdhi9sl3r4s00") == "MdpQcU8iPSUjWoN/UDMsK2sui9I="


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "query",
    [
        "",
        "?limit=100&offset=200&sort=sourcedId&orderBy=asc",
        "?filter=dateLastModified%3E%272026-01-01T00%3A00%3A00.000Z%27%20AND%20status%3D%27active%27",
        "?a=2&a=1&b=&c=%20%2B%25%26%3D%C3%A9~",
    ],
)
def test_all_parameters_of_the_query_are_signed(method: SignatureMethod, query: str) -> None:
    url = f"https://sis.example:8443/aeries{BASE}/users{query}"
    oauth = signed(url, method)
    assert oauth["oauth_signature"] == signature(url, oauth, SECRET)
    assert oauth["oauth_signature"] != signature(url, oauth, "another")
    assert oauth["oauth_signature_method"] == method.upper()
    assert oauth["oauth_timestamp"] == str(int(NOW))
    assert "oauth_body_hash" not in oauth
    assert "oauth_token" not in oauth


def test_every_attempt_has_a_nonce_of_its_own() -> None:
    assert len({signed("https://sis.example/users")["oauth_nonce"] for _ in range(50)}) == 50


class Validator(oauth1.RequestValidator):
    """As a server has it. Nonces are good once."""

    enforce_ssl = False
    allowed_signature_methods = ("HMAC-SHA1", "HMAC-SHA256")

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    @property
    def client_key_length(self) -> tuple[int, int]:
        return 3, 60

    @property
    def nonce_length(self) -> tuple[int, int]:
        return 8, 60

    @property
    def dummy_client(self) -> str:
        return "dummy"

    @property
    def dummy_access_token(self) -> str:
        return "dummy"

    def check_client_key(self, client_key: str) -> bool:
        return client_key == KEY

    def validate_client_key(self, client_key: str, request: object) -> bool:
        return client_key == KEY

    def get_client_secret(self, client_key: str, request: object) -> str:
        return SECRET

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: object,
        request_token: object = None,
        access_token: object = None,
    ) -> bool:
        new = nonce not in self.seen
        self.seen.add(nonce)
        return new


@pytest.mark.parametrize("method", METHODS)
def test_server_checking_signatures_accepts_every_attempt(method: SignatureMethod) -> None:
    endpoint = oauth1.SignatureOnlyEndpoint(Validator())
    time = Time()
    statuses: list[int] = []

    def checked(asked: Asked) -> Reply:
        uri = f"http://{asked.headers['host']}{asked.target}"
        good, _ = endpoint.validate_request(uri, "GET", None, {"Authorization": asked.headers["authorization"]})
        statuses.append((503 if len(statuses) == 0 else 200) if good else 401)
        return of_json({"users": []}) if statuses[-1] == 200 else Reply(statuses[-1])

    with (
        serving(checked) as server,
        create_api_client(account(server.url, signature=method), time.hosts(), loopback, sleep=time.sleep) as client,
    ):
        client.get("/users", {"filter": "givenName~'é +&=%'", "limit": "3"})
        client.follow_link(f"{BASE}/users?limit=3&offset=3&next=a%2Bb c'd")
    assert statuses == [503, 200, 200]


def refused_by(reply: Reply, method: SignatureMethod) -> str:
    time = Time(NOW)
    with (
        serving(lambda _: reply) as server,
        create_api_client(account(server.url, signature=method), time.hosts(), loopback, wall=time) as client,
        pytest.raises(Refusal) as caught,
    ):
        client.get("/users", {})
    assert len(server.asked) == 1
    return str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_rejected_signature_is_not_retried_and_suggests_another_method(method: SignatureMethod) -> None:
    other = next(each for each in METHODS if each != method)
    assert f"signature: {other}" in refused_by(Reply(401, headers={"Date": formatdate(NOW + 299)}), method)
    assert f"signature: {other}" in refused_by(Reply(401, headers={"Date": "today"}), method)


def test_clocks_that_are_apart_are_named() -> None:
    ahead = refused_by(Reply(401, headers={"Date": formatdate(NOW + 660)}), "hmac-sha1")
    assert "Its clock is 11 minutes ahead of this machine's" in ahead
    assert "Its clock is 60 minutes behind this machine's" in refused_by(
        Reply(401, headers={"Date": formatdate(NOW - 3600)}), "hmac-sha1"
    )


def test_the_secret_is_neither_sent_nor_logged_nor_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    request = httpx.Request("GET", f"https://sis.example{BASE}/users")
    signing = OAuth1Signer(KEY, SecretStr(SECRET), "hmac-sha1")
    next(signing.auth_flow(request))
    for text in (caplog.text, repr(signing), repr(vars(signing)), str(request.headers.raw), str(request.url)):
        assert SECRET not in text
        assert quote(SECRET, safe="") not in text
