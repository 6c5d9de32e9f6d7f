"""A roster from a OneRoster REST API, as `oneroster.sources.interface.Source`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import BinaryIO
from urllib.parse import urlsplit

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, error, info
from reconciler.network.politeness import Hosts
from reconciler.network.reach import Allows
from reconciler.oneroster.sources.api.account import ApiAccount
from reconciler.oneroster.sources.api.checkpoint import Checkpoints, checkpoint, remove_old
from reconciler.oneroster.sources.api.delta import Since, changes_since
from reconciler.oneroster.sources.api.http.answer import Asking
from reconciler.oneroster.sources.api.http.client import client_for
from reconciler.oneroster.sources.api.pages.collect import BAD_REQUEST, Collecting
from reconciler.oneroster.sources.api.pages.gather import Gathering
from reconciler.oneroster.sources.api.probe.probe import probe
from reconciler.oneroster.sources.interface import Ask, Fetched, Finding

#: What servers say to a filter that they do not know.
UNFILTERED = frozenset({BAD_REQUEST, "server-error", "unexpected-status"})

#: Opens what asks the server, for one fetch.
Client = Callable[[], AbstractContextManager[Asking]]


class ApiSource:
    """account: of the server and of us there. client: in place of the one that the account needs."""

    def __init__(
        self,
        account: ApiAccount,
        hosts: Hosts,
        allows: Allows,
        checkpoints: Checkpoints | None = None,
        client: Client | None = None,
    ) -> None:
        self.account = account
        self._hosts = hosts
        self._allows = allows
        self._checkpoints = checkpoints
        self._client = client or self._client_of_account

    @property
    def host(self) -> str:
        return urlsplit(self.account.url).hostname or ""

    def fetch(self, ask: Ask) -> Fetched:
        if self._checkpoints is not None:
            remove_old(self._checkpoints, ask.fetched_at)
        try:
            with self._hosts.fetching(self.host), self._client() as asking:
                stream, notes, begun = self._fetched(asking, ask)
        except OSError as problem:
            raise Refusal([_no_room(problem)]) from problem
        except Refusal as refusal:
            raise Refusal(_placed(each, self._name) for each in refusal.diagnostics) from refusal
        return Fetched(stream, "api", self._name, begun, tuple(dict.fromkeys(notes)))

    def probe(self, ask: Ask) -> tuple[Finding, ...]:
        with self._hosts.fetching(self.host), self._client_of_account() as asking:
            try:
                return probe(self.account, asking)
            except Refusal as refusal:
                raise Refusal(_placed(each, self._name) for each in refusal.diagnostics) from refusal

    def _fetched(self, asking: Asking, ask: Ask) -> tuple[BinaryIO, list[Diagnostic], str]:
        """The third is when the first of what came was asked for: where an earlier fetch is gone on with, before
        now."""
        since = changes_since(self.account, ask)
        why = None
        if since is not None:
            found, notes, begun = self._changes(asking, ask, since)
            if not isinstance(found, str):
                return found, notes, begun
            why = info("whole-after-all", f"the whole is fetched and not only what changed: {found}")
        with checkpoint(self._checkpoints, self._asked(None), ask.fetched_at) as kept:
            how = Collecting(asking, self.account.page_size, kept, progress=ask.progress)
            stream = Gathering(how, self.account.version, ask.earlier).whole()
        return stream, [*([why] if why else []), *how.notes], kept.begun if kept else ask.fetched_at

    def _changes(self, asking: Asking, ask: Ask, since: Since) -> tuple[BinaryIO | str, list[Diagnostic], str]:
        """The bundle of changes, or why the whole has to be fetched."""
        with checkpoint(self._checkpoints, self._asked(since), ask.fetched_at) as kept:
            how = Collecting(asking, self.account.page_size, kept, progress=ask.progress)
            begun = kept.begun if kept else ask.fetched_at
            try:
                return Gathering(how, self.account.version, ask.earlier).changes(since), how.notes, begun
            except Refusal as refusal:
                if refusal.diagnostics[0].code not in UNFILTERED:
                    raise
                return "the server does not answer a filter by dateLastModified", [], begun

    def _asked(self, since: Since | None) -> dict[str, object]:
        """What decides which pages come."""
        account = self.account
        return {
            "url": account.url,
            "version": account.version,
            "authorization": account.authorization,
            "consumer_key": account.consumer_key,
            "scopes": list(account.scopes),
            "page_size": account.page_size,
            "filter": since.filter if since else None,
        }

    @property
    def _name(self) -> str:
        return f"{self.host}{urlsplit(self.account.url).path}"

    def _client_of_account(self) -> AbstractContextManager[Asking]:
        return client_for(self.account, self._hosts, self._allows)


def _placed(diagnostic: Diagnostic, name: str) -> Diagnostic:
    """Of many customers whose rosters lie on one host, which."""
    return replace(diagnostic, span=Span(name)) if diagnostic.span is None else diagnostic


def _no_room(problem: OSError) -> Diagnostic:
    return error(
        "bundle-not-written",
        f"what was fetched cannot be put into a temporary file: {problem.strerror or 'unknown reason'}",
        hint="make room in the folder for temporary files (TMPDIR)",
    )
