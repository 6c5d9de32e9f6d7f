"""Asks for the pages of one collection, some of them ahead of their turn where the server has proven stable."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.api.answer import Asking
from reconciler.oneroster.sources.api.collections import Collection
from reconciler.oneroster.sources.api.envelope import Frames, read_page
from reconciler.oneroster.sources.api.facts import page_facts
from reconciler.oneroster.sources.api.paging import Page, Paging, Request

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
    case. Close it; what is under way then is waited for."""

    def __init__(
        self, asking: Asking, collection: Collection, filter: str | None = None, *, ahead: bool = True
    ) -> None:
        self._asking = asking
        self._collection = collection
        self._filter = filter
        self.sorted = True
        self._ahead = ahead
        self._pool: ThreadPoolExecutor | None = None
        self._coming: dict[Request, Future[Got]] = {}

    def __enter__(self) -> Pages:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

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
        self._pool = self._pool or ThreadPoolExecutor(AT_ONCE, thread_name_prefix="page")
        request = paging.request
        wanted = []
        for _ in range(AT_ONCE):
            if paging.total is None or request.offset >= paging.total:
                break
            wanted.append(request)
            request = replace(request, offset=request.offset + got.page.rows - 1)
        for each in [each for each in self._coming if each not in wanted]:
            self._coming.pop(each).cancel()
        for each in wanted:
            if each not in self._coming:
                self._coming[each] = self._pool.submit(self._ask, each)

    def _proven(self, paging: Paging, got: Got) -> bool:
        """Total given, ascending and unique, limit honoured, and the first page the same when it is read again."""
        if self._pool is not None:
            return got.page.rows == paging.limit
        stable = paging.pages >= PROVING and paging.ascending and paging.stitched and paging.clamp is None
        if not stable or paging.total is None or got.page.rows != paging.limit:
            return False
        if paging.total - paging.rows < 2 * AT_ONCE * paging.limit:
            return False
        first = self._ask(Request(0, paging.limit)).page
        self._ahead = first.digest == paging.first_digest and first.total == paging.total
        return self._ahead

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
