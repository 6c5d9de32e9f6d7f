"""Provide the fresh rosters of one plan: from a ZIP file, already fetched, or fetched now."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from reconciler.config.models import Customer, OneRosterRostering
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_info, sort_diagnostics
from reconciler.model.ids import CustomerId, Moment
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.bundle import read_bundle, read_zip
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.sources import FetchRequest, PreviousRoster, SourceBundle
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

#: Diagnostic code for a fetched roster that is older than one in the store.
OVERTAKEN_ROSTER = "overtaken-roster"

#: Results of fetches that already ended, by customer.
PrefetchedRosters = Mapping[str, SourceBundle | Refusal]


class FreshRosters:
    """Fresh rosters by customer; a fetched file is parsed only when it is read, so only one is in memory at a time."""

    def __init__(
        self,
        workspace: Workspace,
        fetch_pool: FetchPool,
        fetched_at: Moment,
        progress_factory: ProgressFactory = make_silent_progress,
    ) -> None:
        self._workspace = workspace
        self._fetch_pool = fetch_pool
        self._fetched_at = fetched_at
        self._progress_factory = progress_factory
        self._hosts: HostThrottle | None = None
        self._files: dict[str, Future[Snapshot | Refusal]] = {}
        self._fetched: dict[CustomerId, Future[SourceBundle | Refusal]] = {}

    def read_bundle_file(self, customer: CustomerId, bundle: Path, pool: ThreadPoolExecutor) -> None:
        """Start to read a ZIP file in another thread, while the plan reads the store.

        The base of a delta roster is read with a reader of its own, because a connection belongs to its thread."""
        self._files[customer] = pool.submit(_read_zip_or_refuse, self._workspace, customer, bundle, self._fetched_at)

    def add_fetched(self, customer: CustomerId, fetched: SourceBundle | Refusal) -> None:
        future: Future[SourceBundle | Refusal] = Future()
        future.set_result(fetched)
        self._fetched[customer] = future

    def start_fetch(self, customer: Customer, earlier: PreviousRoster) -> None:
        """Start the fetch of a customer's roster, unless it was fetched already or has no source to fetch from."""
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
        request = FetchRequest(
            self._fetched_at,
            self._progress_factory(customer.id),
            require_full=earlier.whole_at is None,
            earlier=earlier,
        )
        self._fetched[customer.id] = self._fetch_pool.start_fetch(customer.id, source, request)

    def __contains__(self, customer: CustomerId) -> bool:
        return customer in self._files or customer in self._fetched

    def refuse_overtaken(self, customer: CustomerId, last: Moment | None, now: Moment) -> None:
        """Raise Refusal if a fetched roster is older than the store's newest: it would delete that one's new people.

        last, now: ISO-8601 UTC; last: the fetch of the newest roster in the store. Never refuses a ZIP file, which is
        as new as its reading. Ignores a last in the future, which a wrong clock wrote."""
        if customer not in self._fetched or last is None or last > now:
            return
        bundle = self._wait_for_fetch(customer)
        if isinstance(bundle, SourceBundle) and bundle.fetched_at < last:
            bundle.stream.close()
            raise Refusal([_describe_overtaken_roster(customer, bundle.fetched_at, last)])

    def read_snapshot(self, customer: CustomerId) -> Snapshot:
        """Return the customer's roster. Raises Refusal if the fetch or the reader refused it."""
        if customer in self._files:
            snapshot = self._files[customer].result()
            if isinstance(snapshot, Refusal):
                raise snapshot
            return snapshot
        bundle = self._wait_for_fetch(customer)
        if isinstance(bundle, Refusal):
            raise bundle
        with bundle.stream:
            snapshot = read_bundle(
                bundle.stream,
                type=bundle.type,
                name=bundle.name,
                fetched_at=bundle.fetched_at,
                load_base=partial(read_base_snapshot, self._workspace.store, customer),
            )
        return replace(snapshot, diagnostics=sort_diagnostics([*bundle.diagnostics, *snapshot.diagnostics]))

    def is_fetching(self, customer: CustomerId) -> bool:
        """Return True if the customer's fetch has started and has not ended."""
        return customer in self._fetched and not self._fetched[customer].done()

    def wait_for_end(self, customer: CustomerId) -> None:
        """Wait until the customer's fetch ends, well or not."""
        interruption.allow_keyboard_interrupt()
        wait([self._fetched[customer]])

    def _wait_for_fetch(self, customer: CustomerId) -> SourceBundle | Refusal:
        interruption.allow_keyboard_interrupt()
        return self._fetched[customer].result()

    def discard_fetch(self, customer: CustomerId) -> None:
        """Close the customer's fetched file, now or when its fetch ends."""
        future = self._fetched.pop(customer, None)
        if future is not None and not future.cancel():
            future.add_done_callback(close_fetched_stream)

    def close_all(self) -> None:
        """Close the files of all customers, and let no fetch that is under way begin another request."""
        if self._hosts is not None:
            self._hosts.stop()
        for customer in list(self._fetched):
            self.discard_fetch(customer)


@contextmanager
def open_fresh_rosters(
    workspace: Workspace, fetched_at: Moment, progress_factory: ProgressFactory = make_silent_progress
) -> Iterator[FreshRosters]:
    """Provide the fresh rosters of one plan; the exit does not wait for unfinished fetches."""
    rosters: FreshRosters | None = None
    try:
        with open_fetch_pool() as pool:
            rosters = FreshRosters(workspace, pool, fetched_at, progress_factory)
            yield rosters
    finally:
        if rosters is not None:
            rosters.close_all()


def is_fetched_automatically(customer: Customer) -> bool:
    """Return True if the customer is active and has a source to fetch its roster from."""
    rostering = customer.rostering
    return customer.status == "active" and isinstance(rostering, OneRosterRostering) and rostering.sync.type != "zip"


def describe_unfetched_roster(customer: Customer, span: Span | None) -> Iterable[Diagnostic]:
    """Yield a note if a requested roster cannot be fetched."""
    rostering = customer.rostering
    if not isinstance(rostering, OneRosterRostering):
        return
    if rostering.sync.type == "zip":
        yield build_info(
            "roster-not-given",
            f"the roster of {customer.id} was not compared: its ZIP file was not given",
            span,
            f"Give the file: reconciler plan {customer.id} --zip FILE",
        )
    elif customer.status != "active":
        yield build_info(
            "roster-not-fetched",
            f"the roster of {customer.id} was not fetched: the customer is deactivated",
            span,
        )


def describe_missing_rostering(span: Span | None) -> Diagnostic:
    return build_error(
        "no-roster",
        "this customer takes no OneRoster ZIP: its rostering is not of type oneroster",
        span,
        "Leave out --zip, or configure rostering.",
    )


def _describe_overtaken_roster(customer: CustomerId, fetched_at: Moment, last: Moment) -> Diagnostic:
    return build_error(
        OVERTAKEN_ROSTER,
        f"this roster of {customer} ({fetched_at}) is older than one that arrived meanwhile ({last}); "
        "nothing was compared",
        hint="Fetch it again.",
    )


def close_fetched_stream(future: Future[SourceBundle | Refusal]) -> None:
    """Close the stream of a fetch that nobody reads."""
    if not future.cancelled() and future.exception() is None:
        bundle = future.result()
        if isinstance(bundle, SourceBundle):
            bundle.stream.close()


def _read_zip_or_refuse(
    workspace: Workspace, customer: CustomerId, bundle: Path, fetched_at: Moment
) -> Snapshot | Refusal:
    try:
        return read_zip(bundle, fetched_at=fetched_at, load_base=partial(read_base_snapshot, workspace.store, customer))
    except Refusal as refusal:
        return refusal
