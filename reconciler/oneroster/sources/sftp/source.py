"""A roster from an SFTP server, as `oneroster.sources.interface.Source`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from reconciler.model.diagnostic import Diagnostic, Refusal, Span
from reconciler.network.politeness import Hosts
from reconciler.network.reach import Allows
from reconciler.oneroster.sources.interface import Ask, Fetched, Finding
from reconciler.oneroster.sources.sftp import messages as remarks
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.credentials import pinned, private_key
from reconciler.oneroster.sources.sftp.download import Heard, Write, land, transfer
from reconciler.oneroster.sources.sftp.find import check_path, looked
from reconciler.oneroster.sources.sftp.messages import shown
from reconciler.oneroster.sources.sftp.probe import Probe
from reconciler.oneroster.sources.sftp.session import Deadline, Line
from reconciler.oneroster.sources.sftp.target import Changed, RemoteFile, Target

#: Seconds between two looks at what is about to be read.
BETWEEN_LOOKS = 5.0
#: How often a fetch begins anew because a file changed under it.
MOST_NEW_BEGINNINGS = 2


class SftpSource:
    """between_looks: seconds; None: BETWEEN_LOOKS. clock: seconds that only go forward; sleep: of as many."""

    def __init__(
        self,
        account: SftpAccount,
        hosts: Hosts,
        allows: Allows,
        *,
        between_looks: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.account = account
        self._hosts = hosts
        self._allows = allows
        self._between_looks = BETWEEN_LOOKS if between_looks is None else between_looks
        self._clock = clock
        self._sleep = sleep

    @property
    def host(self) -> str:
        return self.account.host

    def fetch(self, ask: Ask) -> Fetched:
        """Two looks, the bytes, a third look. A file that is not the same in all of them is not read any further."""
        try:
            with self._hosts.fetching(self.host):
                return self._fetched(ask)
        except Refusal as refusal:
            raise Refusal(_placed(each, self._name(self.account.path)) for each in refusal.diagnostics) from refusal

    def probe(self, ask: Ask) -> tuple[Finding, ...]:
        """The server's keys first; our own secret is only sent to one whose key is pinned."""
        with self._hosts.fetching(self.host):
            deadline = Deadline(self.account.timeout, self._clock, self._sleep)
            return Probe(self.account, self._hosts, self._allows, deadline, self._now(ask, deadline)).findings()

    def _fetched(self, ask: Ask) -> Fetched:
        account = self.account
        check_path(account)
        if account.host_key is None:
            raise Refusal([remarks.key_unknown(account)])
        wanted = pinned(account.host_key)
        key = private_key(account.private_key) if account.private_key is not None else None
        deadline = Deadline(account.timeout, self._clock, self._sleep)
        changed = ""
        with Line(account, wanted, key, self._hosts, self._allows, deadline) as line:
            for _ in range(1 + MOST_NEW_BEGINNINGS):
                try:
                    return self._attempt(line, ask)
                except Changed as change:
                    changed = change.name
        raise Refusal([remarks.still_being_uploaded(changed, f"it changed {MOST_NEW_BEGINNINGS + 1} times under us")])

    def _attempt(self, line: Line, ask: Ask) -> Fetched:
        look = looked(self.account, self._now(ask, line.deadline))
        first = line.ask(look)
        line.deadline.wait(self._between_looks)
        target = _same(first, line.ask(look))

        def bring(file: RemoteFile, write: Write) -> None:
            transfer(line, file, write, Heard(ask.progress, file, self._clock))

        stream = land(target, bring)
        try:
            _same(target, line.ask(look))
        except BaseException:
            stream.close()
            raise
        name = self._name(target.path)
        said = tuple(_placed(each, name) for each in target.diagnostics)
        return Fetched(stream, "sftp", name, ask.fetched_at, said)

    def _name(self, path: str) -> str:
        return f"{self.host}:{shown(path)}"

    def _now(self, ask: Ask, deadline: Deadline) -> Callable[[], float]:
        """Seconds since 1970, counted from the moment of the fetch."""
        begin = datetime.fromisoformat(ask.fetched_at).timestamp()
        return lambda: begin + deadline.passed


def _same(before: Target, after: Target) -> Target:
    """The later one. Raises Changed."""
    if not after.is_as(before):
        raise Changed(after.differs_in(before))
    return after


def _placed(diagnostic: Diagnostic, name: str) -> Diagnostic:
    return replace(diagnostic, span=Span(name)) if diagnostic.span is None else diagnostic
