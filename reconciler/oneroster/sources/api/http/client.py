"""Asks one OneRoster API: signs, waits, tries again, and refuses whatever is no answer.

One client is made for one fetch: its deadline counts from then, and what still hangs in a connection by then, be it
for a token, is cut off. Several threads may ask with it at once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from reconciler.model.diagnostic import Refusal
from reconciler.network.http import TIMEOUTS, http_client
from reconciler.network.lines import Lines
from reconciler.network.politeness import Hosts
from reconciler.network.reach import Allows
from reconciler.oneroster.sources.api.account import ApiAccount, Signature
from reconciler.oneroster.sources.api.auth.base import Authorization
from reconciler.oneroster.sources.api.auth.oauth1 import Signing
from reconciler.oneroster.sources.api.auth.oauth2 import Bearer, Tokens
from reconciler.oneroster.sources.api.http import retry as retrying
from reconciler.oneroster.sources.api.http.answer import Answer
from reconciler.oneroster.sources.api.http.errors import refused
from reconciler.oneroster.sources.api.http.response import ACCEPTED, Reception
from reconciler.oneroster.sources.api.http.retry import Again
from reconciler.oneroster.sources.api.http.urls import ElsewhereError, below, is_single, linked, shown

#: Redirects that are followed for one request, all of them within the API's own host.
REDIRECTS = 3

#: Of each request. A roster is of now: what a cache between us kept may be of last week (RFC 9111, 5.2.1.4).
HEADERS = {"Accept": "application/json", "Accept-Encoding": ACCEPTED, "Cache-Control": "no-cache"}

#: Refusals of the network that may be gone a little later.
_PASSING = {"host-unreachable": retrying.LOST, "unknown-host": retrying.LOST}


class Client:
    """Implements `answer.Asking`. http: closed together with this. clock: seconds that only go forward; wall: seconds
    since 1970; chance: between 0 and 1, spreads the pauses."""

    def __init__(
        self,
        account: ApiAccount,
        http: httpx.Client,
        authorization: Authorization,
        hosts: Hosts,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._account = account
        self._base = httpx.URL(account.url)
        self._http = http
        self._authorization = authorization
        self._hosts = hosts
        self._sleep = sleep
        self._clock = clock
        self._wall = wall
        self._chance = chance
        self._deadline = clock() + account.timeout.total_seconds()
        self._closed: Refusal | None = None

    def get(self, path: str, query: Mapping[str, str]) -> Answer:
        return self._asked(below(self._base, path, query))

    def follow(self, link: str) -> Answer:
        try:
            target = linked(self._base, link)
        except ElsewhereError as problem:
            raise refused("link-refused", self._base.host, why=str(problem)) from problem
        return self._asked(target)

    @property
    def withheld(self) -> tuple[str, ...]:
        """Scopes that were asked for and not granted, by their last words; known once something was asked."""
        return self._authorization.withheld

    def signed_by(self, signature: Signature) -> Client:
        """Asks the same API over the same connections, signed by another method (OAuth 1.0a). It needs no closing."""
        account = self._account
        signing = Signing(account.consumer_key, account.secret_key, signature, self._wall)
        other = Client(
            account,
            self._http,
            signing,
            self._hosts,
            sleep=self._sleep,
            clock=self._clock,
            wall=self._wall,
            chance=self._chance,
        )
        other._deadline = self._deadline
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

    def _asked(self, url: httpx.URL) -> Answer:
        asked = shown(url, self._base)
        for _ in range(REDIRECTS + 1):
            # Wherever a redirect leads to, a single record stays without a name.
            found = self._persistently(url, asked if is_single(asked) else shown(url, self._base))
            if isinstance(found, Answer):
                return found
            url = found
        raise refused("redirect-refused", self._base.host, asked, why=f"more than {REDIRECTS} times")

    def _persistently(self, url: httpx.URL, path: str) -> Answer | httpx.URL:
        """The answer, or where a redirect leads."""
        attempts = Retrying(
            retry=retry_if_exception_type(Again),
            wait=self._pause,
            stop=lambda state: self._gives_up(state, path),
            before_sleep=self._tell_the_others,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return attempts(self._once, url, path)
        except Again as last:
            raise last.refusal from last

    def _once(self, url: httpx.URL, path: str, renewed: bool = False) -> Answer | httpx.URL:
        self._hosts.before_request(self._base.host)
        if self._closed is not None:
            raise Refusal(self._closed.diagnostics)
        left = self._left(path)
        request = self._http.build_request(
            "GET",
            url,
            headers=HEADERS,
            timeout=httpx.Timeout(**{name: min(each, left) for name, each in TIMEOUTS.as_dict().items() if each}),
        )
        try:
            response = self._http.send(request, auth=self._authorization, stream=True)
            try:
                reception = Reception(response, self._authorization, path, self._wall, lambda: self._left(path))
                if response.status_code != 401 or renewed or not self._authorization.renewed(response.request):
                    return reception.outcome()
            finally:
                response.close()
        except (Refusal, httpx.TransportError) as problem:
            if self._is_over:
                raise self._too_long(path) from problem
            again = self._passing(problem, path)
            if again is None:
                raise
            raise again from problem
        return self._once(url, path, renewed=True)

    def _passing(self, problem: Refusal | httpx.TransportError, path: str) -> Again | None:
        """None where another attempt would not go better."""
        if isinstance(problem, Refusal):
            passing = _PASSING.get(problem.diagnostics[0].code)
            return None if passing is None else Again(problem, passing)
        if isinstance(problem, httpx.TimeoutException):
            return Again(refused("no-answer-in-time", self._base.host, path), retrying.SILENT)
        return Again(refused("connection-dropped", self._base.host, path), retrying.LOST)

    @property
    def _is_over(self) -> bool:
        return self._clock() >= self._deadline

    def _left(self, path: str) -> float:
        """Seconds until the deadline. Raises Refusal when there are none."""
        left = self._deadline - self._clock()
        if left <= 0:
            raise self._too_long(path)
        return left

    def _too_long(self, path: str) -> Refusal:
        self._closed = refused("fetch-too-long", self._base.host, path, why=str(self._account.timeout))
        return self._closed

    def _pause(self, state: RetryCallState) -> float:
        return retrying.pause(_again(state), state.attempt_number, self._chance)

    def _gives_up(self, state: RetryCallState, path: str) -> bool:
        again = _again(state)
        late = self._clock() + state.upcoming_sleep > self._deadline
        if again.wait is not None and (late or again.wait > retrying.PATIENCE):
            until = datetime.fromtimestamp(self._wall() + again.wait, UTC)
            self._closed = refused(
                "asked-to-wait",
                self._base.host,
                status=again.status,
                said=again.said,
                why=f"{until:%Y-%m-%d %H:%M} UTC",
            )
            raise self._closed from again
        if self._is_over:
            raise self._too_long(path) from again
        if state.attempt_number >= again.cause.attempts:
            return True
        if late:
            raise self._too_long(path) from again
        return False

    def _tell_the_others(self, state: RetryCallState) -> None:
        if _again(state).cause.everyone:
            self._hosts.pause(self._base.host, state.upcoming_sleep)


def client_for(
    account: ApiAccount,
    hosts: Hosts,
    allows: Allows,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], float] = time.time,
) -> Client:
    """A client for one fetch, as the account says; close it, or use it in a `with`. Nothing is asked yet."""
    lines = Lines()
    http = http_client(allows, lines=lines)
    authorization: Authorization
    if account.authorization == "oauth2":
        authorization = Bearer(Tokens(account, http, hosts, clock), httpx.URL(account.url))
    else:
        authorization = Signing(account.consumer_key, account.secret_key, account.signature, wall)
    client = Client(account, http, authorization, hosts, sleep=sleep, clock=clock, wall=wall)
    # After the client's own deadline has begun: what is cut is always late by its clock.
    lines.cut_after(account.timeout.total_seconds())
    return client


def _again(state: RetryCallState) -> Again:
    problem = state.outcome.exception() if state.outcome else None
    assert isinstance(problem, Again)
    return problem
