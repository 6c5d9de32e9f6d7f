"""Reads one collection to its end, from its pages and from those that an earlier fetch has kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, assert_never

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, error, info, warning
from reconciler.oneroster.sources.api.bundle_writer import BundleWriter
from reconciler.oneroster.sources.api.checkpoint import Checkpoint, KeptPage
from reconciler.oneroster.sources.api.delta import Changes, Since, changed, with_lost_roles
from reconciler.oneroster.sources.api.http.answer import Asking
from reconciler.oneroster.sources.api.pages.paging import (
    MOST_STARTS_OVER,
    Again,
    Done,
    Go,
    Page,
    Paging,
    Refused,
    Request,
    StartOver,
    Turn,
    unstable,
)
from reconciler.oneroster.sources.api.pages.requests import Got, Pages
from reconciler.oneroster.sources.api.pages.seen_keys import Missing, Tally
from reconciler.oneroster.sources.api.records.collections import Collection
from reconciler.oneroster.sources.api.records.envelope import Frames, no_frames
from reconciler.oneroster.sources.interface import Progress, Step, unheard

# Where the rows of one collection go as its pages come: into its files, and past whoever has to look at them.


class Intake(Protocol):
    def begin(self) -> None:
        """Before the first page, and again where all that was added so far does not count."""

    def add(self, frames: Frames) -> None:
        """A page's rows, once."""


@dataclass(frozen=True, slots=True)
class Everything:
    """missing: looks at enrollments."""

    collection: Collection
    writer: BundleWriter
    missing: Missing | None = None

    def begin(self) -> None:
        self.writer.begin(self.collection.files)
        if self.missing is not None:
            self.missing.forget()

    def add(self, frames: Frames) -> None:
        if self.missing is not None:
            self.missing.look(frames[self.collection.name])
        self.writer.add(frames)


@dataclass(slots=True)
class OnlyChanged:
    collection: Collection
    writer: BundleWriter
    since: Since
    changes: Changes = field(default_factory=Changes)

    def begin(self) -> None:
        self.writer.begin(self.collection.files)
        self.changes = Changes()

    def add(self, frames: Frames) -> None:
        kept = changed(frames, self.since)
        self.changes.add(kept[self.collection.name])
        self.writer.add(with_lost_roles(kept) if self.collection.nested else kept)


#: What a server says to a request that it does not understand, whatever of it that is.
BAD_REQUEST = "bad-request"
#: Answers to the last page of an earlier fetch that leave nothing to go on from.
GONE = frozenset({BAD_REQUEST, "not-found", "link-refused", "unexpected-status", "wrong-envelope", "malformed-page"})


@dataclass(slots=True)
class Collecting:
    """How collections are read. page_size: rows to ask for at once. kept: pages of an earlier fetch. ahead: whether
    several pages may be asked for at once. notes: what was noticed, of all collections. revision: of the latest page
    that has one."""

    asking: Asking
    page_size: int
    kept: Checkpoint | None = None
    ahead: bool = True
    progress: Progress = unheard
    notes: list[Diagnostic] = field(default_factory=list)
    revision: str | None = None

    def collect(self, collection: Collection, intake: Intake, filter: str | None = None) -> Tally:
        """All rows of one collection into `intake`. filter: of the query.

        Raises Refusal: `unstable-paging` where rows moved each time it was read, and as paging, envelope and `asking`.
        """
        starts_over = most = 0
        while True:
            intake.begin()
            reading = _Reading(self, collection, intake)
            pages = Pages(self.asking, collection, filter, ahead=self.ahead)
            # Some servers cut their pages first and sort each by itself: only their own order fits together.
            pages.sorted = starts_over < MOST_STARTS_OVER
            outcome = reading.run(pages)
            if isinstance(outcome, Tally) and most and not outcome.rows:
                outcome = StartOver(f"{collection.name}: there were rows before, and then none")
            if isinstance(outcome, Tally):
                self.notes += reading.paging.notes
                return outcome
            if self.kept is not None:
                self.kept.forget(collection.name)
            starts_over += not reading.resumed
            most = max(most, reading.paging.rows)
            if starts_over > MOST_STARTS_OVER:
                raise Refusal([unstable(collection.name, outcome.why)])
            self.notes.append(info("paging-started-over", f"{outcome.why}; it was read again from its start"))

    def keep_to_revision(self, page: Page) -> None:
        """Raises Refusal `permissions-changed` where a page is shown by other permissions than those before it, of
        whatever collection: together they are no roster of any moment."""
        if page.revision is not None and self.revision not in (None, page.revision):
            raise Refusal([_permissions_changed()])
        self.revision = page.revision or self.revision


class _Reading:
    """One attempt at one collection."""

    def __init__(self, how: Collecting, collection: Collection, intake: Intake) -> None:
        self._how = how
        self._collection = collection
        self._intake = intake
        self._kept = 0
        self._tally = Tally()
        self.resumed = False
        self.paging = Paging(collection.name, how.page_size)

    def run(self, pages: Pages) -> Tally | StartOver:
        turn = self._resume(pages)
        while not isinstance(turn, Done | StartOver):
            got = self._ask(pages)
            if got is None:
                continue
            self._how.keep_to_revision(got.page)
            request = self.paging.request
            turn = self._judged(self.paging.take(got.page), request, got)
            if isinstance(turn, Go):
                pages.look_ahead(self.paging, got)
        if isinstance(turn, StartOver):
            return turn
        repeated = self._tally.repeated()
        if repeated:
            return StartOver(f"{self._collection.name}: {repeated:,} rows came in more than one page")
        if not pages.sorted:
            self.paging.notes.append(
                warning(
                    "unsorted-pages",
                    f"{self._collection.name}: the server cannot sort by sourcedId; its own order was taken",
                )
            )
        return self._tally

    def _resume(self, pages: Pages) -> Go | Again | Done | StartOver:
        """Goes over the pages that an earlier fetch has kept. The last of them is asked for again: only if it is still
        the same, all of them count."""
        last: KeptPage | None = None
        turn: Go | Again | Done | StartOver = Again(self.paging.request)
        for kept in self._how.kept.pages(self._collection.name) if self._how.kept else ():
            if kept.request != self.paging.request and not self._fits(kept.request):
                return StartOver(f"{self._collection.name}: what was kept of an earlier fetch does not fit together")
            self.resumed = True
            self.paging.request = kept.request
            got = Got(kept.page, kept.frames)
            found = self.paging.take(kept.page)
            if not isinstance(found, Go | Done):
                return StartOver(f"{self._collection.name}: what was kept of an earlier fetch does not fit together")
            turn = found
            self._keep(found.skip, kept.request, got, again=True)
            last = kept
        if last is None:
            return turn
        assert self._how.kept is not None
        if not self._how.kept.fresh and last.page.total is None and not self.paging.stitched:
            return StartOver(f"{self._collection.name}: nothing shows that no rows moved since an earlier fetch")
        now = self._asked_again(pages, last.request)
        if now is None:
            return StartOver(f"{self._collection.name}: what was kept of an earlier fetch cannot be asked for again")
        if (now.digest, now.total, now.revision) != (last.page.digest, last.page.total, last.page.revision):
            return StartOver(f"{self._collection.name}: rows moved since an earlier fetch was cut off")
        self._how.keep_to_revision(now)
        return turn

    def _asked_again(self, pages: Pages, request: Request) -> Page | None:
        """None where the page cannot be had any more. A server that does not sort did not do so before."""
        try:
            return pages.get(request).page
        except Refusal as refusal:
            code = refusal.diagnostics[0].code
            if code == BAD_REQUEST and pages.sorted:
                pages.sorted = False
                return self._asked_again(pages, request)
            if code not in GONE:
                raise
            return None

    def _fits(self, kept: Request) -> bool:
        """The page came after one that was asked for in vain and not kept."""
        return kept.link is None and self.paging.request.link is None and kept.offset == self.paging.rows

    def _ask(self, pages: Pages) -> Got | None:
        """None where the same is to be asked in another way."""
        try:
            return pages.get(self.paging.request)
        except Refusal as refusal:
            if self.paging.beyond_links and refusal.diagnostics[0].code in GONE:
                return Got(Page(0, b""), no_frames(self._collection))
            if refusal.diagnostics[0].code != BAD_REQUEST:
                raise
            if self.paging.request.overlap:
                self.paging.without_overlap()
            elif pages.sorted and not self.paging.pages:
                pages.sorted = False
            else:
                raise
            return None

    def _judged(self, turn: Turn, request: Request, got: Got) -> Go | Again | Done | StartOver:
        match turn:
            case Go(skip=skip) | Done(skip=skip):
                self._keep(skip, request, got)
                return turn
            case Again() | StartOver():
                return turn
            case Refused(why=why):
                raise Refusal([why])
            case _:
                assert_never(turn)

    def _keep(self, skip: int, request: Request, got: Got, *, again: bool = False) -> None:
        name = self._collection.name
        frames = _without_first(got.frames, skip, self._collection) if skip else got.frames
        if got.page.rows > skip:
            if not again and self._how.kept is not None:
                self._how.kept.put(name, self._kept, KeptPage(request, got.page, got.frames))
            self._kept += 1
            self._tally.add(frames[name]["sourcedId"], unique=got.page.ascending)
            self._intake.add(frames)
        self._how.progress(Step(name, self.paging.rows, self.paging.total, "rows", self.paging.pages))


def _permissions_changed() -> Diagnostic:
    return error(
        "permissions-changed",
        "what our key may see was changed on the server while the roster was read; nothing of it is compared",
        hint="the next fetch reads everything anew",
    )


def _without_first(frames: Frames, skip: int, collection: Collection) -> dict[str, pl.DataFrame]:
    rows = frames[collection.name].slice(skip)
    if collection.nested is None:
        return {collection.name: rows}
    items = frames[collection.nested]
    return {
        collection.name: rows,
        collection.nested: items.filter(pl.col("userSourcedId").is_in(rows["sourcedId"].implode())),
    }
