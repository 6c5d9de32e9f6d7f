"""`sync`: fetches rosters beside each other, and takes them in one after the other, each customer by itself.

What fails with one stops no other. What is to be told of it is handed over in the transaction that writes it down, so
that it is told once; delivery belongs to whoever gives `told` (`operations.notifying`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from reconciler import clock
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity, error, info, warning
from reconciler.model.schedule import is_ahead
from reconciler.model.sync import SyncEvent, SyncOutcome
from reconciler.network.politeness import Hosts
from reconciler.oneroster.sources.interface import Ask, Earlier, Fetched, Source
from reconciler.operations import interruption
from reconciler.operations.failure import UNFORESEEN, unexpected
from reconciler.operations.fetch.fetching import WINDOW, Fetches, Heard, fetches, hosts_of, nobody, source_of
from reconciler.operations.fetch.snapshots import earlier_roster
from reconciler.operations.notify.deliver import signing_secret
from reconciler.operations.sync.applied_config import with_applied
from reconciler.operations.sync.choice import Broken, Candidate, choose
from reconciler.operations.sync.customer import LONGEST, Came, take_in
from reconciler.operations.sync.record import begun, ended, plain_sentences, told, unconfigured
from reconciler.operations.workspace import Workspace
from reconciler.store.database.connection import Connection
from reconciler.store.database.lock import sync_lock
from reconciler.store.errors import StoreProblem
from reconciler.store.sync.records import SyncRecord, keep_sync

# What of the last sync may be believed now: a moment that is still to come is of a clock that was wrong.


#: Days differ between time zones.
ZONES_APART = timedelta(days=1)


def believed(moment: str | None, now: str) -> str | None:
    """The moment (ISO-8601 UTC), None where it is still to come; clocks of machines may differ a little."""
    known = datetime.fromisoformat(moment) if moment else None
    return None if is_ahead(known, datetime.fromisoformat(now)) else moment


def as_of(record: SyncRecord, now: str) -> SyncRecord:
    """What is left of a record: since when something is so is told from now on, where that is not known."""
    moments = (record.fresh_at, record.changed_at, record.whole_at, record.attempted_at)
    ahead = any(believed(each, now) != each for each in moments)
    latest = (datetime.fromisoformat(now) + LONGEST + ZONES_APART).date().isoformat()
    unsettled = ahead or (record.settled_until or "") > latest
    fresh_at, changed_at = believed(record.fresh_at, now), believed(record.changed_at, now)
    first_at = believed(record.first_at, now)
    if (fresh_at, changed_at, first_at) != (record.fresh_at, record.changed_at, record.first_at):
        first_at = now
    return replace(
        record,
        first_at=first_at,
        since=record.since and (believed(record.since, now) or now),
        fresh_at=fresh_at,
        changed_at=changed_at,
        whole_at=believed(record.whole_at, now),
        stale_since=believed(record.stale_since, now),
        # Bytes that came at nobody knows when are as new as the next ones.
        sha256=record.sha256 if changed_at == record.changed_at else None,
        settled=None if unsettled else record.settled,
        settled_until=None if unsettled else record.settled_until,
    )


def whole_since(earlier: str | None, last: str | None, now: str) -> str | None:
    """When all of a roster was fetched last. earlier: of the roster that is kept; last: of the last sync."""
    return max(filter(None, (believed(earlier, now), believed(last, now))), default=None)


#: A source that is asked for changes alone is asked for everything as often as this.
WHOLE_EVERY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """customers: ids; empty for all that are fetched by themselves. due: only those whose moment has come. heard: gives
    the progress of each fetch. lock_timeout: seconds to wait for another apply of a customer."""

    customers: tuple[str, ...] = ()
    due: bool = False
    heard: Heard = nobody
    lock_timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class SyncedCustomer:
    """came: None where it was not synced at all. since: when its outcome began. stale_since: None while its roster is
    fresh. next_at: of the next fetch by itself. sentences: plain ones on why it is not well. diagnostics: for whoever
    operates it. waits: id of a hold that a freeze lets stand."""

    id: str
    came: Came | None
    since: str | None = None
    stale_since: str | None = None
    next_at: str | None = None
    sentences: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    events: tuple[SyncEvent, ...] = ()
    waits: str | None = None


Finished = Callable[[SyncedCustomer], object]


class Told(Protocol):
    def __call__(self, connection: Connection, events: Sequence[SyncEvent]) -> object: ...


def sync(
    workspace: Workspace,
    request: SyncRequest,
    *,
    finished: Finished = lambda result: None,
    told: Told = lambda connection, events: None,
) -> tuple[SyncedCustomer, ...]:
    """In the order of ids. workspace: of the configuration last applied. finished: is given every result as it comes.
    told: is given what is to be told of one customer, inside the writing transaction that records its sync.

    Raises Refusal where a name is nobody's, or the store cannot be read."""
    choice = choose(workspace.store, request.customers, due=request.due)
    run = _Run(workspace, request, finished, told)
    for name, why in choice.skipped.items():
        run.end(SyncedCustomer(name, None, diagnostics=(why,)))
    with workspace.store.kept_open():
        for each in choice.broken:
            run.end(run.without_configuration(each))
        if choice.candidates:
            with fetches() as under_way:
                run.carry_out(choice.candidates, under_way)
    return tuple(sorted(run.results, key=lambda result: result.id))


@dataclass(slots=True)
class _Begun:
    """A customer whose fetch is under way. held: its lock, until it is done. waited: id of what its roster held."""

    candidate: Candidate
    record: SyncRecord
    source: Source | None
    ask: Ask
    held: ExitStack
    waited: str | None


@dataclass(slots=True)
class _Run:
    workspace: Workspace
    request: SyncRequest
    finished: Finished
    told: Told
    results: list[SyncedCustomer] = field(default_factory=list)

    def end(self, result: SyncedCustomer) -> None:
        self.results.append(result)
        self.finished(result)

    def without_configuration(self, broken: Broken) -> SyncedCustomer:
        """Nothing can be fetched; that is written down, and told."""
        name, number = broken.id, broken.number
        came = Came(SyncOutcome.FAILED, diagnostics=broken.why.diagnostics)
        try:
            with sync_lock(self.workspace.store, name):
                with self.workspace.store.reading() as reader:
                    last = reader.syncs(number).get(number, SyncRecord(number))
                record = unconfigured(last, clock.now())
                return self._recorded(name, came, record, told(name, last, record, came), ())
        except Refusal as refusal:
            return _not_begun(name, refusal, due=self.request.due)

    def carry_out(self, candidates: tuple[Candidate, ...], under_way: Fetches) -> None:
        hosts = hosts_of(self.workspace)
        per_host = self.workspace.repository.settings.network.fetches_per_host
        waiting = list(candidates)
        open_: dict[Future[Fetched | Refusal], _Begun] = {}
        try:
            while waiting or open_:
                while len(open_) < WINDOW and (turn := _turn(waiting, open_.values(), per_host)) is not None:
                    one = self._begin(waiting.pop(turn), hosts)
                    if one is not None:
                        open_[_started(one, under_way)] = one
                interruption.let_through()
                done, _ = wait(open_, return_when=FIRST_COMPLETED)
                for future in [each for each in open_ if each in done]:
                    one = open_.pop(future)
                    with one.held:
                        self._finish(one, future)
        finally:
            for future, one in open_.items():
                future.add_done_callback(_give_up)
                # What ends the run is what matters; a lock that cannot be let go ends with the process.
                with suppress(*UNFORESEEN):
                    one.held.close()

    def _begin(self, candidate: Candidate, hosts: Hosts) -> _Begun | None:
        """None where it ended at once."""
        held = ExitStack()
        try:
            held.enter_context(sync_lock(self.workspace.store, candidate.id))
            last, earlier, waited = self._as_it_is_now(candidate)
            now = clock.now()
            if self.request.due and (last.next_at is None or last.next_at > now):
                # Another process has synced it since it was chosen.
                held.close()
                return None
            last = as_of(last, now)
            candidate = replace(candidate, last=last)
            record = begun(last, candidate.schedule, now)
            ask = self._ask(candidate, earlier, now)
            keep_sync(self.workspace.store, record)
        except Refusal as refusal:
            held.close()
            self.end(_not_begun(candidate.id, refusal, due=self.request.due))
            return None
        try:
            source = source_of(
                with_applied(self.workspace, [candidate.resolved]), candidate.customer, candidate.rostering, hosts
            )
        except Refusal as refusal:
            one = _Begun(candidate, record, None, ask, held, waited)
            with held:
                self._finish(one, _already(refusal))
            return None
        return _Begun(candidate, record, source, ask, held, waited)

    def _as_it_is_now(self, candidate: Candidate) -> tuple[SyncRecord, Earlier, str | None]:
        number = candidate.number
        with self.workspace.store.reading() as reader:
            last = reader.syncs(number).get(number, SyncRecord(number))
            return last, earlier_roster(reader, number), reader.held_of_roster(number)

    def _ask(self, candidate: Candidate, earlier: Earlier, now: str) -> Ask:
        whole_at = whole_since(earlier.whole_at, candidate.last.whole_at, now)
        if earlier == Earlier() or whole_at is None:
            whole = True
        else:
            whole = datetime.fromisoformat(now) - datetime.fromisoformat(whole_at) >= WHOLE_EVERY
            earlier = replace(earlier, whole_at=whole_at)
        return Ask(now, self.request.heard(candidate.id), whole=whole, earlier=earlier)

    def _finish(self, one: _Begun, future: Future[Fetched | Refusal]) -> None:
        """Takes in what was fetched, tells, and writes down how it stands."""
        came, source = self._taken(one, future)
        candidate = one.candidate
        record = ended(one.record, candidate.schedule, came, source=source, whole=one.ask.whole, now=clock.now())
        found = told(candidate.id, candidate.last, record, came, one.waited)
        waits = one.waited if came.outcome is SyncOutcome.FROZEN else None
        remarks = [*_remarks(candidate, came, record, waits), *self._of_webhook(candidate)]
        result = self._recorded(candidate.id, came, record, found, remarks)
        self.end(replace(result, waits=waits))

    def _of_webhook(self, candidate: Candidate) -> Iterator[Diagnostic]:
        """That nobody could be told is said before there is anything to tell."""
        notify = candidate.customer.notify
        if notify is None or notify.webhook is None or notify.webhook_secret is None:
            return
        try:
            signing_secret(self.workspace.secrets, candidate.id, notify.webhook_secret.secret)
        except Refusal as refusal:
            for each in refusal.diagnostics:
                yield replace(each, severity=Severity.WARNING)

    def _recorded(
        self,
        name: str,
        came: Came,
        record: SyncRecord,
        found: tuple[SyncEvent, ...],
        remarks: Iterable[Diagnostic],
    ) -> SyncedCustomer:
        """Writes down how a customer stands, with what is to be told of it."""
        diagnostics = [*came.diagnostics, *remarks]
        try:
            keep_sync(self.workspace.store, record, partial(self.told, events=found) if found else None)
        except Refusal as refusal:
            came = replace(came, outcome=SyncOutcome.FAILED)
            diagnostics += refusal.diagnostics
        except UNFORESEEN as problem:  # a door: what cannot be told of one must not keep the others from being synced
            came = replace(came, outcome=SyncOutcome.FAILED)
            diagnostics.append(unexpected(name, "telling of", problem))
        return SyncedCustomer(
            name,
            came,
            record.since,
            record.stale_since,
            record.next_at,
            plain_sentences(came),
            tuple(diagnostics),
            found,
        )

    def _taken(self, one: _Begun, future: Future[Fetched | Refusal]) -> tuple[Came, str]:
        """With the type of its source."""
        source = one.candidate.rostering.sync.type
        try:
            came = future.result()
            if isinstance(came, Refusal):
                return Came(SyncOutcome.REFUSED, diagnostics=came.diagnostics), source
            with came.stream:
                return take_in(self.workspace, one.candidate, came, self.request.lock_timeout), source
        except Refusal as refusal:
            return Came(SyncOutcome.FAILED, diagnostics=refusal.diagnostics), source
        except UNFORESEEN as problem:  # a door: one customer's defect must not keep the others from being synced
            return Came(SyncOutcome.FAILED, diagnostics=(unexpected(one.candidate.id, "syncing", problem),)), source


def _turn(waiting: Sequence[Candidate], open_: Iterable[_Begun], per_host: int) -> int | None:
    """Whose fetch to begin: the first whose host is not busy with others of this run, so that none waits in the place
    of one that could be fetched. None where all of them have to wait."""
    busy = Counter(one.candidate.host for one in open_)
    return next((place for place, each in enumerate(waiting) if busy[each.host] < per_host), None)


def _started(one: _Begun, under_way: Fetches) -> Future[Fetched | Refusal]:
    assert one.source is not None
    return under_way.start(one.source, one.ask)


def _already(refusal: Refusal) -> Future[Fetched | Refusal]:
    future: Future[Fetched | Refusal] = Future()
    future.set_result(refusal)
    return future


def _give_up(future: Future[Fetched | Refusal]) -> None:
    """Nobody takes in what was fetched."""
    if not future.cancelled() and future.exception() is None:
        came = future.result()
        if isinstance(came, Fetched):
            came.stream.close()


def _not_begun(name: str, refusal: Refusal, *, due: bool) -> SyncedCustomer:
    """Another sync of it is under way, which is in order for what runs by itself; or the store is in the way."""
    if not (isinstance(refusal, StoreProblem) and refusal.diagnostic.code == "locked"):
        return SyncedCustomer(name, Came(SyncOutcome.FAILED), diagnostics=refusal.diagnostics)
    what = f"{name} is being synced by another process"
    if due:
        return SyncedCustomer(name, None, diagnostics=(info("sync-under-way", what),))
    under_way = error("sync-under-way", f"{what}; nothing was done here", hint="wait until it is done")
    return SyncedCustomer(name, Came(SyncOutcome.FAILED), diagnostics=(under_way,))


def _remarks(candidate: Candidate, came: Came, record: SyncRecord, waits: str | None) -> Iterator[Diagnostic]:
    """waits: id of a hold that a freeze lets stand."""
    if came.outcome is SyncOutcome.FROZEN:
        yield info(
            "frozen",
            f"until {came.until} nothing of the roster of {candidate.id} is changed; "
            f"{came.hold.rows if came.hold else 0:,} changes wait",
            hint="rostering.calendar says so",
        )
    if waits is not None:
        yield warning(
            "still-held",
            f"{waits} was held before and waits on",
            hint="`reconciler holds` lists it; the first sync after the freeze looks at it again",
        )
    if record.stale_since is not None:
        schedule = candidate.schedule
        periods = schedule.stale_after if schedule else 0
        yield warning(
            "stale-roster",
            f"no fresh roster of {candidate.id} has come since {record.stale_since}: that is {periods} periods or more",
            hint="look at what the source's own export did last; a file of the same content is not a fresh one",
        )
