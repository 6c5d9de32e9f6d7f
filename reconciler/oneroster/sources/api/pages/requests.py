"""Requests the pages of one collection, some of them in advance if the server has proven stable."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace

from reconciler.model.diagnostic import Refusal
from reconciler.oneroster.sources.api.http.answer import ApiClient
from reconciler.oneroster.sources.api.pages.facts import extract_page_facts
from reconciler.oneroster.sources.api.pages.paging import PageFacts, PageRequest, PagingState
from reconciler.oneroster.sources.api.records.collections import Collection
from reconciler.oneroster.sources.api.records.envelope import Frames, read_page

#: Pages of one collection to request at once.
PARALLEL_PAGES = 4
#: Valid pages before any page is requested in advance.
STABLE_PAGES_REQUIRED = 2

SORT = {"sort": "sourcedId", "orderBy": "asc"}


@dataclass(frozen=True, slots=True)
class PageResult:
    page: PageFacts
    frames: Frames


class PageFetcher:
    """Fetches pages, in advance if the server allows it."""

    def __init__(
        self, api_client: ApiClient, collection: Collection, filter: str | None = None, *, prefetch: bool = True
    ) -> None:
        self._asking = api_client
        self._collection = collection
        self._filter = filter
        self.sorted = True
        self._ahead = prefetch
        self._proved = False
        self._coming: dict[PageRequest, Future[PageResult]] = {}

    def get_page(self, request: PageRequest) -> PageResult:
        """Return the page; request a malformed one once more, in case it was damaged in transit. Raises Refusal."""
        coming = self._coming.pop(request, None)
        if coming is not None:
            return coming.result()
        return self._request_with_retry(request)

    def start_prefetch(self, paging: PagingState, latest: PageResult) -> None:
        """Request the pages that `paging` will need if each of them is full."""
        if not self._ahead or not paging.request.overlap or not self._is_server_stable(paging, latest):
            return
        request = paging.request
        wanted = []
        for _ in range(PARALLEL_PAGES):
            if paging.total is None or request.offset >= paging.total:
                break
            wanted.append(request)
            request = replace(request, offset=request.offset + latest.page.rows - 1)
        self._coming = {each: self._coming.get(each) or self._start_request(each) for each in wanted}

    def _is_server_stable(self, paging: PagingState, latest: PageResult) -> bool:
        """Return whether the server gives a total, sorts, honors the limit and sends the first page unchanged again."""
        if self._proved:
            return latest.page.rows == paging.limit
        stable = (
            paging.pages >= STABLE_PAGES_REQUIRED and paging.ascending and paging.is_contiguous and paging.clamp is None
        )
        if not stable or paging.total is None or latest.page.rows != paging.limit:
            return False
        if paging.total - paging.rows < 2 * PARALLEL_PAGES * paging.limit:
            return False
        first = self._request_with_retry(PageRequest(0, paging.limit)).page
        self._proved = self._ahead = first.digest == paging.first_digest and first.total == paging.total
        return self._proved

    def _start_request(self, request: PageRequest) -> Future[PageResult]:
        """Send the request in a daemon thread, so that the end of a fetch waits for no slow server."""
        coming: Future[PageResult] = Future()

        def work() -> None:
            try:
                coming.set_result(self._request_with_retry(request))
            except BaseException as problem:  # noqa: BLE001 - raised where the page is used
                coming.set_exception(problem)

        threading.Thread(target=work, name="page", daemon=True).start()
        return coming

    def _request_with_retry(self, request: PageRequest) -> PageResult:
        try:
            return self._request_page(request)
        except Refusal as refusal:
            if refusal.diagnostics[0].code != "malformed-page":
                raise
        return self._request_page(request)

    def _request_page(self, request: PageRequest) -> PageResult:
        if request.link is not None:
            answer = self._asking.follow_link(request.link)
        else:
            answer = self._asking.get(self._collection.path, self._build_query(request))
        frames = read_page(answer.body, self._collection, answer.address)
        page = extract_page_facts(frames[self._collection.name]["sourcedId"], answer.headers)
        if page.link is not None and page.link.startswith("?"):
            # RFC 8288: relative to the page that has the link.
            page = replace(page, link=answer.address.partition("?")[0] + page.link)
        return PageResult(page, frames)

    def _build_query(self, request: PageRequest) -> Mapping[str, str]:
        query = {"limit": str(request.limit), "offset": str(request.offset)}
        if self.sorted:
            query |= SORT
        if self._filter is not None:
            query["filter"] = self._filter
        return query
