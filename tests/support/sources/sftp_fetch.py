"""Fetches from the tests' SSH server without waits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from reconciler.config.models.settings import DEFAULT_STORE
from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.interface import FetchProgress, FetchRequest, SourceBundle
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.source import SftpSource
from tests.support.customers.project import ENVIRONMENT, Project
from tests.support.servers import sshd


@dataclass
class Fetching:
    """between: done in place of each wait, with its number from 1. waits: seconds that would have been slept."""

    between: Callable[[int], object] = lambda _: None
    hosts: HostThrottle = field(default_factory=HostThrottle)
    waits: list[float] = field(default_factory=list)
    steps: list[FetchProgress] = field(default_factory=list)
    clock: Callable[[], float] = time.monotonic

    def source(self, account: SftpAccount) -> SftpSource:
        return SftpSource(account, self.hosts, sshd.anywhere, clock=self.clock, sleep=self._sleep)

    def fetch(self, account: SftpAccount, heard: Callable[[FetchProgress], object] | None = None) -> SourceBundle:
        def progress(step: FetchProgress) -> None:
            self.steps.append(step)
            if heard is not None:
                heard(step)

        return self.source(account).fetch(FetchRequest(now(), progress))

    def content(self, account: SftpAccount, heard: Callable[[FetchProgress], object] | None = None) -> bytes:
        """The bytes of the bundle."""
        fetched = self.fetch(account, heard)
        with fetched.stream:
            return fetched.stream.read()

    def refused(self, account: SftpAccount, heard: Callable[[FetchProgress], object] | None = None) -> Diagnostic:
        """The one reason. Every refusal says where, and what to do next."""
        try:
            fetched = self.fetch(account, heard)
        except Refusal as refusal:
            (found,) = refusal.diagnostics
            assert found.is_error
            assert found.hint
            assert found.span is not None
            assert found.span.file.startswith(f"{account.host}:")
            return found
        fetched.stream.close()
        raise AssertionError(f"{fetched.name} was fetched")

    def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.between(len(self.waits))


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


ROSTERING = """\
rostering:
  type: oneroster
  client_partner_id: d-1
  match_with: identifier
  sync:
    type: sftp
    host: {host}
    port: {port}
    username: {username}
    password: {{secret: sftp}}
    path: {path}
    host_key: {host_key}
    {more}
"""
SECRET = "RECONCILER_SECRET__SPRINGFIELD__SFTP"


def synced(project: Project, account: SftpAccount, more: str = "") -> None:
    """Springfield's roster is fetched as the account says; its password is to be set as SECRET."""
    fields = {name: getattr(account, name) for name in ("host", "port", "username", "path", "host_key")}
    settings = f'format: 1\nenvironments: {{{ENVIRONMENT}: {{store: "{DEFAULT_STORE}"}}}}\n'
    project.write("reconciler.yaml", f"{settings}network: {{allow: [{account.host}]}}\n")
    project.customer(org=None, more=ROSTERING.format(**fields, more=more))
