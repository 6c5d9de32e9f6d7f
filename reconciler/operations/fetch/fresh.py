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
from reconciler.model.diagnostic import Diagnostic, Refusal, Span, error, in_order, info
from reconciler.network.politeness import Hosts
from reconciler.oneroster.bundle import read_bundle, read_zip
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.sources.interface import Ask, Earlier, Fetched
from reconciler.operations import interruption
from reconciler.operations.fetch.fetching import Fetches, Heard, fetches, hosts_of, nobody, source_of
from reconciler.operations.fetch.snapshots import last_snapshot_of
from reconciler.operations.workspace import Workspace

#: The code of a refusal: the store knows a newer roster than the one that came.
OVERTAKEN_ROSTER = "overtaken-roster"

#: What came of a fetch that somebody else made.
Given = Mapping[str, Fetched | Refusal]


class FreshRosters:
    """By customer. What was fetched is read, and its file given up, when it is taken: one roster at a time is in
    memory, however many are fetched beside each other."""

    def __init__(self, workspace: Workspace, under_way: Fetches, fetched_at: str, heard: Heard = nobody) -> None:
        self._workspace = workspace
        self._under_way = under_way
        self._fetched_at = fetched_at
        self._heard = heard
        self._hosts: Hosts | None = None
        self._files: dict[str, Future[Snapshot | Refusal]] = {}
        self._fetched: dict[str, Future[Fetched | Refusal]] = {}

    def read_file(self, customer: str, bundle: Path, pool: ThreadPoolExecutor) -> None:
        """In a thread of its own: unzipping and reading the store hardly get in each other's way. What changes are laid
        over is read in a view of its own, since the connection of the plan's reader belongs to its thread."""
        self._files[customer] = pool.submit(_read_file, self._workspace, customer, bundle, self._fetched_at)

    def give(self, customer: str, came: Fetched | Refusal) -> None:
        future: Future[Fetched | Refusal] = Future()
        future.set_result(came)
        self._fetched[customer] = future

    def fetch(self, customer: Customer, earlier: Earlier) -> None:
        """Begins to; nothing for a zip, nor for a customer of whom nothing is synced."""
        rostering = customer.rostering
        if customer.id in self._fetched or not fetched_by_itself(customer):
            return
        assert isinstance(rostering, OneRosterRostering)
        if self._hosts is None:
            self._hosts = hosts_of(self._workspace)
        try:
            source = source_of(self._workspace, customer, rostering, self._hosts)
        except Refusal as refusal:
            self.give(customer.id, refusal)
            return
        assert source is not None
        ask = Ask(self._fetched_at, self._heard(customer.id), whole=earlier.whole_at is None, earlier=earlier)
        self._fetched[customer.id] = self._under_way.start(source, ask)

    def __contains__(self, customer: str) -> bool:
        return customer in self._files or customer in self._fetched

    def refuse_overtaken(self, customer: str, last: str | None, now: str) -> None:
        """last: when the newest roster that the store knows was fetched; now: both ISO-8601 UTC. One that was fetched
        before it lacks whoever came by it, and would delete them. A file is as new as its reading, and a moment that is
        still to come is of a clock that went wrong. Raises Refusal."""
        if customer not in self._fetched or last is None or last > now:
            return
        came = self._came(customer)
        if isinstance(came, Fetched) and came.fetched_at < last:
            came.stream.close()
            raise Refusal([_overtaken(customer, came.fetched_at, last)])

    def take(self, customer: str) -> Snapshot:
        """Raises Refusal with what the source or the reader objects to."""
        if customer in self._files:
            snapshot = self._files[customer].result()
            if isinstance(snapshot, Refusal):
                raise snapshot
            return snapshot
        came = self._came(customer)
        if isinstance(came, Refusal):
            raise came
        with came.stream:
            read = read_bundle(
                came.stream,
                type=came.type,
                name=came.name,
                fetched_at=came.fetched_at,
                base=partial(last_snapshot_of, self._workspace.store, customer),
            )
        return _with(read, came.diagnostics)

    def _came(self, customer: str) -> Fetched | Refusal:
        interruption.let_through()
        return self._fetched[customer].result()

    def give_up(self, customer: str) -> None:
        """The file that was fetched for it, now or when it comes: it was taken, or nobody takes it any more."""
        future = self._fetched.pop(customer, None)
        if future is not None and not future.cancel():
            future.add_done_callback(_given_up)

    def close(self) -> None:
        """Gives up the files of those that nobody took."""
        for customer in list(self._fetched):
            self.give_up(customer)


@contextmanager
def fresh_rosters(workspace: Workspace, fetched_at: str, heard: Heard = nobody) -> Iterator[FreshRosters]:
    """For one plan; nobody waits for what is still being fetched at its end."""
    made: FreshRosters | None = None
    try:
        with fetches() as under_way:
            made = FreshRosters(workspace, under_way, fetched_at, heard)
            yield made
    finally:
        if made is not None:
            made.close()


def fetched_by_itself(customer: Customer) -> bool:
    """Whether its roster is anywhere to be fetched from. Nothing is synced of a deactivated customer."""
    rostering = customer.rostering
    return customer.status == "active" and isinstance(rostering, OneRosterRostering) and rostering.sync.type != "zip"


def not_fetched(customer: Customer, span: Span | None) -> Iterable[Diagnostic]:
    """A roster that was asked for and is not compared is said."""
    rostering = customer.rostering
    if not isinstance(rostering, OneRosterRostering):
        return
    if rostering.sync.type == "zip":
        yield info(
            "roster-not-given",
            f"the roster of {customer.id} was not looked at: a zip is given by hand",
            span,
            f"reconciler plan {customer.id} --zip FILE",
        )
    elif customer.status != "active":
        yield info(
            "roster-not-fetched",
            f"the roster of {customer.id} was not fetched: nothing is synced of a deactivated customer",
            span,
        )


def no_roster(span: Span | None) -> Diagnostic:
    return error(
        "no-roster",
        "this customer takes no OneRoster bundle: its rostering is not of type oneroster",
        span,
        "leave out --zip, or configure rostering",
    )


def _overtaken(customer: str, fetched_at: str, last: str) -> Diagnostic:
    return error(
        OVERTAKEN_ROSTER,
        f"a newer roster of {customer}, of {last}, came in while this one, of {fetched_at}, was fetched or waited; "
        "nothing of this one was compared",
        hint="fetch it again",
    )


def _given_up(future: Future[Fetched | Refusal]) -> None:
    if not future.cancelled() and future.exception() is None:
        came = future.result()
        if isinstance(came, Fetched):
            came.stream.close()


def _read_file(workspace: Workspace, customer: str, bundle: Path, fetched_at: str) -> Snapshot | Refusal:
    try:
        return read_zip(bundle, fetched_at=fetched_at, base=partial(last_snapshot_of, workspace.store, customer))
    except Refusal as refusal:
        return refusal


def _with(snapshot: Snapshot, noticed: Iterable[Diagnostic]) -> Snapshot:
    return replace(snapshot, diagnostics=in_order([*noticed, *snapshot.diagnostics]))
