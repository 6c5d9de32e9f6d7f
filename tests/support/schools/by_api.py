"""Applies rosters of a faulty API server to a school and checks the outcome."""

# The outcomes are those of the fault list: a fetch is refused whole and the next good one goes on, or it comes to the
# right roster all the same. Time passes only as far as the program believes: whoever waits is not kept waiting.

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest

from reconciler.config.models.settings import DEFAULT_STORE
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.api import source
from reconciler.oneroster.sources.api.client import create_api_client
from reconciler.operations.fetch import fresh
from tests.support.customers.project import ENVIRONMENT, LIVE, Project, Result
from tests.support.roster_server.authority import CONSUMER_KEY, SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.roster_server.switches import Fault, Switches
from tests.support.rosters.bundles import Bundle, bundle

#: Every collection that matters has several pages.
PAGE = 30
DAY_ONE = bundle(users=100).with_sessions_and_courses()
#: Nobody has left, somebody has come.
DAY_TWO = DAY_ONE.with_user("u-new").with_row(
    "enrollments", "e-new", classSourcedId="c-01", schoolSourcedId="s-2", userSourcedId="u-new", role="student"
)
VARIABLE = "RECONCILER_SECRET__SPRINGFIELD__ONEROSTER"


class PassingTime:
    """Passes when somebody sleeps, and only then. slept: seconds of each time."""

    def __init__(self) -> None:
        self._now = time.time()
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._now += seconds
            self.slept.append(seconds)

    def in_place_of_real(self, monkeypatch: pytest.MonkeyPatch) -> PassingTime:
        """For whatever the program fetches by API."""
        self.slept.clear()
        asked = partial(create_api_client, sleep=self.sleep, clock=self.now, wall=self.now)
        monkeypatch.setattr(source, "create_api_client", asked)
        monkeypatch.setattr(
            fresh, "create_host_throttle", lambda _: HostThrottle(2, None, clock=self.now, sleep=self.sleep)
        )
        return self


@dataclass(frozen=True)
class ApiSchool:
    """A project whose one customer is fetched from `server`, with DAY_ONE applied."""

    project: Project
    server: RosterServer
    time: PassingTime = field(default_factory=PassingTime)

    def live(self) -> frozenset[tuple[str, str]]:
        return frozenset((str(kind), str(key)) for kind, key in self.project.ask(LIVE))

    def plan(self) -> Result:
        return self._told(self.project.plan("springfield"))

    def apply(self) -> Result:
        return self._told(self.project.apply("springfield"))

    def refused(self, code: str, *faults: Fault, switches: Switches | None = None, bundle: Bundle | None = None) -> str:
        """An apply under these faults compares nothing and changes nothing. Gives what it says, hint included. bundle:
        in place of what the server has."""
        before = self.live()
        self.server.now(*faults, switches=switches, bundle=bundle)
        applied = self.apply()
        assert applied.code == 3, applied.err
        assert self.live() == before
        assert "refused; nothing was compared or changed" in applied.out
        said = [line.strip() for line in applied.out.splitlines()]
        at = next((at for at, line in enumerate(said) if line.endswith(f"[{code}]")), None)
        assert at is not None, applied.out
        assert "error: " in said[at]
        assert said[at + 1], "what to do next"
        return f"{said[at]}\n{said[at + 1]}"

    def recovers(self, bundle: Bundle | None = None) -> None:
        """The server is well again, and nobody is missing. bundle: in place of what the server has."""
        before = self.live()
        self.server.now(bundle=bundle)
        assert self.apply().code == 0
        assert before <= self.live() == everybody(self.server.bundle)

    def comes_through(self, *faults: Fault, switches: Switches | None = None) -> None:
        """DAY_TWO is applied, all of it and nothing else, under these faults."""
        self.server.now(*faults, switches=switches, bundle=DAY_TWO)
        applied = self.apply()
        assert applied.code == 0, applied.out
        assert self.live() == everybody(DAY_TWO)

    def planned(
        self, *faults: Fault, switches: Switches | None = None, bundle: Bundle | None = None
    ) -> Mapping[str, Any]:
        """The customer in the plan's JSON, under these faults."""
        self.server.now(*faults, switches=switches, bundle=bundle)
        customer: Mapping[str, Any] = self.plan().json["customers"][0]
        return customer

    def _told(self, result: Result) -> Result:
        """Whatever happened, nothing that is secret is said or asked for in an address."""
        addresses = "".join(f"{each.path} {each.query}" for each in self.server.requests)
        for secret in (SECRET, quote(SECRET, safe=""), "oauth_signature", "Bearer", *self.server.tokens.given):
            assert secret not in result.out + result.err + addresses
        return result


def everybody(made: Bundle) -> frozenset[tuple[str, str]]:
    """What is live when a roster is applied."""
    kinds = {"user": "users", "org": "orgs", "class": "classes", "enrollment": "enrollments"}
    return frozenset((kind, key) for kind, table in kinds.items() for key in made.ids(table))


def codes(customer: Mapping[str, Any]) -> set[str]:
    return {each["code"] for each in customer["diagnostics"]}


def api_customer(
    project: Project, server: RosterServer, *, url: str | None = None, page_size: int = PAGE, more: str = ""
) -> None:
    """The files of a customer that is fetched from this server. more: further keys of sync, each with a comma behind
    it; url: in place of the server's."""
    allowed = 'network: {allow: ["127.0.0.1"]}'
    project.write(
        "reconciler.yaml", f'format: 1\nenvironments: {{{ENVIRONMENT}: {{store: "{DEFAULT_STORE}"}}}}\n{allowed}\n'
    )
    tokens = f'token_url: "{server.token_url}", ' if server.authorization == "oauth2" else ""
    rostering = (
        "rostering:\n  type: oneroster\n  client_partner_id: d-1\n  match_with: identifier\n"
        f'  version: "{server.version}"\n'
        f'  sync: {{type: api, url: "{url or server.url}", authorization: {server.authorization}, {tokens}{more}'
        f"consumer_key: {CONSUMER_KEY}, secret_key: {{secret: oneroster}}, page_size: {page_size}}}\n"
    )
    project.customer(org=None, more=rostering)
