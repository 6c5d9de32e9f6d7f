"""Fetches a roster from an SFTP server; implements `oneroster.sources.interface.Source`."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from reconciler.model.diagnostic import Diagnostic, Refusal, Span
from reconciler.network.politeness import HostThrottle
from reconciler.network.reach import HostFilter
from reconciler.oneroster.sources.interface import FetchRequest, ProbeFinding, SourceBundle
from reconciler.oneroster.sources.sftp import messages as remarks
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.credentials import load_private_key, parse_host_key
from reconciler.oneroster.sources.sftp.download import BlockWriter, DownloadProgress, download_bundle, download_file
from reconciler.oneroster.sources.sftp.find import build_find_operation, check_path
from reconciler.oneroster.sources.sftp.messages import sanitize_name
from reconciler.oneroster.sources.sftp.probe import SftpProbe
from reconciler.oneroster.sources.sftp.session import Deadline, SftpSession
from reconciler.oneroster.sources.sftp.target import FileChangedError, RemoteFile, RemoteRoster

#: Seconds between two listings before the download.
CHECK_INTERVAL = 5.0
#: How often a fetch starts again because a file changed meanwhile.
MAX_RESTARTS = 2


class SftpSource:
    """Fetches a roster from an SFTP server."""

    def __init__(
        self,
        account: SftpAccount,
        hosts: HostThrottle,
        allows: HostFilter,
        *,
        check_interval: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.account = account
        self._hosts = hosts
        self._allows = allows
        self._between_looks = CHECK_INTERVAL if check_interval is None else check_interval
        self._clock = clock
        self._sleep = sleep

    @property
    def host(self) -> str:
        return self.account.host

    def fetch(self, request: FetchRequest) -> SourceBundle:
        """List the files twice, download them, and list them again: a file that changed meanwhile is not used."""
        try:
            with self._hosts.acquire_slot(self.host):
                return self._fetch_bundle(request)
        except Refusal as refusal:
            raise Refusal(
                _add_source_span(each, self._format_source_name(self.account.path)) for each in refusal.diagnostics
            ) from refusal

    def probe(self, request: FetchRequest) -> tuple[ProbeFinding, ...]:
        """Read the server's host keys first; send the secret only to a server with the pinned key."""
        with self._hosts.acquire_slot(self.host):
            deadline = Deadline(self.account.timeout, self._clock, self._sleep)
            return SftpProbe(
                self.account, self._hosts, self._allows, deadline, self._build_clock(request, deadline)
            ).collect_findings()

    def _fetch_bundle(self, request: FetchRequest) -> SourceBundle:
        account = self.account
        check_path(account)
        if account.host_key is None:
            raise Refusal([remarks.make_host_key_unknown_error(account)])
        wanted = parse_host_key(account.host_key)
        key = load_private_key(account.private_key) if account.private_key is not None else None
        deadline = Deadline(account.timeout, self._clock, self._sleep)
        changed = ""
        with SftpSession(account, wanted, key, self._hosts, self._allows, deadline) as line:
            for _ in range(1 + MAX_RESTARTS):
                try:
                    return self._try_fetch(line, request)
                except FileChangedError as change:
                    changed = change.name
        raise Refusal(
            [remarks.make_still_uploading_error(changed, f"it changed during each of {MAX_RESTARTS + 1} reads")]
        )

    def _try_fetch(self, session: SftpSession, request: FetchRequest) -> SourceBundle:
        look = build_find_operation(self.account, self._build_clock(request, session.deadline))
        first = session.run_operation(look)
        session.deadline.wait(self._between_looks)
        target = _require_unchanged(first, session.run_operation(look))

        def bring(file: RemoteFile, write: BlockWriter) -> None:
            download_file(session, file, write, DownloadProgress(request.progress, file, self._clock))

        stream = download_bundle(target, bring)
        try:
            _require_unchanged(target, session.run_operation(look))
        except BaseException:
            stream.close()
            raise
        name = self._format_source_name(target.path)
        said = tuple(_add_source_span(each, name) for each in target.diagnostics)
        return SourceBundle(stream, "sftp", name, request.fetched_at, said)

    def _format_source_name(self, path: str) -> str:
        return f"{self.host}:{sanitize_name(path)}"

    def _build_clock(self, request: FetchRequest, deadline: Deadline) -> Callable[[], float]:
        """Return a clock of seconds since 1970 that starts at the moment of the fetch."""
        begin = datetime.fromisoformat(request.fetched_at).timestamp()
        return lambda: begin + deadline.elapsed


def _require_unchanged(before: RemoteRoster, after: RemoteRoster) -> RemoteRoster:
    """Return the later listing. Raises FileChangedError if they differ."""
    if not after.is_same_as(before):
        raise FileChangedError(after.find_difference(before))
    return after


def _add_source_span(diagnostic: Diagnostic, name: str) -> Diagnostic:
    return replace(diagnostic, span=Span(name)) if diagnostic.span is None else diagnostic
