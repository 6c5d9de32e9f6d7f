"""Sync customers: fetch their rosters in parallel, and process them one after the other.

A failure of one customer does not stop the others. A customer's events are handed to `on_events` in the transaction
that records its sync, so that each is queued once; `operations.notify` delivers them.
"""

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
from reconciler.model.ids import CustomerId, HoldId, Moment
from reconciler.model.schedule import is_ahead
from reconciler.model.sync import SyncEvent, SyncOutcome
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources import FetchRequest, PreviousRoster, Source, SourceBundle
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
from reconciler.operations.fetch.fresh import close_fetched_stream
from reconciler.operations.fetch.snapshots import read_earlier_roster
from reconciler.operations.notify.deliver import read_signing_secret, read_webhook_url
from reconciler.operations.sync.applied_config import add_applied_customers
from reconciler.operations.sync.choice import SyncCandidate, UnreadableCustomer, select_sync_candidates
from reconciler.operations.sync.customer import BUSY_CODES, MAX_SETTLED_TIME, SyncResult, process_fetched_roster
from reconciler.operations.sync.record import (
    collect_sync_events,
    finish_sync_record,
    list_plain_sentences,
    mark_unconfigured,
    start_sync_record,
)
from reconciler.operations.workspace import Workspace
from reconciler.store.database import Connection, lock_sync
from reconciler.store.errors import StoreProblem
from reconciler.store.sync import SyncRecord, find_roster_hold, read_sync_records, save_sync

_log = logging.getLogger(__name__)

#: Dates differ between time zones.
MAX_ZONE_DIFFERENCE = timedelta(days=1)


def discard_future_moment(moment: Moment | None, now: Moment) -> Moment | None:
    """Return the moment (ISO-8601 UTC), or None if it is in the future by more than clocks differ."""
    known = datetime.fromisoformat(moment) if moment else None
    return None if is_ahead(known, datetime.fromisoformat(now)) else moment


def sanitize_sync_record(record: SyncRecord, now: Moment) -> SyncRecord:
    """Return the record without moments in the future, which a wrong clock wrote."""
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
        # Without the moment of its last change, the next content counts as new.
        sha256=record.sha256 if changed_at == record.changed_at else None,
        settled=None if unsettled else record.settled,
        settled_until=None if unsettled else record.settled_until,
    )


def find_last_full_roster(earlier: Moment | None, last: Moment | None, now: Moment) -> Moment | None:
    """Return the moment of the last full fetch. earlier: of the saved roster; last: of the last sync."""
    return max(filter(None, (discard_future_moment(earlier, now), discard_future_moment(last, now))), default=None)


#: A source of delta rosters is asked for a full one this often.
FULL_ROSTER_EVERY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class SyncRequest:
    #: ids; empty for all with an automatic frequency
    customers: tuple[CustomerId, ...] = ()
    due_only: bool = False
    progress_factory: ProgressFactory = make_silent_progress
    #: seconds to wait for another apply of a customer
    lock_timeout: float = 0.0


@dataclass(frozen=True, slots=True)
class CustomerSyncResult:
    id: CustomerId
    #: None if it was not synced at all
    result: SyncResult | None
    #: moment since which it has this outcome
    since: Moment | None = None
    #: None while its roster is fresh
    stale_since: Moment | None = None
    #: moment of the next automatic fetch
    next_at: Moment | None = None
    #: for school administrators
    sentences: tuple[str, ...] = ()
    #: for operators
    diagnostics: tuple[Diagnostic, ...] = ()
    events: tuple[SyncEvent, ...] = ()
    #: id of an earlier hold that stays during a freeze
    waiting_hold: HoldId | None = None


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
    """Sync the requested customers, and return the results sorted by id.

    workspace: of the configuration last applied. on_finished: called with each result at once. on_events: called with
    a customer's events, in the write transaction that records its sync. Raises Refusal for an unknown id, or if the
    store cannot be read."""
    selection = select_sync_candidates(workspace.store, request.customers, due_only=request.due_only)
    run = _SyncJob(workspace, request, on_finished, on_events)
    for name, why in selection.skipped.items():
        run.add_result(CustomerSyncResult(name, None, diagnostics=(why,)))
    with workspace.store.keep_open():
        for each in selection.unreadable:
            run.add_result(run.record_unreadable(each))
        if selection.candidates:
            with open_fetch_pool() as pool:
                run.run_fetches(selection.candidates, pool)
    return tuple(sorted(run.results, key=lambda result: result.id))


@dataclass(slots=True)
class _SyncInProgress:
    """A customer whose fetch is running."""

    candidate: SyncCandidate
    record: SyncRecord
    source: Source | None
    request: FetchRequest
    #: the customer's sync lock
    lock: ExitStack
    #: id of the roster's hold before this sync
    earlier_hold: HoldId | None


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
        """Record a customer that cannot be fetched, and return its result."""
        name, number = unreadable.id, unreadable.customer_number
        result = SyncResult(SyncOutcome.FAILED, diagnostics=unreadable.refusal.diagnostics)
        try:
            with lock_sync(self.workspace.store.dialect, name):
                with self.workspace.store.open_reader() as reader:
                    last = read_sync_records(reader.connection, number).get(number, SyncRecord(number))
                record = mark_unconfigured(last, clock.get_current_moment())
                return self._save_result(name, result, record, collect_sync_events(name, last, record, result), ())
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
            hosts.stop()
            for future, one in open_.items():
                if not future.cancel():
                    future.add_done_callback(close_fetched_stream)
                # Keep the exception that ends the run; a lock that cannot be released ends with the process.
                with suppress(*UNEXPECTED_EXCEPTIONS):
                    one.lock.close()

    def _begin_sync(self, candidate: SyncCandidate, hosts: HostThrottle) -> _SyncInProgress | None:
        """Lock a customer and record the start of its sync; return None if the sync ended at once."""
        lock = ExitStack()
        try:
            lock.enter_context(lock_sync(self.workspace.store.dialect, candidate.id))
            last, earlier, earlier_hold = self._read_current_state(candidate)
            now = clock.get_current_moment()
            if self.request.due_only and (last.next_at is None or last.next_at > now):
                # Another process has synced it since it was selected.
                lock.close()
                return None
            last = sanitize_sync_record(last, now)
            candidate = replace(candidate, last_sync=last)
            record = start_sync_record(last, candidate.schedule, now)
            request = self._build_fetch_request(candidate, earlier, now)
            save_sync(self.workspace.store, record)
        except Refusal as refusal:
            lock.close()
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
            one = _SyncInProgress(candidate, record, None, request, lock, earlier_hold)
            with lock:
                self._finish_sync(one, _wrap_refusal(refusal))
            return None
        return _SyncInProgress(candidate, record, source, request, lock, earlier_hold)

    def _read_current_state(self, candidate: SyncCandidate) -> tuple[SyncRecord, PreviousRoster, HoldId | None]:
        number = candidate.customer_number
        with self.workspace.store.open_reader() as reader:
            last = read_sync_records(reader.connection, number).get(number, SyncRecord(number))
            return last, read_earlier_roster(reader, number), find_roster_hold(reader.connection, number)

    def _build_fetch_request(self, candidate: SyncCandidate, earlier: PreviousRoster, now: Moment) -> FetchRequest:
        whole_at = find_last_full_roster(earlier.whole_at, candidate.last_sync.whole_at, now)
        if earlier == PreviousRoster() or whole_at is None:
            is_full = True
        else:
            is_full = datetime.fromisoformat(now) - datetime.fromisoformat(whole_at) >= FULL_ROSTER_EVERY
            earlier = replace(earlier, whole_at=whole_at)
        return FetchRequest(now, self.request.progress_factory(candidate.id), require_full=is_full, earlier=earlier)

    def _finish_sync(self, current: _SyncInProgress, future: Future[SourceBundle | Refusal]) -> None:
        """Process a finished fetch, and save its result and events."""
        result, source = self._process_fetch(current, future)
        candidate = current.candidate
        record = finish_sync_record(
            current.record,
            candidate.schedule,
            result,
            source=source,
            is_full=current.request.require_full,
            now=clock.get_current_moment(),
        )
        events = collect_sync_events(candidate.id, candidate.last_sync, record, result, current.earlier_hold)
        waiting_hold = current.earlier_hold if result.outcome is SyncOutcome.FROZEN else None
        diagnostics = [
            *_list_diagnostics(candidate, result, record, waiting_hold),
            *self._check_webhook_secret(candidate),
        ]
        saved = self._save_result(candidate.id, result, record, events, diagnostics)
        self.add_result(replace(saved, waiting_hold=waiting_hold))

    def _check_webhook_secret(self, candidate: SyncCandidate) -> Iterator[Diagnostic]:
        """Warn about unusable secrets of a webhook before there is anything to send."""
        notify = candidate.customer.notify
        if notify is None or notify.webhook is None:
            return
        secrets = self.workspace.secrets
        checks: list[Callable[[], object]] = [partial(read_webhook_url, secrets, candidate.id, notify.webhook)]
        if notify.webhook_secret is not None:
            checks.append(partial(read_signing_secret, secrets, candidate.id, notify.webhook_secret.secret))
        for check in checks:
            try:
                check()
            except Refusal as refusal:
                for each in refusal.diagnostics:
                    yield replace(each, severity=Severity.WARNING)

    def _save_result(
        self,
        name: CustomerId,
        result: SyncResult,
        record: SyncRecord,
        events: tuple[SyncEvent, ...],
        extra_diagnostics: Iterable[Diagnostic],
    ) -> CustomerSyncResult:
        """Save the record and the events of a customer, and return its result."""
        diagnostics = [*result.diagnostics, *extra_diagnostics]
        try:
            save_sync(self.workspace.store, record, partial(self.on_events, events=events) if events else None)
        except Refusal as refusal:
            result = replace(result, outcome=_choose_outcome(refusal))
            diagnostics += refusal.diagnostics
        except UNEXPECTED_EXCEPTIONS as problem:  # one customer's events must not keep the others from being synced
            result = replace(result, outcome=SyncOutcome.FAILED)
            diagnostics.append(report_unexpected_error(name, "recording the sync of", problem))
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
        """Return the result of a fetch, and the type of its source."""
        source = current.candidate.rostering.sync.type
        try:
            fetched = future.result()
            if isinstance(fetched, Refusal):
                return SyncResult(SyncOutcome.REFUSED, diagnostics=fetched.diagnostics), source
            with fetched.stream:
                return process_fetched_roster(
                    self.workspace, current.candidate, fetched, self.request.lock_timeout
                ), source
        except Refusal as refusal:
            return SyncResult(_choose_outcome(refusal), diagnostics=refusal.diagnostics), source
        except UNEXPECTED_EXCEPTIONS as problem:  # one customer's defect must not keep the others from being synced
            return SyncResult(
                SyncOutcome.FAILED, diagnostics=(report_unexpected_error(current.candidate.id, "syncing", problem),)
            ), source


def _find_next_turn(waiting: Sequence[SyncCandidate], running: Iterable[_SyncInProgress], per_host: int) -> int | None:
    """Return the index of the first candidate whose host has room for another fetch, or None if all have to wait."""
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
    return fetch_pool.start_fetch(current.candidate.id, current.source, current.request)


def _wrap_refusal(refusal: Refusal) -> Future[SourceBundle | Refusal]:
    future: Future[SourceBundle | Refusal] = Future()
    future.set_result(refusal)
    return future


def _choose_outcome(refusal: Refusal) -> SyncOutcome:
    """Return POSTPONED if another process kept the store busy for too long, which is no failure of the sync."""
    is_busy = any(each.code in BUSY_CODES for each in refusal.diagnostics)
    return SyncOutcome.POSTPONED if is_busy else SyncOutcome.FAILED


def _report_not_begun(name: CustomerId, refusal: Refusal, *, due_only: bool) -> CustomerSyncResult:
    """Return the result of a sync that could not start; another running sync is no failure if only due ones run."""
    if not (isinstance(refusal, StoreProblem) and refusal.diagnostic.code == "locked"):
        return CustomerSyncResult(name, SyncResult(_choose_outcome(refusal)), diagnostics=refusal.diagnostics)
    what = f"another process is syncing {name}"
    if due_only:
        return CustomerSyncResult(name, None, diagnostics=(build_info("sync-under-way", what),))
    under_way = build_error("sync-under-way", f"{what}; nothing was done", hint="Wait until it is done.")
    return CustomerSyncResult(name, SyncResult(SyncOutcome.FAILED), diagnostics=(under_way,))


def _list_diagnostics(
    candidate: SyncCandidate, result: SyncResult, record: SyncRecord, waiting_hold: HoldId | None
) -> Iterator[Diagnostic]:
    """Yield what operators should know about a sync. waiting_hold: id of an earlier hold that stays in a freeze."""
    if result.outcome is SyncOutcome.FROZEN:
        yield build_info(
            "frozen",
            f"the roster of {candidate.id} is frozen until {result.frozen_until}; "
            f"{result.hold.rows if result.hold else 0:,} changes are waiting",
            hint="See rostering.calendar.",
        )
    if waiting_hold is not None:
        yield build_warning(
            "still-held",
            f"hold {waiting_hold} is still waiting",
            hint="The first sync after the freeze checks it again. See it: reconciler holds",
        )
    if record.stale_since is not None:
        schedule = candidate.schedule
        periods = schedule.stale_after if schedule else 0
        yield build_warning(
            "stale-roster",
            f"no fresh roster of {candidate.id} has arrived since {record.stale_since}, for {periods} periods or more",
            hint="Check the source's own export. A file with unchanged content does not count as fresh.",
        )
