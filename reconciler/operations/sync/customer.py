"""Process a fetched roster of one customer: end early if nothing changed, else plan it and apply it within limits.

Uses the configuration last applied and reads it again for every plan, so that an apply in the meantime wins.
"""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import BinaryIO, cast

import orjson
import polars as pl

import reconciler
from reconciler import clock
from reconciler.config.load import ResolvedCustomer
from reconciler.config.models import OneRosterRostering, Policy
from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity, build_error
from reconciler.model.ids import CustomerId, RunId
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Hold, Outcome, Plan
from reconciler.model.sync import SyncOutcome
from reconciler.oneroster.sources import SourceBundle
from reconciler.operations.apply.apply import ApplyOutcome, apply_plan
from reconciler.operations.apply.held_plan import save_remaining_plan
from reconciler.operations.fetch.fresh import OVERTAKEN_ROSTER
from reconciler.operations.plan.plan import make_plan
from reconciler.operations.plan.request import PlanRequest, RosterChoice
from reconciler.operations.plan.rules import find_season
from reconciler.operations.sync.applied_config import add_applied_customers, read_applied_customer
from reconciler.operations.sync.choice import SyncCandidate
from reconciler.operations.workspace import Workspace
from reconciler.planning.holds import SeasonMode
from reconciler.store.read import CustomerRecord
from reconciler.store.sync import find_newest_erasure, find_roster_hold

#: Even an unchanged roster is compared after this time.
MAX_SETTLED_TIME = timedelta(days=30)


def digest_sync_inputs(
    sha256: str, settings_digest: str | None, version: tuple[RunId, int], erased: int, policy: Policy
) -> str | None:
    """Return one digest of everything that a sync's result depends on; an equal digest means nothing to do.

    None if the configuration was changed outside reconciler. sha256: of the bundle. version: `CustomerRecord.version`
    after the sync. erased: id of the newest certificate that erases a person or lifts an erasure."""
    if settings_digest is None:
        return None
    inputs = [sha256, settings_digest, version, erased, policy.model_dump(mode="json"), reconciler.__version__]
    return hashlib.sha256(orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)).hexdigest()


def find_last_settled_day(
    rostering: OneRosterRostering, sessions: pl.DataFrame | None, roles: pl.DataFrame | None, today: str
) -> str:
    """Return the last date (YYYY-MM-DD, in the customer's time zone) on which the same roster gives the same result.

    After it a season or a role begins or ends, or an exception, a pre-approval or a term ends. `sessions` and `roles`
    are those of the last good roster."""
    day = date.fromisoformat(today)
    return min(
        [day + MAX_SETTLED_TIME, *(each for each in _list_turning_days(rostering, sessions, roles) if each >= day)]
    ).isoformat()


def _list_turning_days(
    rostering: OneRosterRostering, sessions: pl.DataFrame | None, roles: pl.DataFrame | None
) -> Iterator[date]:
    """Yield the last dates before a change."""
    for season in rostering.calendar:
        yield season.from_ - timedelta(days=1)
        yield season.to
    for exception in rostering.allow:
        yield exception.until
    for approval in rostering.approvals:
        yield approval.until
    if sessions is not None:
        # A session's end is the first day after it.
        for end in _list_dates(sessions, "end"):
            yield end - timedelta(days=1)
    if roles is not None:
        for begin in _list_dates(roles, "begin_date"):
            yield begin - timedelta(days=1)
        yield from _list_dates(roles, "end_date")


def _list_dates(frame: pl.DataFrame, column: str) -> list[date]:
    if column not in frame.columns:
        # Rosters saved by earlier versions have no dates of roles.
        return []
    dates: list[date] = frame[column].str.to_date("%Y-%m-%d", strict=False).drop_nulls().unique().to_list()
    return dates


#: plans of one sync at most: others may apply in the meantime, and held changes get a plan of their own
MAX_PLANS = 5

#: Diagnostic codes of an apply that had to wait too long for another process.
BUSY_CODES = frozenset({"locked", "store-busy"})

REMOVING_ACTIONS = (Action.DELETE.value, Action.SUSPEND.value)
ADDING_ACTIONS = (Action.CREATE.value, Action.RESTORE.value, Action.RESUME.value)


@dataclass(frozen=True, slots=True)
class ChangeTally:
    """Numbers of rows that were removed, added and otherwise changed."""

    removed: int = 0
    added: int = 0
    changed: int = 0

    def __add__(self, other: "ChangeTally") -> "ChangeTally":
        return ChangeTally(self.removed + other.removed, self.added + other.added, self.changed + other.changed)


@dataclass(frozen=True, slots=True)
class SyncResult:
    outcome: SyncOutcome
    #: of the bundle; None if none was read completely
    sha256: str | None = None
    #: the roster was not compared, because nothing changed since the last clean sync
    ended_early: bool = False
    #: that wrote changes
    runs: tuple[RunId, ...] = ()
    #: changes to people by these runs
    people: ChangeTally = ChangeTally()
    #: changes to all rows by these runs
    rows: ChangeTally = ChangeTally()
    hold: Hold | None = None
    #: a plan of exactly the held changes is in the store
    is_plan_saved: bool = False
    #: number of the plan's warnings
    warnings: int = 0
    #: number of the roster's quarantined rows
    quarantined: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()
    #: digest of a clean sync's inputs; None after any other sync
    settled: str | None = None
    #: last date on which `settled` holds, YYYY-MM-DD
    settled_until: str | None = None
    #: last date of the freeze, YYYY-MM-DD; None without one
    frozen_until: str | None = None


@dataclass(frozen=True, slots=True)
class _CustomerState:
    """The customer's current state in the store."""

    record: CustomerRecord
    resolved: ResolvedCustomer
    #: id of the newest certificate of an erasure
    erased: int
    roster_is_held: bool

    @property
    def rostering(self) -> OneRosterRostering:
        rostering = self.resolved.customer.rostering
        assert isinstance(rostering, OneRosterRostering)
        return rostering


def process_fetched_roster(
    workspace: Workspace, candidate: SyncCandidate, fetched: SourceBundle, lock_timeout: float = 0.0
) -> SyncResult:
    """Plan and apply a fetched roster, and leave its stream open. Raises Refusal if the store cannot be used."""
    fetched.stream.seek(0)
    sha256 = hashlib.file_digest(fetched.stream, "sha256").hexdigest()  # type: ignore[arg-type]
    last = candidate.last_sync
    state = _read_state(workspace, candidate)
    if _has_source_changed(candidate, state):
        return SyncResult(SyncOutcome.FAILED, diagnostics=(_describe_configuration_change(candidate.id),))
    today = clock.get_current_day(state.resolved.customer.timezone)
    unchanged = _digest_state(workspace, state, sha256)
    if (
        unchanged is not None
        and unchanged == last.settled
        and today <= (last.settled_until or "")
        and not state.roster_is_held
    ):
        return SyncResult(
            SyncOutcome.UNCHANGED,
            sha256,
            ended_early=True,
            quarantined=_count_saved_quarantine(workspace, state),
            settled=last.settled,
            settled_until=last.settled_until,
        )
    return _RosterProcessor(workspace, candidate, fetched, sha256, lock_timeout).plan_and_apply(state)


@dataclass(slots=True)
class _RosterProcessor:
    workspace: Workspace
    candidate: SyncCandidate
    fetched: SourceBundle
    sha256: str
    lock_timeout: float
    result: SyncResult = SyncResult(SyncOutcome.UNCHANGED)

    def plan_and_apply(self, state: _CustomerState) -> SyncResult:
        for _ in range(MAX_PLANS):
            workspace = add_applied_customers(self.workspace, [state.resolved])
            plan = make_plan(workspace, self._build_plan_request())
            done = self._apply_or_replan(workspace, plan, state)
            if done is not None:
                return done
            state = _read_state(workspace, self.candidate)
            if _has_source_changed(self.candidate, state):
                return replace(
                    self.result,
                    outcome=SyncOutcome.FAILED,
                    diagnostics=(_describe_configuration_change(self.candidate.id),),
                )
        return replace(
            self.result, outcome=SyncOutcome.FAILED, diagnostics=(_describe_moving_store(self.candidate.id),)
        )

    def _build_plan_request(self) -> PlanRequest:
        bundle = replace(self.fetched, stream=cast(BinaryIO, NonClosingStream(self.fetched.stream)))
        return PlanRequest(
            (self.candidate.id,),
            roster=RosterChoice.FRESH,
            fetched_at=self.fetched.fetched_at,
            prefetched={self.candidate.id: bundle},
        )

    def _apply_or_replan(self, workspace: Workspace, plan: Plan, state: _CustomerState) -> SyncResult | None:
        """Return the result of the sync, or None if the roster must be planned again."""
        (customer,) = plan.customers
        warnings = sum(1 for each in customer.diagnostics if each.severity is Severity.WARNING)
        quarantined = sum(counts.quarantined for counts in customer.counts.values())
        result = replace(self.result, warnings=warnings, quarantined=quarantined)
        if customer.outcome in (Outcome.REFUSED, Outcome.FAILED):
            if self.result.runs:
                # An earlier plan of the same roster was applied, except for its held changes.
                return replace(self.result, sha256=self.sha256)
            errors = tuple(each for each in customer.diagnostics if each.is_error)
            outcome = SyncOutcome.REFUSED if customer.outcome is Outcome.REFUSED else SyncOutcome.FAILED
            if any(each.code in {OVERTAKEN_ROSTER, *BUSY_CODES} for each in errors):
                outcome = SyncOutcome.POSTPONED
            return replace(result, outcome=outcome, diagnostics=errors)
        if customer.document_changes:
            # The configuration was applied between two reads of the store.
            return None
        result = replace(result, sha256=self.sha256)
        frozen = _find_freeze_end(state)
        if frozen is not None and customer.hold is not None:
            return replace(result, outcome=SyncOutcome.FROZEN, frozen_until=frozen, hold=customer.hold)
        (applied,) = apply_plan(workspace, plan, lock_timeout=self.lock_timeout)
        if applied.run is not None:
            people, rows = _count_changes(customer, [Kind.USER]), _count_changes(customer, list(customer.roster))
            runs = (*result.runs, applied.run)
            result = replace(result, runs=runs, people=result.people + people, rows=result.rows + rows)
        match applied.outcome:
            case ApplyOutcome.STALE:
                self.result = result
                return None
            case ApplyOutcome.HELD:
                result = replace(result, outcome=SyncOutcome.HELD, hold=customer.hold)
                if applied.run is not None:
                    # Planned again, so that the saved plan has only the held changes.
                    self.result = result
                    return None
                return replace(
                    result,
                    is_plan_saved=save_remaining_plan(
                        workspace.store, state.record.id, plan, clock.get_current_moment()
                    ),
                )
            case ApplyOutcome.APPLIED | ApplyOutcome.UNCHANGED:
                outcome = SyncOutcome.APPLIED if result.runs else SyncOutcome.UNCHANGED
                return self._mark_settled(replace(result, outcome=outcome, hold=None), customer, state)
            case _:
                # Another process is writing; that is no failure.
                busy = any(each.code in BUSY_CODES for each in applied.diagnostics)
                outcome = SyncOutcome.POSTPONED if busy else SyncOutcome.FAILED
                return replace(result, outcome=outcome, sha256=None, diagnostics=applied.diagnostics)

    def _mark_settled(self, result: SyncResult, customer: CustomerPlan, state: _CustomerState) -> SyncResult:
        """Return the result with the digest by which the next sync may end early.

        Its version is that of the plan and of this sync's runs, so a write in between makes the digest differ."""
        seen = customer.precondition.version
        if seen is None or customer.is_doubtful:
            return result
        with self.workspace.store.open_reader() as reader:
            sessions = reader.load_snapshot_part(state.record.id, "sessions")
            roles = reader.load_snapshot_part(state.record.id, "roles")
        record = replace(state.record, version=(max([seen[0], *result.runs]), seen[1]))
        today = clock.get_current_day(state.resolved.customer.timezone)
        return replace(
            result,
            settled=_digest_state(self.workspace, replace(state, record=record), self.sha256),
            settled_until=find_last_settled_day(state.rostering, sessions, roles, today),
        )


class NonClosingStream(io.RawIOBase):
    """A view of a stream that its reader may close without closing the stream."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        content = self._stream.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _read_state(workspace: Workspace, candidate: SyncCandidate) -> _CustomerState:
    """Return the customer's state, without reading a configuration with an unchanged digest again.

    Raises Refusal if the customer was removed, or its configuration is invalid."""
    name = candidate.id
    with workspace.store.open_reader() as reader:
        record = reader.read_customers([name]).get(name)
        if record is None or record.tombstoned:
            raise Refusal([build_error("unknown-customer", f"{name} was removed while its roster was fetched")])
        same = record.settings_digest is not None and record.settings_digest == candidate.resolved.digest
        resolved = candidate.resolved if same else read_applied_customer(reader, record)
        return _CustomerState(
            record,
            resolved,
            find_newest_erasure(reader.connection, record.id),
            find_roster_hold(reader.connection, record.id) is not None,
        )


def _digest_state(workspace: Workspace, state: _CustomerState, sha256: str) -> str | None:
    record = state.record
    policy = workspace.repository.settings.policy
    return digest_sync_inputs(sha256, record.settings_digest, record.version, state.erased, policy)


def _has_source_changed(candidate: SyncCandidate, state: _CustomerState) -> bool:
    """Return True if the roster was fetched with settings that no longer apply."""
    now = state.resolved.customer
    rostering = now.rostering
    if now.status != "active" or not isinstance(rostering, OneRosterRostering):
        return True
    return (rostering.sync, rostering.version) != (candidate.rostering.sync, candidate.rostering.version)


def _count_saved_quarantine(workspace: Workspace, state: _CustomerState) -> int:
    """Return the number of quarantined rows of the last good roster."""
    with workspace.store.open_reader() as reader:
        rows = reader.load_snapshot_part(state.record.id, "quarantine")
    return 0 if rows is None else rows.height


def _find_freeze_end(state: _CustomerState) -> str | None:
    season = find_season(state.rostering.calendar, clock.get_current_day(state.resolved.customer.timezone), {})
    return season.until if season is not None and season.mode is SeasonMode.FREEZE else None


def _count_changes(customer: CustomerPlan, kinds: list[Kind]) -> ChangeTally:
    """Count the changes that are not held."""
    tally = ChangeTally()
    for kind in kinds:
        frame = customer.roster.get(kind)
        if frame is None:
            continue
        actions = frame.filter(~pl.col("held"))["action"]
        removed, added = (int(actions.is_in(names).sum()) for names in (REMOVING_ACTIONS, ADDING_ACTIONS))
        tally += ChangeTally(removed, added, actions.len() - removed - added)
    return tally


def _describe_configuration_change(customer: CustomerId) -> Diagnostic:
    return build_error(
        "configuration-changed",
        f"the configuration of {customer} changed while its roster was fetched; nothing was applied",
        hint=f"Sync it again: reconciler sync {customer}",
    )


def _describe_moving_store(customer: CustomerId) -> Diagnostic:
    return build_error(
        "store-moving",
        f"{customer} changed in the store during every attempt; the remaining changes were not applied",
        hint=f"Sync it again: reconciler sync {customer}",
    )
