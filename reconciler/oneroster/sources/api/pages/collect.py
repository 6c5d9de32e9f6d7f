"""Reads one collection to its end, from its pages and those that an earlier fetch saved."""

from dataclasses import dataclass, field
from typing import Protocol, assert_never

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error, build_info, build_warning
from reconciler.oneroster.sources.api.bundle_writer import BundleWriter
from reconciler.oneroster.sources.api.delta import ChangeCounts, DeltaWindow, add_lost_roles, filter_changed_rows
from reconciler.oneroster.sources.api.http.answer import ApiClient
from reconciler.oneroster.sources.api.pages.checkpoint import Checkpoint, CheckpointPage
from reconciler.oneroster.sources.api.pages.paging import (
    MAX_RESTARTS,
    LastPage,
    NextPage,
    PageFacts,
    PageRequest,
    PageRetry,
    PagingRefusal,
    PagingRestart,
    PagingState,
    PagingTurn,
    make_unstable_paging_error,
)
from reconciler.oneroster.sources.api.pages.requests import PageFetcher, PageResult
from reconciler.oneroster.sources.api.pages.seen_keys import KeyTally, MissingParents
from reconciler.oneroster.sources.api.records.collections import Collection
from reconciler.oneroster.sources.api.records.envelope import Frames, build_empty_frames
from reconciler.oneroster.sources.interface import FetchProgress, ProgressCallback, ignore_progress

# Sinks of a collection's rows: they write its files and inspect the rows that pass.


class RowSink(Protocol):
    def begin(self) -> None:
        """Start, or start again without the rows added so far."""

    def add_frames(self, frames: Frames) -> None:
        """Add the rows of a page."""


@dataclass(frozen=True, slots=True)
class FullRowSink:
    """Writes the rows of full collections and notes which parents enrollments lack."""

    collection: Collection
    writer: BundleWriter
    missing_parents: MissingParents | None = None

    def begin(self) -> None:
        self.writer.begin_files(self.collection.files)
        if self.missing_parents is not None:
            self.missing_parents.reset()

    def add_frames(self, frames: Frames) -> None:
        if self.missing_parents is not None:
            self.missing_parents.add_enrollments(frames[self.collection.name])
        self.writer.add_rows(frames)


@dataclass(slots=True)
class DeltaRowSink:
    collection: Collection
    writer: BundleWriter
    window: DeltaWindow
    changes: ChangeCounts = field(default_factory=ChangeCounts)

    def begin(self) -> None:
        self.writer.begin_files(self.collection.files)
        self.changes = ChangeCounts()

    def add_frames(self, frames: Frames) -> None:
        kept = filter_changed_rows(frames, self.window)
        self.changes.add_rows(kept[self.collection.name])
        self.writer.add_rows(add_lost_roles(kept) if self.collection.nested else kept)


#: The code of a response to a request that the server does not support.
BAD_REQUEST = "bad-request"
#: The code of a response to a request for a collection or rows that the server does not have.
NOT_FOUND = "not-found"
#: Codes after which an earlier fetch cannot be resumed, if its last page is requested again.
UNAVAILABLE_CODES = frozenset(
    {BAD_REQUEST, NOT_FOUND, "link-refused", "unexpected-status", "wrong-envelope", "malformed-page"}
)


@dataclass(slots=True)
class CollectionReader:
    """Reads whole collections page by page."""

    api_client: ApiClient
    #: rows per request
    page_size: int
    checkpoint: Checkpoint | None = None
    prefetch: bool = True
    progress: ProgressCallback = ignore_progress
    diagnostics: list[Diagnostic] = field(default_factory=list)
    #: of the latest page that has one
    revision: str | None = None

    def read_collection(self, collection: Collection, sink: RowSink, filter: str | None = None) -> KeyTally:
        """Read all rows of one collection into the sink. filter: of the query.

        Raises Refusal: `unstable-paging` if rows moved during each attempt, and as paging, envelope and client do.
        """
        starts_over = most = 0
        while True:
            sink.begin()
            reading = _ReadAttempt(self, collection, sink)
            pages = PageFetcher(self.api_client, collection, filter, prefetch=self.prefetch)
            # Some servers sort each page separately: without sorting, their pages fit together.
            pages.sorted = starts_over < MAX_RESTARTS
            try:
                outcome = reading.run(pages)
            except Refusal as refusal:
                if refusal.diagnostics[0].code == NOT_FOUND and (most or reading.paging.pages):
                    # Only a collection of which no row ever came can be one that the server does not have.
                    rows = max(most, reading.paging.rows)
                    raise Refusal([_make_vanished_rows_error(collection.name, rows, refusal)]) from refusal
                raise
            if isinstance(outcome, KeyTally) and most and not outcome.rows:
                outcome = PagingRestart(f"{collection.name} had rows at first and none later")
            if isinstance(outcome, KeyTally):
                self.diagnostics += reading.paging.diagnostics
                return outcome
            if self.checkpoint is not None:
                self.checkpoint.forget_collection(collection.name)
            starts_over += not reading.resumed
            most = max(most, reading.paging.rows)
            if starts_over > MAX_RESTARTS:
                raise Refusal([make_unstable_paging_error(collection.name, outcome.why)])
            self.diagnostics.append(
                build_info("paging-started-over", f"{outcome.why}; the collection was read again from the start")
            )

    def check_revision(self, page: PageFacts) -> None:
        """Raise Refusal `permissions-changed` if the key's permissions changed since an earlier page of any collection:
        such pages do not form one roster."""
        if page.revision is not None and self.revision not in (None, page.revision):
            raise Refusal([_make_permissions_error()])
        self.revision = page.revision or self.revision


class _ReadAttempt:
    """One attempt at one collection."""

    def __init__(self, reader: CollectionReader, collection: Collection, sink: RowSink) -> None:
        self._how = reader
        self._collection = collection
        self._intake = sink
        self._kept = 0
        self._tally = KeyTally()
        self.resumed = False
        self.paging = PagingState(collection.name, reader.page_size)

    def run(self, pages: PageFetcher) -> KeyTally | PagingRestart:
        turn = self._resume_from_checkpoint(pages)
        while not isinstance(turn, LastPage | PagingRestart):
            got = self._request_page(pages)
            if got is None:
                continue
            self._how.check_revision(got.page)
            request = self.paging.request
            turn = self._handle_turn(self.paging.process_page(got.page), request, got)
            if isinstance(turn, NextPage):
                pages.start_prefetch(self.paging, got)
        if isinstance(turn, PagingRestart):
            return turn
        repeated = self._tally.count_repeated()
        if repeated:
            return PagingRestart(f"{self._collection.name}: {repeated:,} rows were on more than one page")
        if not pages.sorted:
            self.paging.diagnostics.append(
                build_warning(
                    "unsorted-pages",
                    f"{self._collection.name}: the server cannot sort by sourcedId, so its own order was used",
                )
            )
        return self._tally

    def _resume_from_checkpoint(self, pages: PageFetcher) -> NextPage | PageRetry | LastPage | PagingRestart:
        """Process the pages that an earlier fetch saved. They count only if the last one is the same when requested
        again."""
        last: CheckpointPage | None = None
        turn: NextPage | PageRetry | LastPage | PagingRestart = PageRetry(self.paging.request)
        for kept in self._how.checkpoint.read_pages(self._collection.name) if self._how.checkpoint else ():
            if kept.request != self.paging.request and not self._is_continuation(kept.request):
                return PagingRestart(
                    f"{self._collection.name}: the saved pages of an earlier fetch do not fit together"
                )
            self.resumed = True
            self.paging.request = kept.request
            got = PageResult(kept.page, kept.frames)
            found = self.paging.process_page(kept.page)
            if not isinstance(found, NextPage | LastPage):
                return PagingRestart(
                    f"{self._collection.name}: the saved pages of an earlier fetch do not fit together"
                )
            turn = found
            self._accept_page(found.skip, kept.request, got, from_checkpoint=True)
            last = kept
        if last is None:
            return turn
        assert self._how.checkpoint is not None
        if not self._how.checkpoint.fresh and last.page.total is None and not self.paging.is_contiguous:
            return PagingRestart(f"{self._collection.name}: nothing proves that no rows moved since an earlier fetch")
        now = self._request_again(pages, last.request)
        if now is None:
            return PagingRestart(
                f"{self._collection.name}: the last saved page of an earlier fetch is no longer available"
            )
        if (now.digest, now.total, now.revision) != (last.page.digest, last.page.total, last.page.revision):
            return PagingRestart(f"{self._collection.name}: rows moved since an earlier fetch was interrupted")
        self._how.check_revision(now)
        return turn

    def _request_again(self, pages: PageFetcher, request: PageRequest) -> PageFacts | None:
        """Return the page's present facts, or None if it is no longer available. Tries without sorting if necessary."""
        try:
            return pages.get_page(request).page
        except Refusal as refusal:
            code = refusal.diagnostics[0].code
            if code == BAD_REQUEST and pages.sorted:
                pages.sorted = False
                return self._request_again(pages, request)
            if code not in UNAVAILABLE_CODES:
                raise
            return None

    def _is_continuation(self, request: PageRequest) -> bool:
        """Return whether the page follows one that was requested in vain and not saved."""
        return request.link is None and self.paging.request.link is None and request.offset == self.paging.rows

    def _request_page(self, pages: PageFetcher) -> PageResult | None:
        """Return the page, or None if the same rows must be requested differently.

        Some servers have a 404 for a page behind the last row. It counts as an empty page, which proves an end only
        by the rules for empty pages; where a link of the server leads to it, only if the total is reached.
        """
        try:
            return pages.get_page(self.paging.request)
        except Refusal as refusal:
            code = refusal.diagnostics[0].code
            if (self.paging.is_beyond_links and code in UNAVAILABLE_CODES) or (
                code == NOT_FOUND and self.paging.may_be_behind_end
            ):
                return PageResult(PageFacts(0, b""), build_empty_frames(self._collection))
            if code != BAD_REQUEST:
                raise
            if self.paging.request.overlap:
                self.paging.drop_overlap()
            elif pages.sorted and not self.paging.pages:
                pages.sorted = False
            else:
                raise
            return None

    def _handle_turn(
        self, turn: PagingTurn, request: PageRequest, got: PageResult
    ) -> NextPage | PageRetry | LastPage | PagingRestart:
        match turn:
            case NextPage(skip=skip) | LastPage(skip=skip):
                self._accept_page(skip, request, got)
                return turn
            case PageRetry() | PagingRestart():
                return turn
            case PagingRefusal(diagnostic=why):
                raise Refusal([why])
            case _:
                assert_never(turn)

    def _accept_page(self, skip: int, request: PageRequest, got: PageResult, *, from_checkpoint: bool = False) -> None:
        name = self._collection.name
        frames = _skip_first_rows(got.frames, skip, self._collection) if skip else got.frames
        if got.page.rows > skip:
            if not from_checkpoint and self._how.checkpoint is not None:
                self._how.checkpoint.save_page(name, self._kept, CheckpointPage(request, got.page, got.frames))
            self._kept += 1
            self._tally.add_keys(frames[name]["sourcedId"], unique=got.page.ascending)
            self._intake.add_frames(frames)
        self._how.progress(FetchProgress(name, self.paging.rows, self.paging.total, "rows", self.paging.pages))


def _make_vanished_rows_error(name: str, rows: int, refusal: Refusal) -> Diagnostic:
    return build_error(
        "incomplete-collection",
        f"{name}: {rows:,} rows arrived, then {refusal.diagnostics[0].message}",
        hint="Nothing was compared, because the server did not send everything. The next fetch tries again.",
    )


def _make_permissions_error() -> Diagnostic:
    return build_error(
        "permissions-changed",
        "the key's permissions changed on the server while the roster was read; nothing was compared",
        hint="Fetch again: the next fetch reads everything from the start.",
    )


def _skip_first_rows(frames: Frames, skip: int, collection: Collection) -> dict[str, pl.DataFrame]:
    rows = frames[collection.name].slice(skip)
    if collection.nested is None:
        return {collection.name: rows}
    items = frames[collection.nested]
    return {
        collection.name: rows,
        collection.nested: items.filter(pl.col("userSourcedId").is_in(rows["sourcedId"].implode())),
    }
