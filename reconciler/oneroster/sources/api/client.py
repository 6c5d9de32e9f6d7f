"""Sends requests to one OneRoster API: signs, waits, retries, and refuses everything that is no valid response.

A client serves one fetch. Its deadline counts from its creation; at the deadline, every open connection is cut, even
one that requests a token. Several threads may use it at once.
"""

import time
from collections.abc import Callable, Mapping
from copy import copy
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from reconciler.model.diagnostic import Refusal
from reconciler.network.http import TIMEOUTS, create_http_client
from reconciler.network.lines import ConnectionGroup
from reconciler.network.politeness import HostThrottle
from reconciler.network.reach import HostFilter
from reconciler.oneroster.sources.api.account import ApiAccount, SignatureMethod
from reconciler.oneroster.sources.api.auth.oauth1 import OAuth1Signer
from reconciler.oneroster.sources.api.auth.oauth2 import BearerAuth, TokenProvider
from reconciler.oneroster.sources.api.http import retry as retrying
from reconciler.oneroster.sources.api.http.answer import ApiResponse
from reconciler.oneroster.sources.api.http.authorization import Authorization
from reconciler.oneroster.sources.api.http.errors import make_refusal
from reconciler.oneroster.sources.api.http.response import ACCEPT_ENCODING, ResponseReader
from reconciler.oneroster.sources.api.http.retry import Retryable
from reconciler.oneroster.sources.api.http.urls import (
    OutsideBaseError,
    build_url,
    is_single_record,
    redact_url,
    resolve_link,
)

#: Maximum number of redirects per request, all within the API's own host.
MAX_REDIRECTS = 3

#: Sent with every request. no-cache, because a cache on the way may hold last week's roster (RFC 9111, 5.2.1.4).
HEADERS = {"Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING, "Cache-Control": "no-cache"}

#: Network failures that may be gone a little later.
_RETRYABLE_CODES = {"host-unreachable": retrying.LOST, "unknown-host": retrying.LOST}


class HttpApiClient:
    """Implements `answer.ApiClient`.

    http: closed with this client. clock: monotonic seconds. wall: seconds since 1970.
    """

    def __init__(
        self,
        account: ApiAccount,
        http: httpx.Client,
        authorization: Authorization,
        hosts: HostThrottle,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._account = account
        self._base = httpx.URL(account.url)
        self._http = http
        self._authorization = authorization
        self._hosts = hosts
        self._sleep = sleep
        self._clock = clock
        self._wall = wall
        self._deadline = clock() + account.timeout.total_seconds()
        self._closed: Refusal | None = None

    def get(self, path: str, query: Mapping[str, str]) -> ApiResponse:
        return self._send_with_redirects(build_url(self._base, path, query))

    def follow_link(self, link: str) -> ApiResponse:
        try:
            target = resolve_link(self._base, link)
        except OutsideBaseError as problem:
            raise make_refusal("link-refused", self._base.host, why=str(problem)) from problem
        return self._send_with_redirects(target)

    @property
    def missing_scopes(self) -> tuple[str, ...]:
        """Requested scopes that were not granted, by their last segments; known after the first request."""
        return self._authorization.missing_scopes

    def copy_with_signature(self, signature: SignatureMethod) -> Self:
        """Return a client that signs by another method (OAuth 1.0a) over the same connections; it needs no closing."""
        account = self._account
        other = copy(self)
        other._authorization = OAuth1Signer(account.consumer_key, account.secret_key, signature, self._wall)
        other._closed = None
        return other

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()

    def _send_with_redirects(self, url: httpx.URL) -> ApiResponse:
        asked = redact_url(url, self._base)
        for _ in range(MAX_REDIRECTS + 1):
            # Wherever a redirect leads, messages never name a single record.
            found = self._send_with_retries(url, asked if is_single_record(asked) else redact_url(url, self._base))
            if isinstance(found, ApiResponse):
                return found
            url = found
        raise make_refusal("redirect-refused", self._base.host, asked, why=f"more than {MAX_REDIRECTS} times")

    def _send_with_retries(self, url: httpx.URL, path: str) -> ApiResponse | httpx.URL:
        """Return the response, or the target of a redirect."""
        attempts = Retrying(
            retry=retry_if_exception_type(Retryable),
            wait=self._calculate_pause,
            stop=lambda state: self._should_give_up(state, path),
            before_sleep=self._defer_other_requests,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return attempts(self._send_once, url, path)
        except Retryable as last:
            raise last.refusal from last

    def _send_once(self, url: httpx.URL, path: str, has_renewed: bool = False) -> ApiResponse | httpx.URL:
        self._hosts.wait_for_turn(self._base.host)
        if self._closed is not None:
            raise Refusal(self._closed.diagnostics)
        left = self._require_time_left(path)
        request = self._http.build_request(
            "GET",
            url,
            headers=HEADERS,
            timeout=httpx.Timeout(**{name: min(each, left) for name, each in TIMEOUTS.as_dict().items() if each}),
        )
        try:
            response = self._http.send(request, auth=self._authorization, stream=True)
            try:
                reception = ResponseReader(
                    response, self._authorization, path, self._wall, lambda: self._require_time_left(path)
                )
                if (
                    response.status_code != 401
                    or has_renewed
                    or not self._authorization.refresh_credentials(response.request)
                ):
                    return reception.read_outcome()
            finally:
                response.close()
        except (Refusal, httpx.TransportError) as problem:
            if self._is_over:
                raise self._make_timeout_refusal(path) from problem
            again = self._convert_to_retryable(problem, path)
            if again is None:
                raise
            raise again from problem
        return self._send_once(url, path, has_renewed=True)

    def _convert_to_retryable(self, problem: Refusal | httpx.TransportError, path: str) -> Retryable | None:
        """Return the failure as one to retry, or None if a retry cannot help."""
        if isinstance(problem, Refusal):
            passing = _RETRYABLE_CODES.get(problem.diagnostics[0].code)
            return None if passing is None else Retryable(problem, passing)
        if isinstance(problem, httpx.TimeoutException):
            return Retryable(make_refusal("no-answer-in-time", self._base.host, path), retrying.SILENT)
        return Retryable(make_refusal("connection-dropped", self._base.host, path), retrying.LOST)

    @property
    def _is_over(self) -> bool:
        return self._clock() >= self._deadline

    def _require_time_left(self, path: str) -> float:
        """Return the seconds until the deadline. Raises Refusal if it has passed."""
        left = self._deadline - self._clock()
        if left <= 0:
            raise self._make_timeout_refusal(path)
        return left

    def _make_timeout_refusal(self, path: str) -> Refusal:
        self._closed = make_refusal("fetch-too-long", self._base.host, path, why=str(self._account.timeout))
        return self._closed

    def _calculate_pause(self, state: RetryCallState) -> float:
        return retrying.calculate_retry_pause(_get_retryable(state), state.attempt_number)

    def _should_give_up(self, state: RetryCallState, path: str) -> bool:
        again = _get_retryable(state)
        late = self._clock() + state.upcoming_sleep > self._deadline
        if again.wait is not None and (late or again.wait > retrying.MAX_SERVER_WAIT):
            until = datetime.fromtimestamp(self._wall() + again.wait, UTC)
            self._closed = make_refusal(
                "asked-to-wait",
                self._base.host,
                status=again.status,
                server_message=again.said,
                why=f"{until:%Y-%m-%d %H:%M} UTC",
            )
            raise self._closed from again
        if self._is_over:
            raise self._make_timeout_refusal(path) from again
        if state.attempt_number >= again.cause.attempts:
            return True
        if late:
            raise self._make_timeout_refusal(path) from again
        return False

    def _defer_other_requests(self, state: RetryCallState) -> None:
        if _get_retryable(state).cause.affects_all_threads:
            self._hosts.defer_requests(self._base.host, state.upcoming_sleep)


def create_api_client(
    account: ApiAccount,
    hosts: HostThrottle,
    allows: HostFilter,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> HttpApiClient:
    """Return a client for one fetch, which sends nothing yet; close it, or use it in a `with`."""
    lines = ConnectionGroup()
    http = create_http_client(allows, connections=lines, keeps_cookies=True)
    authorization: Authorization
    if account.authorization == "oauth2":
        authorization = BearerAuth(TokenProvider(account, http, hosts, clock), httpx.URL(account.url))
    else:
        authorization = OAuth1Signer(account.consumer_key, account.secret_key, account.signature, wall)
    client = HttpApiClient(account, http, authorization, hosts, sleep=sleep, clock=clock, wall=wall)
    # Started after the client's own deadline, so that a cut connection is always past the deadline by its clock.
    lines.cut_after(account.timeout.total_seconds())
    return client


def _get_retryable(state: RetryCallState) -> Retryable:
    problem = state.outcome.exception() if state.outcome else None
    assert isinstance(problem, Retryable)
    return problem
