"""Gets OAuth 2 bearer tokens by client credentials (RFC 6749, 4.4), as OneRoster 1.1 and 1.2 require.

Client ID and secret are sent in the header (HTTP Basic). If a server refuses that, they are sent in the body, and if
they contain characters that headers encode in two ways, in the header's other form. They are never part of a URL. One
thread requests a token while the others wait for it. A failed POST is not retried.
"""

import base64
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote_plus

import httpx

from reconciler.model.diagnostic import Refusal
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.http import errors as status_info
from reconciler.oneroster.sources.api.http import response as body
from reconciler.oneroster.sources.api.http.authorization import Authorization
from reconciler.oneroster.sources.api.http.errors import make_refusal
from reconciler.oneroster.sources.api.http.response import describe_body

#: Scopes of OneRoster by version: some collections require the first one, others the second.
SCOPES = {
    version: tuple(
        f"https://purl.imsglobal.org/spec/or/{path}/scope/{name}"
        for name in ("roster-core.readonly", "roster.readonly")
    )
    for version, path in (("1.1", "v1p1"), ("1.2", "v1p2"))
}

#: A token is renewed this many seconds before it expires, or a tenth of its lifetime before if that is less.
EXPIRY_MARGIN = 60.0
#: Maximum size of a token endpoint's response.
MAX_TOKEN_RESPONSE_BYTES = 256 * 1024

_ERRORS = {
    "invalid_client": "token-client-refused",
    "unauthorized_client": "token-grant-refused",
    "unsupported_grant_type": "token-grant-refused",
    "invalid_scope": "token-scope-refused",
}


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    expires_at: float


@dataclass(frozen=True, slots=True)
class _CredentialPlacement:
    """The place of client id and secret in a token request."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body_fields: Mapping[str, str] = field(default_factory=dict, repr=False)


def _list_credential_placements(account: ApiAccount) -> list[_CredentialPlacement]:
    """Return the placements to try: in the header as in the standard (RFC 6749, 2.3.1: both encoded), in the body, and
    in the header without encoding, as many servers expect, if that differs."""
    key, secret = account.consumer_key, account.secret_key.get_secret_value()
    standard, plain = _build_basic_header(quote_plus(key), quote_plus(secret)), _build_basic_header(key, secret)
    ways = [
        _CredentialPlacement(headers=standard),
        _CredentialPlacement(body_fields={"client_id": key, "client_secret": secret}),
    ]
    return ways if standard == plain else [*ways, _CredentialPlacement(headers=plain)]


def _build_basic_header(key: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()}


class TokenProvider:
    """Fetches access tokens (RFC 6749, 4.4) and renews them before they expire."""

    def __init__(
        self, account: ApiAccount, http: httpx.Client, hosts: HostThrottle, clock: Callable[[], float] = time.monotonic
    ) -> None:
        assert account.token_url is not None
        self._account = account
        self._url = httpx.URL(account.token_url)
        self._http = http
        self._hosts = hosts
        self._clock = clock
        self._scopes = account.scopes or SCOPES[account.version]
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._known: set[str] = set()
        self._refusal: Refusal | None = None
        self._ways = _list_credential_placements(account)
        self._withheld: tuple[str, ...] = ()

    def get_token(self, stale_token: str | None = None) -> str:
        """Return a token that is not known to be invalid, and not `stale_token`, which the server refused.

        Raises Refusal. If the endpoint rejects the client, every thread gets the same Refusal and nothing more is sent.
        """
        with self._lock:
            if self._refusal is not None:
                raise Refusal(self._refusal.diagnostics)
            token = self._token
            if token is None or token.value == stale_token or self._clock() >= token.expires_at:
                token = self._token = self._request_token()
                self._known.add(token.value)
            return token.value

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """Requested scopes that were not granted, by their last segments."""
        return tuple(scope.rpartition("/")[2] for scope in self._withheld)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Texts that no message may repeat."""
        sent = (
            text.removeprefix("Basic ")
            for way in _list_credential_placements(self._account)
            for text in way.headers.values()
        )
        return (*sent, self._account.secret_key.get_secret_value(), *sorted(self._known))

    def _request_token(self) -> _Token:
        try:
            status, headers, content = self._post_token_request()
            while len(self._ways) > 1 and _is_client_refused(status, content):
                del self._ways[0]
                status, headers, content = self._post_token_request()
        except httpx.TransportError as problem:
            why = "no answer in time" if isinstance(problem, httpx.TimeoutException) else "the connection was dropped"
            raise make_refusal("token-unavailable", self._url.host, why=why) from problem
        # RFC 6749 asks for 200; some servers say that they created the token.
        if status in (200, 201):
            return self._parse_token(headers, content)
        raise self._make_token_refusal(status, headers, content)

    def _post_token_request(self) -> tuple[int, httpx.Headers, bytes]:
        way = self._ways[0]
        form = {"grant_type": "client_credentials", "scope": " ".join(self._scopes), **way.body_fields}
        self._hosts.wait_for_turn(self._url.host)
        # The next token is requested much later, when a kept connection would be closed already.
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": body.ACCEPT_ENCODING,
            "Connection": "close",
            **way.headers,
        }
        request = self._http.build_request("POST", self._url, data=form, headers=headers)
        response = self._http.send(request, stream=True)
        try:
            content = body.unpack_body(
                response.iter_raw(), response.headers.get("content-encoding", ""), MAX_TOKEN_RESPONSE_BYTES
            )
        except (body.BodyTooLargeError, body.TruncatedBodyError, body.UnknownEncodingError):
            content = b""
        finally:
            response.close()
        return response.status_code, response.headers, content

    def _parse_token(self, headers: httpx.Headers, content: bytes) -> _Token:
        answer = status_info.parse_json(content)
        value = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable() or " " in value:
            self._refusal = make_refusal(
                "token-not-json",
                self._url.host,
                status=200,
                why=describe_body(headers.get("content-type", ""), content),
            )
            raise self._refusal
        granted = answer.get("scope")
        if isinstance(granted, str) and granted.strip():
            self._withheld = tuple(scope for scope in self._scopes if scope not in granted.split())
        lifetime = _parse_lifetime(answer.get("expires_in"))
        return _Token(value, self._clock() + lifetime - min(EXPIRY_MARGIN, lifetime / 10))

    def _make_token_refusal(self, status: int, headers: httpx.Headers, content: bytes) -> Refusal:
        host = self._url.host
        if status == 429 or status >= 500:
            return make_refusal("token-unavailable", host, why=f"status {status}")
        if 300 <= status < 400:
            return make_refusal("redirect-refused", host, "the token endpoint", why="token_url has moved")
        error, description = status_info.parse_oauth_error(content, self.secrets)
        said = ": ".join(part for part in (error, description) if part)
        code = _ERRORS.get(error) or ("token-client-refused" if status == 401 else "token-refused")
        if not error and status != 401 and content.lstrip()[:1] == b"<":
            code = "token-not-json"
        why = describe_body(headers.get("content-type", ""), content)
        if code == "token-scope-refused":
            why = ", ".join(self._scopes)
        self._refusal = make_refusal(code, host, status=status, server_message=said, why=why)
        return self._refusal


class BearerAuth(Authorization):
    """Adds the token to requests to the API's own host, and to no other."""

    def __init__(self, tokens: TokenProvider, api: httpx.URL) -> None:
        self._tokens = tokens
        self._origin = (api.scheme, api.host, api.port)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if (request.url.scheme, request.url.host, request.url.port) != self._origin:
            raise ValueError("a token is for the API's own host only")
        request.headers["Authorization"] = f"Bearer {self._tokens.get_token()}"
        yield request

    def refresh_credentials(self, request: httpx.Request) -> bool:
        self._tokens.get_token(stale_token=request.headers["Authorization"].removeprefix("Bearer "))
        return True

    def list_secrets(self) -> Iterable[str]:
        return self._tokens.secrets

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        return self._tokens.missing_scopes


def _is_client_refused(status: int, content: bytes) -> bool:
    return status == 401 or (status == 400 and status_info.parse_oauth_error(content)[0] == "invalid_client")


def _parse_lifetime(value: object) -> float:
    """Return `expires_in` in seconds, which some servers write as text; without it, a token is used until refused."""
    try:
        seconds = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("inf")
    return seconds if seconds > 0 else float("inf")
