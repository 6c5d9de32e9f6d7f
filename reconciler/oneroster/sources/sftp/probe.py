"""What an SFTP server is and what a fetch would find there, found out without fetching it.

No secret is sent before the server has shown the key that is pinned.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from paramiko import SFTPClient

from reconciler.model.diagnostic import Diagnostic, Refusal, Severity
from reconciler.network.politeness import Hosts
from reconciler.network.reach import Allows
from reconciler.oneroster.sources.interface import Finding
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.connection import compare, handshake, key_of
from reconciler.oneroster.sources.sftp.credentials import SIGNATURES, HostKey, pinned, private_key
from reconciler.oneroster.sources.sftp.find import check_path, looked
from reconciler.oneroster.sources.sftp.messages import shown
from reconciler.oneroster.sources.sftp.session import Deadline, Line
from reconciler.oneroster.sources.sftp.target import Target
from reconciler.oneroster.sources.sftp.wire import blocks, handle_of, opened

#: Bytes by which the speed is measured.
SAMPLE = 1024**2


class Probe:
    """now: seconds since 1970 by our clock."""

    def __init__(
        self,
        account: SftpAccount,
        hosts: Hosts,
        allows: Allows,
        deadline: Deadline,
        now: Callable[[], float],
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._account = account
        self._hosts = hosts
        self._allows = allows
        self._deadline = deadline
        self._now = now
        self._stopwatch = stopwatch

    def findings(self) -> tuple[Finding, ...]:
        """Raises Refusal where not even the server's keys can be asked for."""
        return tuple(self._all())

    def _all(self) -> Iterator[Finding]:
        banner, found = self._keys()
        yield Finding("server", shown(banner), "what the server calls itself")
        for each in found:
            yield Finding(
                "host-key",
                f"host_key: {each.line}",
                f"{each.fingerprint}; compare it with the server's owner before pasting the line",
            )
        if self._account.host_key is None:
            yield Finding(
                "host-key-fits",
                "none is pinned yet",
                "paste one of these lines below rostering: sync:, once the owner has named the same fingerprint",
            )
            return
        try:
            wanted = pinned(self._account.host_key)
            shown_key = next((each for each in found if each.type == wanted.type), found[0])
            compare(self._account, wanted, shown_key)
            yield Finding("host-key-fits", "yes", f"the server shows what is pinned: {wanted}")
            check_path(self._account)
            secret = self._account.private_key
            key = private_key(secret) if secret is not None else None
            with Line(self._account, wanted, key, self._hosts, self._allows, self._deadline) as line:
                line.ask(lambda client: None)
                yield Finding("sign-in", "yes", f"{shown(self._account.username)} was let in")
                target = line.ask(looked(self._account, self._now))
                yield from self._of_target(target)
                yield line.ask(lambda client: self._speed(client, target))
        except Refusal as refusal:
            yield from map(_of, refusal.diagnostics)

    def _keys(self) -> tuple[str, list[HostKey]]:
        """The server's first line, and its key of every type that it has one of."""
        banner = ""
        found = []
        refused: list[Diagnostic] = []
        for signatures in SIGNATURES.values():
            self._deadline.check()
            self._hosts.before_request(self._account.host)
            try:
                transport = handshake(self._account, self._allows, signatures, lambda: self._deadline.left)
            except Refusal as refusal:
                if {each.code for each in refusal.diagnostics} != {"no-common-algorithm"}:
                    raise
                refused = list(refusal.diagnostics)
                continue
            try:
                banner = transport.remote_version
                found.append(key_of(transport))
            finally:
                transport.close()
        if not found:
            raise Refusal(refused)
        return banner, found

    def _of_target(self, target: Target) -> Iterator[Finding]:
        for file in target.files:
            yield Finding("would-take", shown(file.name), f"{file.facts.size:,} bytes, {self._age(file.facts.mtime)}")
        yield Finding("path", shown(target.path), "a folder of CSV files" if target.is_folder else "one file")
        for each in target.diagnostics:
            yield _of(each)

    def _age(self, mtime: int) -> str:
        hours = (self._now() - mtime) / 3600
        if hours < 0:
            return "of the future by our clock"
        return f"{hours:,.1f} hours old" if hours < 48 else f"{hours / 24:,.0f} days old"

    def _speed(self, client: SFTPClient, target: Target) -> Finding:
        file = max(target.files, key=lambda each: each.facts.size)
        with opened(client, file.path) as remote:
            begin = self._stopwatch()
            size = sum(map(len, blocks(client, handle_of(remote), 0, min(SAMPLE, file.facts.size))))
            taken = max(self._stopwatch() - begin, 1e-6)
        return Finding("speed", f"{size / taken / 1024**2:,.1f} MiB/s", f"of the first {size:,} bytes")


def _of(diagnostic: Diagnostic) -> Finding:
    remark = f"{diagnostic.message}; {diagnostic.hint}" if diagnostic.hint else diagnostic.message
    return Finding(diagnostic.code, _word(diagnostic.severity), remark, diagnostic.severity)


def _word(severity: Severity) -> str:
    return "noticed" if severity is Severity.INFO else "no" if severity is Severity.ERROR else "beware"
