"""Asks for the pages of one collection, some of them ahead of their turn where the server has proven stable."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.api.http.answer import Asking
from reconciler.oneroster.sources.api.pages.facts import page_facts
from reconciler.oneroster.sources.api.pages.paging import Page, Paging, Request
from reconciler.oneroster.sources.api.records.collections import Collection
from reconciler.oneroster.sources.api.records.envelope import Frames, read_page

#: Pages of one collection that are asked for at once.
AT_ONCE = 4
#: So many pages have to be as they should before any is asked ahead of its turn.
PROVING = 2

SORT = {"sort": "sourcedId", "orderBy": "asc"}


@dataclass(frozen=True, slots=True)
class Got:
    page: Page
    frames: Frames


class Pages:
    """filter: of the query, None for everything. ahead: False where pages are asked for one after the other in any
    case."""

    def __init__(
        self, asking: Asking, collection: Collection, filter: str | None = None, *, ahead: bool = True
    ) -> None:
        self._asking = asking
        self._collection = collection
        self._filter = filter
        self.sorted = True
        self._ahead = ahead
        self._proved = False
        self._coming: dict[Request, Future[Got]] = {}

    def get(self, request: Request) -> Got:
        """Raises Refusal. A page that is no JSON is asked for once more: it may have been damaged on its way."""
        coming = self._coming.pop(request, None)
        if coming is not None:
            return coming.result()
        return self._ask(request)

    def look_ahead(self, paging: Paging, got: Got) -> None:
        """Asks for the pages that `paging` will want if each of them is full. got: the latest page."""
        if not self._ahead or not paging.request.overlap or not self._proven(paging, got):
            return
        request = paging.request
        wanted = []
        for _ in range(AT_ONCE):
            if paging.total is None or request.offset >= paging.total:
                break
            wanted.append(request)
            request = replace(request, offset=request.offset + got.page.rows - 1)
        self._coming = {each: self._coming.get(each) or self._start(each) for each in wanted}

    def _proven(self, paging: Paging, got: Got) -> bool:
        """Total given, ascending and unique, limit honoured, and the first page the same when it is read again."""
        if self._proved:
            return got.page.rows == paging.limit
        stable = paging.pages >= PROVING and paging.ascending and paging.stitched and paging.clamp is None
        if not stable or paging.total is None or got.page.rows != paging.limit:
            return False
        if paging.total - paging.rows < 2 * AT_ONCE * paging.limit:
            return False
        first = self._ask(Request(0, paging.limit)).page
        self._proved = self._ahead = first.digest == paging.first_digest and first.total == paging.total
        return self._proved

    def _start(self, request: Request) -> Future[Got]:
        """In a thread that nobody waits for who leaves: a server may take its time."""
        coming: Future[Got] = Future()

        def work() -> None:
            try:
                coming.set_result(self._ask(request))
            except BaseException as problem:  # noqa: BLE001 - whoever wants the page is told
                coming.set_exception(problem)

        threading.Thread(target=work, name="page", daemon=True).start()
        return coming

    def _ask(self, request: Request) -> Got:
        try:
            return self._asked(request)
        except Refusal as refusal:
            if refusal.diagnostics[0].code != "malformed-page":
                raise
        return self._asked(request)

    def _asked(self, request: Request) -> Got:
        if request.link is not None:
            answer = self._asking.follow(request.link)
        else:
            answer = self._asking.get(self._collection.path, self._query(request))
        frames = read_page(answer.body, self._collection, answer.address)
        page = page_facts(frames[self._collection.name]["sourcedId"], answer.headers)
        if page.link is not None and page.link.startswith("?"):
            # RFC 8288: relative to the page it came with.
            page = replace(page, link=answer.address.partition("?")[0] + page.link)
        return Got(page, frames)

    def _query(self, request: Request) -> Mapping[str, str]:
        query = {"limit": str(request.limit), "offset": str(request.offset)}
        if self.sorted:
            query |= SORT
        if self._filter is not None:
            query["filter"] = self._filter
        return query
