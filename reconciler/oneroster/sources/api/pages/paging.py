"""Pages through one collection as a state machine without I/O: from facts of pages to the next request or the end.

OneRoster's paging has no snapshot (REST 1.1 section 3.4.1): rows can move between two requests. So a collection counts
as complete only if that is proven. The machine advances by rows received, never by rows requested, and a page shorter
than its limit is no end. By offset, each page is requested from the last row of the page before: if a page does not
begin with that row, rows moved; if it has no other row, and none follow, the end is reached. Next links that are not
plain offsets are followed; then only totals, repeated rows and repeated links can be checked.
"""

import hashlib
from dataclasses import dataclass, field
from typing import TypeAlias

from reconciler.model.diagnostic import Diagnostic, build_error, build_info, build_warning

#: Maximum pages of a collection: 200 million rows at 1,000 rows each.
MAX_PAGES = 200_000
#: How often a collection whose rows moved is read again from the start.
MAX_RESTARTS = 2


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One request of the paging machine."""

    #: as sent
    offset: int
    #: as sent
    limit: int
    #: followed instead of offset and limit
    link: str | None = None
    #: the page must begin with the last row of the page before
    overlap: bool = False


@dataclass(frozen=True, slots=True)
class PageFacts:
    """Facts of one page that decide what is requested next."""

    rows: int
    #: of its sourcedIds in their order
    digest: bytes
    #: its first sourcedId
    first: str | None = None
    #: its last sourcedId
    last: str | None = None
    #: each sourcedId is greater than the one before
    ascending: bool = False
    #: of X-Total-Count
    total: int | None = None
    #: target of rel=next
    link: str | None = None
    #: the offset in that link; None if it isn't a plain request by offset
    link_offset: int | None = None
    #: of what this key may see, if the server reports it
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class NextPage:
    """Keep the page without its first `skip` rows, and send this request next."""

    request: PageRequest
    skip: int = 0


@dataclass(frozen=True, slots=True)
class PageRetry:
    """Discard the page, and send this request next."""

    request: PageRequest


@dataclass(frozen=True, slots=True)
class LastPage:
    """Keep the page without its first `skip` rows; it was the last."""

    skip: int = 0


@dataclass(frozen=True, slots=True)
class PagingRestart:
    """Rows moved while they were read."""

    #: the reason, for people
    why: str


@dataclass(frozen=True, slots=True)
class PagingRefusal:
    diagnostic: Diagnostic


PagingTurn: TypeAlias = NextPage | PageRetry | LastPage | PagingRestart | PagingRefusal


@dataclass(slots=True)
class PagingState:
    """The state of one reading of one collection."""

    #: for messages
    name: str
    #: rows to request at once
    limit: int
    request: PageRequest = field(init=False)
    #: kept so far
    rows: int = 0
    pages: int = 0
    #: of the latest page that has one
    total: int | None = None
    ascending: bool = True
    clamp: int | None = None
    first_digest: bytes | None = None
    #: remarks on the server
    diagnostics: list[Diagnostic] = field(default_factory=list)
    _first_total: int | None = None
    _overlaps: bool = True
    _proven: bool = True
    _last: str | None = None
    _page_digest: bytes | None = None
    _largest: int = 0
    _digests: set[bytes] = field(default_factory=set)
    _links: set[bytes] = field(default_factory=set)
    _asked_again: bool = False
    _probed: bool = False
    _beyond: bool = False

    def __post_init__(self) -> None:
        self.request = PageRequest(0, self.limit)

    @property
    def is_by_offset(self) -> bool:
        return self.request.link is None

    @property
    def is_contiguous(self) -> bool:
        """Whether every page so far began with the last row of the page before."""
        return self._proven

    @property
    def is_beyond_links(self) -> bool:
        """Whether the request is beyond the server's last link; a missing page there ends the collection."""
        return self._beyond

    @property
    def may_be_behind_end(self) -> bool:
        """Whether a missing page at the request can be one behind the last row: rows came before, and a link to it is
        not the only hint that there are more."""
        return self.pages > 0 and (self.is_by_offset or (self.total is not None and self.rows >= self.total))

    def process_page(self, page: PageFacts) -> PagingTurn:
        """Process the page that `request` returned, and set `request` to the next one."""
        turn = self._judge_page(page)
        if isinstance(turn, NextPage | PageRetry):
            self.request = turn.request
        return turn

    def drop_overlap(self) -> PageRetry:
        """Request pages without overlap, because the server does not support the offset of an overlapping page."""
        self._overlaps = False
        self.request = PageRequest(self.rows, self.limit)
        return PageRetry(self.request)

    def _judge_page(self, page: PageFacts) -> PagingTurn:
        if page.total is not None:
            self._first_total = page.total if self._first_total is None else self._first_total
            self.total = page.total
        if self._beyond:
            return self._check_page_beyond_links(page)
        if not page.rows:
            return self._handle_empty_page(page)
        if self.is_by_offset and self.request.offset > self.rows:
            return PagingRefusal(self._make_gap_error("more rows follow"))
        skip = 0
        if self.request.overlap:
            if page.first != self._last:
                return self._handle_broken_overlap(page)
            skip = 1
            if page.rows == 1:
                return self._handle_no_new_rows()
        elif self.rows:
            self._proven = False
        if page.digest in self._digests:
            if self.rows == self.total:
                return self._finish_collection(page.rows)  # After its last row, the server starts again.
            return PagingRefusal(self._make_loop_error("the server sends the same page again and again"))
        self._record_page(page, skip)
        if self.pages >= MAX_PAGES:
            return PagingRefusal(self._make_loop_error(f"{self.pages:,} pages arrived without an end"))
        return self._choose_next_turn(page, skip)

    def _record_page(self, page: PageFacts, skip: int) -> None:
        if self._largest and self._largest < self.limit and self.clamp is None:
            self.clamp = self._largest
            self.diagnostics.append(
                build_info(
                    "page-clamp",
                    f"{self.name}: the server sends at most {self.clamp:,} rows at once; {self.limit:,} were requested",
                )
            )
        self.ascending &= page.ascending and (self._last is None or skip == 1 or (page.first or "") > self._last)
        self.rows += page.rows - skip
        self.pages += 1
        self._largest = max(self._largest, page.rows)
        self._digests.add(page.digest)
        self.first_digest = self.first_digest or page.digest
        self._page_digest, self._last = page.digest, page.last
        self._asked_again = self._probed = False

    def _choose_next_turn(self, page: PageFacts, skip: int) -> PagingTurn:
        follows = self.request.link is not None or (self.pages == 1 and page.link is not None)
        if self.pages == 1 and page.link is not None and page.link_offset == self.rows:
            follows = False
        if not follows:
            return NextPage(self._build_offset_request(), skip)
        if page.link is None:
            return self._handle_end_of_links(skip)
        if not self._is_new_link(page.link):
            return PagingRefusal(self._make_loop_error("its next link leads back to an earlier page"))
        return NextPage(PageRequest(self.rows, self.limit, page.link), skip)

    def _is_new_link(self, link: str) -> bool:
        """Return whether the link is new, and remember it by its hash: links may be long and as many as pages."""
        known = hashlib.sha256(link.encode("utf-8", "surrogatepass")).digest()
        is_new = known not in self._links
        self._links.add(known)
        return is_new

    def _build_offset_request(self) -> PageRequest:
        overlap = self._overlaps and self._largest > 1 and self._last is not None
        return PageRequest(self.rows - overlap, self.limit, overlap=overlap)

    def _handle_end_of_links(self, skip: int) -> PagingTurn:
        """Request missing rows by offset: a missing link is no end."""
        if self.total is not None and self.rows < self.total:
            self._overlaps = False
            return NextPage(self._build_offset_request(), skip)
        # A total smaller than the number of received rows is wrong.
        if (self.total is None or self.total < self.rows) and self.pages > 1:
            self._beyond = True
            return NextPage(PageRequest(self.rows, self.limit), skip)
        return self._finish_collection(skip)

    def _check_page_beyond_links(self, page: PageFacts) -> PagingTurn:
        """Refuse further rows: without a credible total, a missing link is not proof of the end."""
        if page.rows and page.digest not in self._digests:
            return PagingRefusal(self._make_gap_error("more rows follow", "no next link"))
        return self._finish_collection(page.rows)

    def _handle_broken_overlap(self, page: PageFacts) -> PagingTurn:
        if page.digest == self._page_digest and self.pages == 1 and self.rows == self.total:
            return self._finish_collection(page.rows)  # The server always sends everything.
        if page.digest == self._page_digest and page.rows > 2:
            # The server rounds offsets down to whole pages. A page of two rows is no proof: a new row before them has
            # the same effect.
            return self.drop_overlap()
        return PagingRestart(f"{self.name}: rows moved between two pages while they were read")

    def _handle_no_new_rows(self) -> PagingTurn:
        """Return the turn after a page with only the last row of the page before."""
        if self.total is not None and self.rows == self.total:
            return self._finish_collection(1)
        return self._probe_end(PageRequest(self.rows, self.limit))

    def _handle_empty_page(self, page: PageFacts) -> PagingTurn:
        if not self._asked_again:
            end = self._probed and self.total is None
            counted = self.total is not None and self.rows >= self.total and not self.request.overlap
            if not end and not counted:
                self._asked_again = True
                return PageRetry(self.request)
        if self.total is not None and self.rows < self.total == self._first_total:
            return PagingRefusal(self._make_incomplete_error())
        if self.request.overlap:
            return PagingRestart(f"{self.name}: rows were removed while they were read")
        if self.total is not None and self.rows < self.total:
            return PagingRefusal(self._make_incomplete_error())
        if not self.is_by_offset and page.link is not None and not self._probed and self._is_new_link(page.link):
            # A server may send an empty page and a link to more; two empty pages are the end.
            return self._probe_end(PageRequest(self.rows, self.limit, page.link))
        if self.total is None and not self._probed and self.rows and self.is_by_offset:
            return self._probe_end(PageRequest(self.rows + max(self._largest, 1), self.limit))
        return self._finish_collection(0)

    def _probe_end(self, request: PageRequest) -> PagingTurn:
        self._probed = True
        return PageRetry(request)

    def _finish_collection(self, skip: int) -> PagingTurn:
        if self.total is not None and self.total != self._first_total:
            if not (self.is_contiguous and self.rows >= self.total):
                return PagingRestart(f"{self.name}: the total changed from {self._first_total:,} to {self.total:,}")
            if self.rows == self.total:
                message = (
                    f"{self.name}: the total changed from {self._first_total:,} to {self.total:,} while it was read"
                )
                self.diagnostics.append(build_info("total-changed", message))
        if self.total is not None and self.rows > self.total:
            self.diagnostics.append(
                build_warning(
                    "wrong-total", f"{self.name}: {self.rows:,} rows arrived, but the server's total is {self.total:,}"
                )
            )
        return LastPage(skip)

    def _make_loop_error(self, how: str) -> Diagnostic:
        hint = "Report this paging fault to the server's vendor, and send the roster as a ZIP until then."
        return build_error("paging-loop", f"{self.name}: {how}", hint=hint)

    def _make_incomplete_error(self) -> Diagnostic:
        return build_error(
            "incomplete-collection",
            f"{self.name}: {self.rows:,} of {self.total:,} rows arrived, then none",
            hint="Nothing was compared, because the server did not send everything. The next fetch tries again.",
        )

    def _make_gap_error(self, why: str, what: str = "an empty page") -> Diagnostic:
        return build_error(
            "incomplete-collection",
            f"{self.name}: after {self.rows:,} rows, {what} arrived, although {why}",
            hint="Nothing was compared, because the server did not send everything. The next fetch tries again.",
        )


def make_unstable_paging_error(name: str, why: str) -> Diagnostic:
    return build_error(
        "unstable-paging",
        f"{name} changed during each of {MAX_RESTARTS + 1} reads ({why})",
        hint="Fetch when nobody edits the student information system, or ask its vendor for a stable sort order"
        " (sort=sourcedId).",
    )
