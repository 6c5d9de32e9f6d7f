"""Probes an SFTP server: its host keys, and the files that a fetch would find.

No secret is sent before the server has presented the pinned key.
"""

import time
from collections.abc import Callable, Iterator

from paramiko import SFTPClient

from reconciler.model.diagnostic import Diagnostic, Refusal, Severity
from reconciler.network.politeness import HostThrottle
from reconciler.network.reach import HostFilter
from reconciler.oneroster.sources.interface import ProbeFinding
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.connection import check_host_key, get_host_key, open_transport
from reconciler.oneroster.sources.sftp.credentials import SIGNATURES, HostKey, load_private_key, parse_host_key
from reconciler.oneroster.sources.sftp.find import build_find_operation, check_path
from reconciler.oneroster.sources.sftp.messages import sanitize_name
from reconciler.oneroster.sources.sftp.session import Deadline, SftpSession
from reconciler.oneroster.sources.sftp.target import RemoteRoster
from reconciler.oneroster.sources.sftp.wire import get_handle, open_file, read_blocks

#: Bytes to measure the speed with.
SPEED_SAMPLE_BYTES = 1024**2


class SftpProbe:
    """One probe of a server."""

    def __init__(
        self,
        account: SftpAccount,
        hosts: HostThrottle,
        allows: HostFilter,
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

    def collect_findings(self) -> tuple[ProbeFinding, ...]:
        """Return the findings. Raises Refusal if not even the host keys can be read."""
        return tuple(self._iter_findings())

    def _iter_findings(self) -> Iterator[ProbeFinding]:
        banner, found = self._read_host_keys()
        yield ProbeFinding("server", sanitize_name(banner), "the server's own description")
        for each in found:
            yield ProbeFinding(
                "host-key",
                f"host_key: {each.line}",
                f"{each.fingerprint}; compare it with the server's owner before pasting the line",
            )
        if self._account.host_key is None:
            yield ProbeFinding(
                "host-key-fits",
                "none is pinned yet",
                "paste one of these lines below rostering: sync:, after the owner confirmed its fingerprint",
            )
            return
        try:
            wanted = parse_host_key(self._account.host_key)
            shown_key = next((each for each in found if each.type == wanted.type), found[0])
            check_host_key(self._account, wanted, shown_key)
            yield ProbeFinding("host-key-fits", "yes", f"the server presents the pinned key: {wanted}")
            check_path(self._account)
            secret = self._account.private_key
            key = load_private_key(secret) if secret is not None else None
            with SftpSession(self._account, wanted, key, self._hosts, self._allows, self._deadline) as line:
                line.run_operation(lambda client: None)
                yield ProbeFinding("sign-in", "yes", f"{sanitize_name(self._account.username)} can sign in")
                target = line.run_operation(build_find_operation(self._account, self._now))
                yield from self._describe_roster(target)
                yield line.run_operation(lambda client: self._measure_speed(client, target))
        except Refusal as refusal:
            yield from map(_convert_to_finding, refusal.diagnostics)

    def _read_host_keys(self) -> tuple[str, list[HostKey]]:
        """Return the server's first line and its host keys, one of each type."""
        banner = ""
        found = []
        refused: list[Diagnostic] = []
        for signatures in SIGNATURES.values():
            self._deadline.check()
            self._hosts.wait_for_turn(self._account.host)
            try:
                transport = open_transport(self._account, self._allows, signatures, lambda: self._deadline.remaining)
            except Refusal as refusal:
                if {each.code for each in refusal.diagnostics} != {"no-common-algorithm"}:
                    raise
                refused = list(refusal.diagnostics)
                continue
            try:
                banner = transport.remote_version
                found.append(get_host_key(transport))
            finally:
                transport.close()
        if not found:
            raise Refusal(refused)
        return banner, found

    def _describe_roster(self, target: RemoteRoster) -> Iterator[ProbeFinding]:
        for file in target.files:
            yield ProbeFinding(
                "would-take",
                sanitize_name(file.name),
                f"{file.facts.size:,} bytes, {self._format_age(file.facts.mtime)}",
            )
        yield ProbeFinding(
            "path", sanitize_name(target.path), "a folder of CSV files" if target.is_folder else "one file"
        )
        for each in target.diagnostics:
            yield _convert_to_finding(each)

    def _format_age(self, mtime: int) -> str:
        hours = (self._now() - mtime) / 3600
        if hours < 0:
            return "in the future by this machine's clock"
        return f"{hours:,.1f} hours old" if hours < 48 else f"{hours / 24:,.0f} days old"

    def _measure_speed(self, client: SFTPClient, target: RemoteRoster) -> ProbeFinding:
        file = max(target.files, key=lambda each: each.facts.size)
        with open_file(client, file.path) as remote:
            begin = self._stopwatch()
            size = sum(map(len, read_blocks(client, get_handle(remote), 0, min(SPEED_SAMPLE_BYTES, file.facts.size))))
            taken = max(self._stopwatch() - begin, 1e-6)
        return ProbeFinding("speed", f"{size / taken / 1024**2:,.1f} MiB/s", f"of the first {size:,} bytes")


def _convert_to_finding(diagnostic: Diagnostic) -> ProbeFinding:
    remark = f"{diagnostic.message}; {diagnostic.hint}" if diagnostic.hint else diagnostic.message
    return ProbeFinding(diagnostic.code, _describe_severity(diagnostic.severity), remark, diagnostic.severity)


def _describe_severity(severity: Severity) -> str:
    return "noticed" if severity is Severity.INFO else "no" if severity is Severity.ERROR else "beware"
