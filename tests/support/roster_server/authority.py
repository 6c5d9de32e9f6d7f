"""Checks OAuth 1.0a signatures and OAuth 2 client credentials for the roster server."""

# OAuth 1.0a comes without a token and is checked by oauthlib's server side; OAuth 2 client credentials (RFC 6749
# section 4.4) have scopes. Nothing here comes from a client of ours: a request that is signed or authorized wrongly is
# refused.

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256, RequestValidator, SignatureOnlyEndpoint

from tests.support.roster_server.switches import Switches

#: Characters that go wrong in headers, bodies and keys that are not encoded.
CONSUMER_KEY, SECRET = "reader-springfield", "s3c/r&t+%3D ="
#: Seconds by which a timestamp may be off.
WINDOW = 300
SCOPE = "https://purl.imsglobal.org/spec/or/v{}/scope/{}.readonly"
SCOPES = ("roster-core", "roster", "roster-demographics")


class DeniedError(Exception):
    """status: 401 or 403. challenge: for WWW-Authenticate."""

    def __init__(self, status: int, why: str, challenge: str | None = None) -> None:
        super().__init__(why)
        self.status = status
        self.challenge = challenge


class Signatures:
    """OAuth 1.0a: parameters in the header alone, HMAC over the whole query, no nonce twice."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._validator = _Validator(clock)
        self._endpoint = SignatureOnlyEndpoint(self._validator)

    def check(self, url: str, authorization: str, switches: Switches) -> None:
        if not authorization.startswith("OAuth "):
            raise DeniedError(401, "the request is not signed in its header", 'OAuth realm="oneroster"')
        methods = [SIGNATURE_HMAC_SHA1, *([SIGNATURE_HMAC_SHA256] if switches.sha256 else [])]
        if not any(f'oauth_signature_method="{method}"' in authorization for method in methods):
            raise DeniedError(401, "the signature's method is not known", 'OAuth realm="oneroster"')
        valid, _ = self._endpoint.validate_request(url, "GET", None, {"Authorization": authorization})
        if not valid:
            raise DeniedError(401, "the signature is wrong", 'OAuth realm="oneroster"')


class _Validator(RequestValidator):
    """The window of time is kept here, by the server's own clock."""

    enforce_ssl = False
    allowed_signature_methods = (SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256)
    timestamp_lifetime = 10**9
    dummy_client = "nobody"

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._seen: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def check_client_key(self, client_key: str) -> bool:
        return bool(client_key)

    def check_nonce(self, nonce: str) -> bool:
        return 8 <= len(nonce) <= 64

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == CONSUMER_KEY

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return SECRET if client_key == CONSUMER_KEY else secrets.token_hex(8)

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Any,
        request_token: str | None = None,
        access_token: str | None = None,
    ) -> bool:
        if abs(self._clock() - int(timestamp)) > WINDOW:
            return False
        with self._lock:
            used = (timestamp, nonce) in self._seen
            self._seen.add((timestamp, nonce))
        return not used


@dataclass(frozen=True)
class Token:
    until: float
    scopes: frozenset[str]


class Tokens:
    """OAuth 2: gives tokens out and knows them again."""

    def __init__(self, version: str, clock: Callable[[], float]) -> None:
        self._version = version
        self._clock = clock
        self._lock = threading.Lock()
        self._given: dict[str, Token] = {}
        self._known = {SCOPE.format(version.replace(".", "p"), name): name for name in SCOPES}

    def give(self, headers: Mapping[str, str], body: bytes, switches: Switches) -> tuple[int, dict[str, Any]]:
        """Status and JSON of the token endpoint's answer (RFC 6749 sections 4.4 and 5)."""
        if headers.get("Content-Type", "").split(";")[0] != "application/x-www-form-urlencoded":
            return 400, {"error": "invalid_request"}
        form = dict(parse_qsl(body.decode()))
        if not self._is_client(headers.get("Authorization", ""), form, switches):
            return 401, {"error": "invalid_client"}
        if form.get("grant_type") != "client_credentials":
            return 400, {"error": "unsupported_grant_type"}
        asked = form.get("scope", " ".join(self._known)).split()
        if any(scope not in self._known for scope in asked):
            return 400, {"error": "invalid_scope"}
        granted = frozenset(self._known[scope] for scope in asked)
        if switches.granted is not None:
            granted &= switches.granted
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._given[token] = Token(self._clock() + switches.token_life, granted)
        scope = " ".join(scope for scope, name in self._known.items() if name in granted)
        return 200, {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": switches.token_life,
            "scope": scope,
        }

    def revoke_all(self) -> None:
        with self._lock:
            self._given.clear()

    @property
    def given(self) -> frozenset[str]:
        """What must stand in no file, message or address."""
        with self._lock:
            return frozenset(self._given)

    def check(self, path: str, authorization: str, switches: Switches) -> None:
        """path: below the base address, without the query."""
        scheme, _, token = authorization.partition(" ")
        with self._lock:
            known = self._given.get(token) if scheme.lower() == "bearer" else None
        if known is None or known.until <= self._clock():
            raise DeniedError(401, "the token is not good, or no more", 'Bearer error="invalid_token"')
        if not self._suffices(known.scopes, path, switches):
            raise DeniedError(403, "the token's scope is too narrow", 'Bearer error="insufficient_scope"')

    def _suffices(self, scopes: frozenset[str], path: str, switches: Switches) -> bool:
        if path.startswith("demographics"):
            return "roster-demographics" in scopes
        if path.count("/") >= 2:
            return "roster" in scopes
        core = switches.core_required if switches.core_required is not None else self._version == "1.1"
        return "roster-core" in scopes or (not core and "roster" in scopes)

    def _is_client(self, authorization: str, form: Mapping[str, str], switches: Switches) -> bool:
        """Basic with or without the encoding that RFC 6749 section 2.3.1 asks for: servers take either."""
        wanted = (CONSUMER_KEY, SECRET)
        if authorization.startswith("Basic ") and switches.token_credentials != "body":
            if "client_secret" in form:
                return False
            try:
                name, _, secret = base64.b64decode(authorization[6:], validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                return False
            return wanted in ((name, secret), (unquote_plus(name), unquote_plus(secret)))
        in_body = (form.get("client_id"), form.get("client_secret"))
        return switches.token_credentials != "basic" and not authorization and in_body == wanted
