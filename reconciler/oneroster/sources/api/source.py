"""A roster from api, as `oneroster.sources.interface.Source`."""

from __future__ import annotations

from reconciler.model.diagnostic import Refusal, error
from reconciler.network.politeness import Hosts
from reconciler.network.reach import Allows
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.checkpoint import Checkpoints
from reconciler.oneroster.sources.interface import Ask, Fetched, Finding


class ApiSource:
    def __init__(
        self, account: ApiAccount, hosts: Hosts, allows: Allows, checkpoints: Checkpoints | None = None
    ) -> None:
        self.account = account

    @property
    def host(self) -> str:
        raise NotImplementedError

    def fetch(self, ask: Ask) -> Fetched:
        raise Refusal([error("not-there-yet", "fetching by api is not there yet")])

    def probe(self, ask: Ask) -> tuple[Finding, ...]:
        raise Refusal([error("not-there-yet", "fetching by api is not there yet")])
