"""The fresh rosters of one plan: given as a file, given by whoever fetched them already, or fetched now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from reconciler.config.models.customer import Customer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_info, sort_diagnostics
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.bundle import read_bundle, read_zip
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.sources.interface import FetchRequest, PreviousRoster, SourceBundle
from reconciler.operations import interruption
from reconciler.operations.fetch.fetching import (
    FetchPool,
    ProgressFactory,
    create_host_throttle,
    create_source,
    make_silent_progress,
    open_fetch_pool,
)
from reconciler.operations.fetch.snapshots import read_base_snapshot
from reconciler.operations.workspace import Workspace

#: The code of a refusal: the store knows a newer roster than the one that came.
OVERTAKEN_ROSTER = "overtaken-roster"

#: What came of a fetch that somebody else made.
PrefetchedRosters = Mapping[str, SourceBundle | Refusal]


class FreshRosters:
    """By customer. What was fetched is read, and its file given up, when it is taken: one roster at a time is in
    memory, however many are fetched beside each other."""

    def __init__(
        self,
        workspace: Workspace,
        fetch_pool: FetchPool,
        fetched_at: str,
        progress_factory: ProgressFactory = make_silent_progress,
    ) -> None:
        self._workspace = workspace
        self._fetch_pool = fetch_pool
        self._fetched_at = fetched_at
        self._progress_factory = progress_factory
        self._hosts: HostThrottle | None = None
        self._files: dict[str, Future[Snapshot | Refusal]] = {}
        self._fetched: dict[str, Future[SourceBundle | Refusal]] = {}

    def read_bundle_file(self, customer: str, bundle: Path, pool: ThreadPoolExecutor) -> None:
        """In a thread of its own: unzipping and reading the store hardly get in each other's way. What changes are laid
        over is read in a view of its own, since the connection of the plan's reader belongs to its thread."""
        self._files[customer] = pool.submit(_read_zip_or_refuse, self._workspace, customer, bundle, self._fetched_at)

    def add_fetched(self, customer: str, fetched: SourceBundle | Refusal) -> None:
        future: Future[SourceBundle | Refusal] = Future()
        future.set_result(fetched)
        self._fetched[customer] = future

    def start_fetch(self, customer: Customer, earlier: PreviousRoster) -> None:
        """Begins to; nothing for a zip, nor for a customer of whom nothing is synced."""
        rostering = customer.rostering
        if customer.id in self._fetched or not is_fetched_automatically(customer):
            return
        assert isinstance(rostering, OneRosterRostering)
        if self._hosts is None:
            self._hosts = create_host_throttle(self._workspace)
        try:
            source = create_source(self._workspace, customer, rostering, self._hosts)
        except Refusal as refusal:
            self.add_fetched(customer.id, refusal)
            return
        assert source is not None
        ask = FetchRequest(
            self._fetched_at,
            self._progress_factory(customer.id),
            require_full=earlier.whole_at is None,
            earlier=earlier,
        )
        self._fetched[customer.id] = self._fetch_pool.start_fetch(customer.id, source, ask)

    def __contains__(self, customer: str) -> bool:
        return customer in self._files or customer in self._fetched

    def refuse_overtaken(self, customer: str, last: str | None, now: str) -> None:
        """last: when the newest roster that the store knows was fetched; now: both ISO-8601 UTC. One that was fetched
        before it lacks whoever came by it, and would delete them. A file is as new as its reading, and a moment that is
        still to come is of a clock that went wrong. Raises Refusal."""
        if customer not in self._fetched or last is None or last > now:
            return
        came = self._wait_for_fetch(customer)
        if isinstance(came, SourceBundle) and came.fetched_at < last:
            came.stream.close()
            raise Refusal([_describe_overtaken_roster(customer, came.fetched_at, last)])

    def read_snapshot(self, customer: str) -> Snapshot:
        """Raises Refusal with what the source or the reader objects to."""
        if customer in self._files:
            snapshot = self._files[customer].result()
            if isinstance(snapshot, Refusal):
                raise snapshot
            return snapshot
        came = self._wait_for_fetch(customer)
        if isinstance(came, Refusal):
            raise came
        with came.stream:
            read = read_bundle(
                came.stream,
                type=came.type,
                name=came.name,
                fetched_at=came.fetched_at,
                load_base=partial(read_base_snapshot, self._workspace.store, customer),
            )
        return _add_diagnostics(read, came.diagnostics)

    def _wait_for_fetch(self, customer: str) -> SourceBundle | Refusal:
        interruption.allow_keyboard_interrupt()
        return self._fetched[customer].result()

    def discard_fetch(self, customer: str) -> None:
        """The file that was fetched for it, now or when it comes: it was taken, or nobody takes it any more."""
        future = self._fetched.pop(customer, None)
        if future is not None and not future.cancel():
            future.add_done_callback(_close_fetched_stream)

    def close_all(self) -> None:
        """Gives up the files of those that nobody took."""
        for customer in list(self._fetched):
            self.discard_fetch(customer)


@contextmanager
def open_fresh_rosters(
    workspace: Workspace, fetched_at: str, progress_factory: ProgressFactory = make_silent_progress
) -> Iterator[FreshRosters]:
    """For one plan; nobody waits for what is still being fetched at its end."""
    made: FreshRosters | None = None
    try:
        with open_fetch_pool() as under_way:
            made = FreshRosters(workspace, under_way, fetched_at, progress_factory)
            yield made
    finally:
        if made is not None:
            made.close_all()


def is_fetched_automatically(customer: Customer) -> bool:
    """Whether its roster is anywhere to be fetched from. Nothing is synced of a deactivated customer."""
    rostering = customer.rostering
    return customer.status == "active" and isinstance(rostering, OneRosterRostering) and rostering.sync.type != "zip"


def describe_unfetched_roster(customer: Customer, span: Span | None) -> Iterable[Diagnostic]:
    """A roster that was asked for and is not compared is said."""
    rostering = customer.rostering
    if not isinstance(rostering, OneRosterRostering):
        return
    if rostering.sync.type == "zip":
        yield build_info(
            "roster-not-given",
            f"the roster of {customer.id} was not looked at: a zip is given by hand",
            span,
            f"reconciler plan {customer.id} --zip FILE",
        )
    elif customer.status != "active":
        yield build_info(
            "roster-not-fetched",
            f"the roster of {customer.id} was not fetched: nothing is synced of a deactivated customer",
            span,
        )


def describe_missing_rostering(span: Span | None) -> Diagnostic:
    return build_error(
        "no-roster",
        "this customer takes no OneRoster bundle: its rostering is not of type oneroster",
        span,
        "leave out --zip, or configure rostering",
    )


def _describe_overtaken_roster(customer: str, fetched_at: str, last: str) -> Diagnostic:
    return build_error(
        OVERTAKEN_ROSTER,
        f"a newer roster of {customer}, of {last}, came in while this one, of {fetched_at}, was fetched or waited; "
        "nothing of this one was compared",
        hint="fetch it again",
    )


def _close_fetched_stream(future: Future[SourceBundle | Refusal]) -> None:
    if not future.cancelled() and future.exception() is None:
        came = future.result()
        if isinstance(came, SourceBundle):
            came.stream.close()


def _read_zip_or_refuse(workspace: Workspace, customer: str, bundle: Path, fetched_at: str) -> Snapshot | Refusal:
    try:
        return read_zip(bundle, fetched_at=fetched_at, load_base=partial(read_base_snapshot, workspace.store, customer))
    except Refusal as refusal:
        return refusal


def _add_diagnostics(snapshot: Snapshot, diagnostics: Iterable[Diagnostic]) -> Snapshot:
    return replace(snapshot, diagnostics=sort_diagnostics([*diagnostics, *snapshot.diagnostics]))
