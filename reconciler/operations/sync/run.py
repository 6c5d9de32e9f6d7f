"""`sync`: fetches rosters beside each other, and takes them in one after the other, each customer by itself.

What fails with one stops no other. What is to be told of it is handed over in the transaction that writes it down, so
that it is told once; delivery belongs to whoever gives `told` (`operations.notifying`).
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from reconciler import clock
from reconciler.log import log_event
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity, build_error, build_info, build_warning
from reconciler.model.schedule import is_ahead
from reconciler.model.sync import SyncEvent, SyncOutcome
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.interface import FetchRequest, PreviousRoster, Source, SourceBundle
from reconciler.operations import interruption
from reconciler.operations.failure import UNEXPECTED_EXCEPTIONS, report_unexpected_error
from reconciler.operations.fetch.fetching import (
    WINDOW,
    FetchPool,
    ProgressFactory,
    create_host_throttle,
    create_source,
    make_silent_progress,
    open_fetch_pool,
)
from reconciler.operations.fetch.snapshots import read_earlier_roster
from reconciler.operations.notify.deliver import read_signing_secret
from reconciler.operations.sync.applied_config import add_applied_customers
from reconciler.operations.sync.choice import SyncCandidate, UnreadableCustomer, select_sync_candidates
from reconciler.operations.sync.customer import MAX_SETTLED_TIME, SyncResult, process_fetched_roster
from reconciler.operations.sync.record import (
    collect_sync_events,
    finish_sync_record,
    list_plain_sentences,
    mark_unconfigured,
    start_sync_record,
)
from reconciler.operations.workspace import Workspace
from reconciler.store.database.connection import Connection
from reconciler.store.database.lock import lock_sync
from reconciler.store.errors import StoreProblem
from reconciler.store.sync.records import SyncRecord, find_roster_hold, read_sync_records, save_sync

_log = logging.getLogger(__name__)

# What of the last sync may be believed now: a moment that is still to come is of a clock that was wrong.


#: Days differ between time zones.
MAX_ZONE_DIFFERENCE = timedelta(days=1)


def discard_future_moment(moment: str | None, now: str) -> str | None:
    """The moment (ISO-8601 UTC), None where it is still to come; clocks of machines may differ a little."""
    known = datetime.fromisoformat(moment) if moment else None
    return None if is_ahead(known, datetime.fromisoformat(now)) else moment


def sanitize_sync_record(record: SyncRecord, now: str) -> SyncRecord:
    """What is left of a record: since when something is so is told from now on, where that is not known."""
    moments = (record.fresh_at, record.changed_at, record.whole_at, record.attempted_at)
    ahead = any(discard_future_moment(each, now) != each for each in moments)
    latest = (datetime.fromisoformat(now) + MAX_SETTLED_TIME + MAX_ZONE_DIFFERENCE).date().isoformat()
    unsettled = ahead or (record.settled_until or "") > latest
    fresh_at, changed_at = discard_future_moment(record.fresh_at, now), discard_future_moment(record.changed_at, now)
    first_at = discard_future_moment(record.first_at, now)
    if (fresh_at, changed_at, first_at) != (record.fresh_at, record.changed_at, record.first_at):
        first_at = now
    return replace(
        record,
        first_at=first_at,
        since=record.since and (discard_future_moment(record.since, now) or now),
        fresh_at=fresh_at,
        changed_at=changed_at,
        whole_at=discard_future_moment(record.whole_at, now),
        stale_since=discard_future_moment(record.stale_since, now),
        # Bytes that came at nobody knows when are as new as the next ones.
        sha256=record.sha256 if changed_at == record.changed_at else None,
        settled=None if unsettled else record.settled,
        settled_until=None if unsettled else record.settled_until,
    )


def find_last_full_roster(earlier: str | None, last: str | None, now: str) -> str | None:
    """When all of a roster was fetched last. earlier: of the roster that is kept; last: of the last sync."""
    return max(filter(None, (discard_future_moment(earlier, now), discard_future_moment(last, now))), default=None)


#: A source that is asked for changes alone is asked for everything as often as this.
FULL_ROSTER_EVERY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """customers: ids; empty for all that are fetched by themselves. due: only those whose moment has come. heard: gives
    the progress of each fetch. lock_timeout: seconds to wait for another apply of a customer."""

    customers: tuple[str, ...] = ()
    due_only: bool = False
    progress_factory: ProgressFactory = make_silent_progress
    lock_timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class CustomerSyncResult:
    """came: None where it was not synced at all. since: when its outcome began. stale_since: None while its roster is
    fresh. next_at: of the next fetch by itself. sentences: plain ones on why it is not well. diagnostics: for whoever
    operates it. waits: id of a hold that a freeze lets stand."""

    id: str
    result: SyncResult | None
    since: str | None = None
    stale_since: str | None = None
    next_at: str | None = None
    sentences: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    events: tuple[SyncEvent, ...] = ()
    waiting_hold: str | None = None


OnFinished = Callable[[CustomerSyncResult], object]


class EventSink(Protocol):
    def __call__(self, connection: Connection, events: Sequence[SyncEvent]) -> object: ...


def sync_customers(
    workspace: Workspace,
    request: SyncRequest,
    *,
    on_finished: OnFinished = lambda result: None,
    on_events: EventSink = lambda connection, events: None,
) -> tuple[CustomerSyncResult, ...]:
    """In the order of ids. workspace: of the configuration last applied. finished: is given every result as it comes.
    told: is given what is to be told of one customer, inside the writing transaction that records its sync.

    Raises Refusal where a name is nobody's, or the store cannot be read."""
    choice = select_sync_candidates(workspace.store, request.customers, due_only=request.due_only)
    run = _SyncJob(workspace, request, on_finished, on_events)
    for name, why in choice.skipped.items():
        run.add_result(CustomerSyncResult(name, None, diagnostics=(why,)))
    with workspace.store.keep_open():
        for each in choice.unreadable:
            run.add_result(run.record_unreadable(each))
        if choice.candidates:
            with open_fetch_pool() as under_way:
                run.run_fetches(choice.candidates, under_way)
    return tuple(sorted(run.results, key=lambda result: result.id))


@dataclass(slots=True)
class _SyncInProgress:
    """A customer whose fetch is under way. held: its lock, until it is done. waited: id of what its roster held."""

    candidate: SyncCandidate
    record: SyncRecord
    source: Source | None
    ask: FetchRequest
    lock: ExitStack
    earlier_hold: str | None


@dataclass(slots=True)
class _SyncJob:
    workspace: Workspace
    request: SyncRequest
    on_finished: OnFinished
    on_events: EventSink
    results: list[CustomerSyncResult] = field(default_factory=list)

    def add_result(self, result: CustomerSyncResult) -> None:
        _log_result(result)
        self.results.append(result)
        self.on_finished(result)

    def record_unreadable(self, unreadable: UnreadableCustomer) -> CustomerSyncResult:
        """Nothing can be fetched; that is written down, and told."""
        name, number = unreadable.id, unreadable.customer_number
        came = SyncResult(SyncOutcome.FAILED, diagnostics=unreadable.refusal.diagnostics)
        try:
            with lock_sync(self.workspace.store.dialect, name):
                with self.workspace.store.open_reader() as reader:
                    last = read_sync_records(reader.connection, number).get(number, SyncRecord(number))
                record = mark_unconfigured(last, clock.get_current_moment())
                return self._save_result(name, came, record, collect_sync_events(name, last, record, came), ())
        except Refusal as refusal:
            return _report_not_begun(name, refusal, due_only=self.request.due_only)

    def run_fetches(self, candidates: tuple[SyncCandidate, ...], fetch_pool: FetchPool) -> None:
        hosts = create_host_throttle(self.workspace)
        per_host = self.workspace.repository.settings.network.fetches_per_host
        waiting = list(candidates)
        open_: dict[Future[SourceBundle | Refusal], _SyncInProgress] = {}
        try:
            while waiting or open_:
                while len(open_) < WINDOW and (turn := _find_next_turn(waiting, open_.values(), per_host)) is not None:
                    one = self._begin_sync(waiting.pop(turn), hosts)
                    if one is not None:
                        open_[_start_fetch(one, fetch_pool)] = one
                interruption.allow_keyboard_interrupt()
                done, _ = wait(open_, return_when=FIRST_COMPLETED)
                for future in [each for each in open_ if each in done]:
                    one = open_.pop(future)
                    with one.lock:
                        self._finish_sync(one, future)
        finally:
            for future, one in open_.items():
                future.add_done_callback(_close_fetched_stream)
                # What ends the run is what matters; a lock that cannot be let go ends with the process.
                with suppress(*UNEXPECTED_EXCEPTIONS):
                    one.lock.close()

    def _begin_sync(self, candidate: SyncCandidate, hosts: HostThrottle) -> _SyncInProgress | None:
        """None where it ended at once."""
        held = ExitStack()
        try:
            held.enter_context(lock_sync(self.workspace.store.dialect, candidate.id))
            last, earlier, waited = self._read_current_state(candidate)
            now = clock.get_current_moment()
            if self.request.due_only and (last.next_at is None or last.next_at > now):
                # Another process has synced it since it was chosen.
                held.close()
                return None
            last = sanitize_sync_record(last, now)
            candidate = replace(candidate, last_sync=last)
            record = start_sync_record(last, candidate.schedule, now)
            ask = self._build_fetch_request(candidate, earlier, now)
            save_sync(self.workspace.store, record)
        except Refusal as refusal:
            held.close()
            self.add_result(_report_not_begun(candidate.id, refusal, due_only=self.request.due_only))
            return None
        try:
            source = create_source(
                add_applied_customers(self.workspace, [candidate.resolved]),
                candidate.customer,
                candidate.rostering,
                hosts,
            )
        except Refusal as refusal:
            one = _SyncInProgress(candidate, record, None, ask, held, waited)
            with held:
                self._finish_sync(one, _wrap_refusal(refusal))
            return None
        return _SyncInProgress(candidate, record, source, ask, held, waited)

    def _read_current_state(self, candidate: SyncCandidate) -> tuple[SyncRecord, PreviousRoster, str | None]:
        number = candidate.customer_number
        with self.workspace.store.open_reader() as reader:
            last = read_sync_records(reader.connection, number).get(number, SyncRecord(number))
            return last, read_earlier_roster(reader, number), find_roster_hold(reader.connection, number)

    def _build_fetch_request(self, candidate: SyncCandidate, earlier: PreviousRoster, now: str) -> FetchRequest:
        whole_at = find_last_full_roster(earlier.whole_at, candidate.last_sync.whole_at, now)
        if earlier == PreviousRoster() or whole_at is None:
            whole = True
        else:
            whole = datetime.fromisoformat(now) - datetime.fromisoformat(whole_at) >= FULL_ROSTER_EVERY
            earlier = replace(earlier, whole_at=whole_at)
        return FetchRequest(now, self.request.progress_factory(candidate.id), require_full=whole, earlier=earlier)

    def _finish_sync(self, current: _SyncInProgress, future: Future[SourceBundle | Refusal]) -> None:
        """Takes in what was fetched, tells, and writes down how it stands."""
        came, source = self._process_fetch(current, future)
        candidate = current.candidate
        record = finish_sync_record(
            current.record,
            candidate.schedule,
            came,
            source=source,
            is_full=current.ask.require_full,
            now=clock.get_current_moment(),
        )
        found = collect_sync_events(candidate.id, candidate.last_sync, record, came, current.earlier_hold)
        waits = current.earlier_hold if came.outcome is SyncOutcome.FROZEN else None
        remarks = [*_list_diagnostics(candidate, came, record, waits), *self._check_webhook_secret(candidate)]
        result = self._save_result(candidate.id, came, record, found, remarks)
        self.add_result(replace(result, waiting_hold=waits))

    def _check_webhook_secret(self, candidate: SyncCandidate) -> Iterator[Diagnostic]:
        """That nobody could be told is said before there is anything to tell."""
        notify = candidate.customer.notify
        if notify is None or notify.webhook is None or notify.webhook_secret is None:
            return
        try:
            read_signing_secret(self.workspace.secrets, candidate.id, notify.webhook_secret.secret)
        except Refusal as refusal:
            for each in refusal.diagnostics:
                yield replace(each, severity=Severity.WARNING)

    def _save_result(
        self,
        name: str,
        result: SyncResult,
        record: SyncRecord,
        events: tuple[SyncEvent, ...],
        extra_diagnostics: Iterable[Diagnostic],
    ) -> CustomerSyncResult:
        """Writes down how a customer stands, with what is to be told of it."""
        diagnostics = [*result.diagnostics, *extra_diagnostics]
        try:
            save_sync(self.workspace.store, record, partial(self.on_events, events=events) if events else None)
        except Refusal as refusal:
            result = replace(result, outcome=SyncOutcome.FAILED)
            diagnostics += refusal.diagnostics
        except (
            UNEXPECTED_EXCEPTIONS
        ) as problem:  # a door: what cannot be told of one must not keep the others from being synced
            result = replace(result, outcome=SyncOutcome.FAILED)
            diagnostics.append(report_unexpected_error(name, "telling of", problem))
        return CustomerSyncResult(
            name,
            result,
            record.since,
            record.stale_since,
            record.next_at,
            list_plain_sentences(result),
            tuple(diagnostics),
            events,
        )

    def _process_fetch(
        self, current: _SyncInProgress, future: Future[SourceBundle | Refusal]
    ) -> tuple[SyncResult, str]:
        """With the type of its source."""
        source = current.candidate.rostering.sync.type
        try:
            came = future.result()
            if isinstance(came, Refusal):
                return SyncResult(SyncOutcome.REFUSED, diagnostics=came.diagnostics), source
            with came.stream:
                return process_fetched_roster(
                    self.workspace, current.candidate, came, self.request.lock_timeout
                ), source
        except Refusal as refusal:
            return SyncResult(SyncOutcome.FAILED, diagnostics=refusal.diagnostics), source
        except (
            UNEXPECTED_EXCEPTIONS
        ) as problem:  # a door: one customer's defect must not keep the others from being synced
            return SyncResult(
                SyncOutcome.FAILED, diagnostics=(report_unexpected_error(current.candidate.id, "syncing", problem),)
            ), source


def _find_next_turn(waiting: Sequence[SyncCandidate], running: Iterable[_SyncInProgress], per_host: int) -> int | None:
    """Whose fetch to begin: the first whose host is not busy with others of this run, so that none waits in the place
    of one that could be fetched. None where all of them have to wait."""
    busy = Counter(one.candidate.host for one in running)
    return next((place for place, each in enumerate(waiting) if busy[each.host] < per_host), None)


def _log_result(finished: CustomerSyncResult) -> None:
    result = finished.result
    log_event(
        _log,
        "sync",
        customer=finished.id,
        outcome=result.outcome if result else "skipped",
        runs=",".join(map(str, result.runs)) or None if result else None,
        people_removed=result.people.removed if result else None,
        people_added=result.people.added if result else None,
        people_changed=result.people.changed if result else None,
        hold=result.hold.id if result and result.hold else None,
        errors=",".join(sorted({each.code for each in finished.diagnostics if each.is_error})) or None,
        next_at=finished.next_at,
    )


def _start_fetch(current: _SyncInProgress, fetch_pool: FetchPool) -> Future[SourceBundle | Refusal]:
    assert current.source is not None
    return fetch_pool.start_fetch(current.candidate.id, current.source, current.ask)


def _wrap_refusal(refusal: Refusal) -> Future[SourceBundle | Refusal]:
    future: Future[SourceBundle | Refusal] = Future()
    future.set_result(refusal)
    return future


def _close_fetched_stream(future: Future[SourceBundle | Refusal]) -> None:
    """Nobody takes in what was fetched."""
    if not future.cancelled() and future.exception() is None:
        came = future.result()
        if isinstance(came, SourceBundle):
            came.stream.close()


def _report_not_begun(name: str, refusal: Refusal, *, due_only: bool) -> CustomerSyncResult:
    """Another sync of it is under way, which is in order for what runs by itself; or the store is in the way."""
    if not (isinstance(refusal, StoreProblem) and refusal.diagnostic.code == "locked"):
        return CustomerSyncResult(name, SyncResult(SyncOutcome.FAILED), diagnostics=refusal.diagnostics)
    what = f"{name} is being synced by another process"
    if due_only:
        return CustomerSyncResult(name, None, diagnostics=(build_info("sync-under-way", what),))
    under_way = build_error("sync-under-way", f"{what}; nothing was done here", hint="wait until it is done")
    return CustomerSyncResult(name, SyncResult(SyncOutcome.FAILED), diagnostics=(under_way,))


def _list_diagnostics(
    candidate: SyncCandidate, result: SyncResult, record: SyncRecord, waiting_hold: str | None
) -> Iterator[Diagnostic]:
    """waits: id of a hold that a freeze lets stand."""
    if result.outcome is SyncOutcome.FROZEN:
        yield build_info(
            "frozen",
            f"until {result.frozen_until} nothing of the roster of {candidate.id} is changed; "
            f"{result.hold.rows if result.hold else 0:,} changes wait",
            hint="rostering.calendar says so",
        )
    if waiting_hold is not None:
        yield build_warning(
            "still-held",
            f"{waiting_hold} was held before and waits on",
            hint="`reconciler holds` lists it; the first sync after the freeze looks at it again",
        )
    if record.stale_since is not None:
        schedule = candidate.schedule
        periods = schedule.stale_after if schedule else 0
        yield build_warning(
            "stale-roster",
            f"no fresh roster of {candidate.id} has come since {record.stale_since}: that is {periods} periods or more",
            hint="look at what the source's own export did last; a file of the same content is not a fresh one",
        )
