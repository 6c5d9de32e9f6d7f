"""A roster from sftp, as `oneroster.sources.interface.Source`."""

from __future__ import annotations

from reconciler.model.diagnostic import Refusal, error
from reconciler.network.politeness import Hosts
from reconciler.network.reach import Allows
from reconciler.oneroster.sources.interface import Ask, Fetched, Finding
from reconciler.oneroster.sources.sftp.account import SftpAccount


class SftpSource:
    def __init__(self, account: SftpAccount, hosts: Hosts, allows: Allows) -> None:
        self.account = account

    @property
    def host(self) -> str:
        raise NotImplementedError

    def fetch(self, ask: Ask) -> Fetched:
        raise Refusal([error("not-there-yet", "fetching by sftp is not there yet")])

    def probe(self, ask: Ask) -> tuple[Finding, ...]:
        raise Refusal([error("not-there-yet", "fetching by sftp is not there yet")])
