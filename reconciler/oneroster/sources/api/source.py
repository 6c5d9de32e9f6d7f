"""Fetches a roster from a OneRoster REST API; implements `oneroster.sources.interface.Source`."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import BinaryIO
from urllib.parse import urlsplit

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_info
from reconciler.model.ids import Moment
from reconciler.network.politeness import HostThrottle
from reconciler.network.reach import HostFilter
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.client import create_api_client
from reconciler.oneroster.sources.api.delta import DeltaWindow, choose_delta_window
from reconciler.oneroster.sources.api.http.answer import ApiClient
from reconciler.oneroster.sources.api.pages.checkpoint import (
    CheckpointSettings,
    open_checkpoint,
    remove_expired_checkpoints,
)
from reconciler.oneroster.sources.api.pages.collect import BAD_REQUEST, NOT_FOUND, CollectionReader
from reconciler.oneroster.sources.api.pages.gather import ApiRosterReader
from reconciler.oneroster.sources.api.probe.probe import probe_api
from reconciler.oneroster.sources.interface import FetchRequest, ProbeFinding, SourceBundle

#: Codes of servers' responses to a filter that they do not support, or that no row fits.
FILTER_REFUSAL_CODES = frozenset({BAD_REQUEST, NOT_FOUND, "server-error", "unexpected-status"})

#: Opens a client for one fetch.
ApiClientFactory = Callable[[], AbstractContextManager[ApiClient]]


class ApiSource:
    """Fetches a roster from a OneRoster REST API."""

    def __init__(
        self,
        account: ApiAccount,
        hosts: HostThrottle,
        allows: HostFilter,
        checkpoints: CheckpointSettings | None = None,
        client: ApiClientFactory | None = None,
    ) -> None:
        self.account = account
        self._hosts = hosts
        self._allows = allows
        self._checkpoints = checkpoints
        self._client = client or self._open_account_client

    @property
    def host(self) -> str:
        return urlsplit(self.account.url).hostname or ""

    def fetch(self, request: FetchRequest) -> SourceBundle:
        if self._checkpoints is not None:
            remove_expired_checkpoints(self._checkpoints, request.fetched_at)
        try:
            with self._hosts.acquire_slot(self.host), self._client() as asking:
                stream, notes, begun = self._fetch_bundle(asking, request)
        except OSError as problem:
            raise Refusal([_make_no_room_error(problem)]) from problem
        except Refusal as refusal:
            raise Refusal(_add_source_span(each, self._name) for each in refusal.diagnostics) from refusal
        return SourceBundle(stream, "api", self._name, begun, tuple(dict.fromkeys(notes)))

    def probe(self, request: FetchRequest) -> tuple[ProbeFinding, ...]:
        with self._hosts.acquire_slot(self.host), self._open_account_client() as asking:
            try:
                return probe_api(self.account, asking)
            except Refusal as refusal:
                raise Refusal(_add_source_span(each, self._name) for each in refusal.diagnostics) from refusal

    def _fetch_bundle(self, api_client: ApiClient, request: FetchRequest) -> tuple[BinaryIO, list[Diagnostic], Moment]:
        """Return the bundle, diagnostics, and the moment of the first request, which is earlier than now if an
        interrupted fetch is resumed."""
        since = choose_delta_window(self.account, request)
        why = None
        if since is not None:
            found, notes, begun = self._fetch_changes(api_client, request, since)
            if not isinstance(found, str):
                return found, notes, begun
            why = build_info("whole-after-all", f"fetching the full roster, not only the changes: {found}")
        with open_checkpoint(self._checkpoints, self._build_query_identity(None), request.fetched_at) as kept:
            how = CollectionReader(api_client, self.account.page_size, kept, progress=request.progress)
            stream = ApiRosterReader(how, self.account.version, request.earlier).read_full_roster()
        return stream, [*([why] if why else []), *how.diagnostics], kept.begun if kept else request.fetched_at

    def _fetch_changes(
        self, api_client: ApiClient, request: FetchRequest, window: DeltaWindow
    ) -> tuple[BinaryIO | str, list[Diagnostic], Moment]:
        """Return the bundle of changes or the reason to fetch the full roster, with diagnostics and start moment."""
        with open_checkpoint(self._checkpoints, self._build_query_identity(window), request.fetched_at) as kept:
            how = CollectionReader(api_client, self.account.page_size, kept, progress=request.progress)
            begun = kept.begun if kept else request.fetched_at
            try:
                return (
                    ApiRosterReader(how, self.account.version, request.earlier).read_changes(window),
                    how.diagnostics,
                    begun,
                )
            except Refusal as refusal:
                if refusal.diagnostics[0].code not in FILTER_REFUSAL_CODES:
                    raise
                return "the server does not support a filter by dateLastModified", [], begun

    def _build_query_identity(self, window: DeltaWindow | None) -> dict[str, object]:
        """Return everything that decides which pages the server sends."""
        account = self.account
        return {
            "url": account.url,
            "version": account.version,
            "authorization": account.authorization,
            "consumer_key": account.consumer_key,
            "scopes": list(account.scopes),
            "page_size": account.page_size,
            "filter": window.filter if window else None,
        }

    @property
    def _name(self) -> str:
        return f"{self.host}{urlsplit(self.account.url).path}"

    def _open_account_client(self) -> AbstractContextManager[ApiClient]:
        return create_api_client(self.account, self._hosts, self._allows)


def _add_source_span(diagnostic: Diagnostic, name: str) -> Diagnostic:
    """Add the source's name as place, because several customers' rosters may be on one host."""
    return replace(diagnostic, span=Span(name)) if diagnostic.span is None else diagnostic


def _make_no_room_error(problem: OSError) -> Diagnostic:
    return build_error(
        "bundle-not-written",
        f"the fetched data cannot be written to a temporary file: {problem.strerror or 'unknown reason'}",
        hint="Free some space in the folder for temporary files (TMPDIR).",
    )
