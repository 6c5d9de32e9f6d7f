"""What a fetched roster comes to for one customer: nothing new, or a plan that is applied within limits.

Planned and applied by the configuration last applied, read anew for every plan: an apply that came meanwhile wins.
"""

from __future__ import annotations

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
from reconciler.config.load.resolved import ResolvedCustomer
from reconciler.config.models.rostering import OneRosterRostering
from reconciler.config.models.settings import Policy
from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity, build_error
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Hold, Outcome, Plan
from reconciler.model.sync import SyncOutcome
from reconciler.oneroster.sources.interface import SourceBundle
from reconciler.operations.apply.apply_plan import ApplyOutcome, apply_plan
from reconciler.operations.apply.held_plan import save_remaining_plan
from reconciler.operations.fetch.fresh import OVERTAKEN_ROSTER
from reconciler.operations.plan.make_plan import make_plan
from reconciler.operations.plan.request import PlanRequest, RosterChoice
from reconciler.operations.plan.rules import find_season
from reconciler.operations.sync.applied_config import add_applied_customers, read_applied_customer
from reconciler.operations.sync.choice import SyncCandidate
from reconciler.operations.workspace import Workspace
from reconciler.planning.holds.rules import SeasonMode
from reconciler.store.read.records import CustomerRecord
from reconciler.store.sync.records import find_newest_erasure, find_roster_hold

# Everything that what a sync comes to depends on, as one digest: where it is what it was at the last clean sync, the


#: However quiet it is, everything is compared once in a while.
MAX_SETTLED_TIME = timedelta(days=30)


def digest_sync_inputs(
    sha256: str, settings_digest: str | None, version: tuple[int, int], erased: int, policy: Policy
) -> str | None:
    """None where another hand changed the configuration. sha256: of the bundle. settings: digest of the configuration
    as applied. version: the customer's (`CustomerRecord.version`) after the sync. erased: the newest
    certificate by which somebody is kept out, or let in again."""
    if settings_digest is None:
        return None
    told = [sha256, settings_digest, version, erased, policy.model_dump(mode="json"), reconciler.__version__]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def find_last_settled_day(rostering: OneRosterRostering, sessions: pl.DataFrame | None, today: str) -> str:
    """The last day (YYYY-MM-DD, where the customer is) on which the same roster means the same: then a season begins or
    ends, an allowance or approval is over, or a term."""
    day = date.fromisoformat(today)
    return min(
        [day + MAX_SETTLED_TIME, *(each for each in _list_turning_days(rostering, sessions) if each >= day)]
    ).isoformat()


def _list_turning_days(rostering: OneRosterRostering, sessions: pl.DataFrame | None) -> Iterator[date]:
    """Days after which something is otherwise."""
    for season in rostering.calendar:
        yield season.from_ - timedelta(days=1)
        yield season.to
    for allowance in rostering.allow:
        yield allowance.until
    for approval in rostering.approvals:
        yield approval.until
    if sessions is not None:
        ends = sessions["end"].str.to_date("%Y-%m-%d", strict=False).drop_nulls().unique()
        # A session's end is the first day after it.
        for end in ends.to_list():
            yield end - timedelta(days=1)


#: Plans of one sync: others may apply meanwhile, and what a hold leaves over is planned by itself.
MAX_PLANS = 5

#: The code of a refusal: another apply of the customer is under way (`store.lock`).
LOCKED_CODE = "locked"

REMOVING_ACTIONS = (Action.DELETE.value, Action.SUSPEND.value)
ADDING_ACTIONS = (Action.CREATE.value, Action.RESTORE.value, Action.RESUME.value)


@dataclass(frozen=True, slots=True)
class ChangeTally:
    """How many were removed, added and changed otherwise."""

    removed: int = 0
    added: int = 0
    changed: int = 0

    def __add__(self, other: ChangeTally) -> ChangeTally:
        return ChangeTally(self.removed + other.removed, self.added + other.added, self.changed + other.changed)


@dataclass(frozen=True, slots=True)
class SyncResult:
    """What one roster came to. sha256: of the bundle; None where none was read to its end. early: nothing was read or
    compared. runs: those that wrote. people, rows: of these. hold: what waits; kept: a plan of exactly that is in the
    store. warnings: of the plan. until: of frozen, the last day."""

    outcome: SyncOutcome
    sha256: str | None = None
    ended_early: bool = False
    runs: tuple[int, ...] = ()
    people: ChangeTally = ChangeTally()
    rows: ChangeTally = ChangeTally()
    hold: Hold | None = None
    is_plan_saved: bool = False
    warnings: int = 0
    diagnostics: tuple[Diagnostic, ...] = ()
    settled: str | None = None
    settled_until: str | None = None
    frozen_until: str | None = None


@dataclass(frozen=True, slots=True)
class _CustomerState:
    """What the store says of the customer now."""

    record: CustomerRecord
    resolved: ResolvedCustomer
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
    """The stream is closed by whoever fetched it. Raises Refusal where the store cannot be used."""
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
            SyncOutcome.UNCHANGED, sha256, ended_early=True, settled=last.settled, settled_until=last.settled_until
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
        lent = replace(self.fetched, stream=cast(BinaryIO, NonClosingStream(self.fetched.stream)))
        return PlanRequest(
            (self.candidate.id,),
            roster=RosterChoice.FRESH,
            fetched_at=self.fetched.fetched_at,
            prefetched={self.candidate.id: lent},
        )

    def _apply_or_replan(self, workspace: Workspace, plan: Plan, state: _CustomerState) -> SyncResult | None:
        """None where it is to be planned again."""
        (customer,) = plan.customers
        warnings = sum(1 for each in customer.diagnostics if each.severity is Severity.WARNING)
        came = replace(self.result, warnings=warnings)
        if customer.outcome in (Outcome.REFUSED, Outcome.FAILED):
            if self.result.runs:
                # What did not wait was applied by a plan of the same roster.
                return replace(self.result, sha256=self.sha256)
            errors = tuple(each for each in customer.diagnostics if each.is_error)
            outcome = SyncOutcome.REFUSED if customer.outcome is Outcome.REFUSED else SyncOutcome.FAILED
            if any(each.code == OVERTAKEN_ROSTER for each in errors):
                outcome = SyncOutcome.POSTPONED
            return replace(came, outcome=outcome, diagnostics=errors)
        if customer.document_changes:
            # Somebody applied the configuration between two looks at the store.
            return None
        came = replace(came, sha256=self.sha256)
        frozen = _find_freeze_end(state)
        if frozen is not None and customer.hold is not None:
            return replace(came, outcome=SyncOutcome.FROZEN, frozen_until=frozen, hold=customer.hold)
        (result,) = apply_plan(workspace, plan, lock_timeout=self.lock_timeout)
        if result.run is not None:
            people, rows = _count_changes(customer, [Kind.USER]), _count_changes(customer, list(customer.roster))
            came = replace(came, runs=(*came.runs, result.run), people=came.people + people, rows=came.rows + rows)
        match result.outcome:
            case ApplyOutcome.STALE:
                self.result = came
                return None
            case ApplyOutcome.HELD:
                came = replace(came, outcome=SyncOutcome.HELD, hold=customer.hold)
                if result.run is not None:
                    # Once more, so that the plan that is kept holds only what waits.
                    self.result = came
                    return None
                return replace(
                    came,
                    is_plan_saved=save_remaining_plan(
                        workspace.store, state.record.id, plan, clock.get_current_moment()
                    ),
                )
            case ApplyOutcome.APPLIED | ApplyOutcome.UNCHANGED:
                outcome = SyncOutcome.APPLIED if came.runs else SyncOutcome.UNCHANGED
                return self._mark_settled(replace(came, outcome=outcome, hold=None), customer, state)
            case _:
                # Somebody applies it just now: that is nothing to be told of.
                busy = any(each.code == LOCKED_CODE for each in result.diagnostics)
                outcome = SyncOutcome.POSTPONED if busy else SyncOutcome.FAILED
                return replace(came, outcome=outcome, sha256=None, diagnostics=result.diagnostics)

    def _mark_settled(self, result: SyncResult, customer: CustomerPlan, state: _CustomerState) -> SyncResult:
        """With what the next sync may end early by. The version is the one that the plan saw and our own run: a write
        that came in between is not in it."""
        seen = customer.precondition.version
        if seen is None or customer.is_doubtful:
            return result
        with self.workspace.store.open_reader() as reader:
            sessions = reader.load_snapshot_part(state.record.id, "sessions")
        record = replace(state.record, version=(max([seen[0], *result.runs]), seen[1]))
        today = clock.get_current_day(state.resolved.customer.timezone)
        return replace(
            result,
            settled=_digest_state(self.workspace, replace(state, record=record), self.sha256),
            settled_until=find_last_settled_day(state.rostering, sessions, today),
        )


class NonClosingStream(io.RawIOBase):
    """A stream that somebody else reads, and may close, without closing it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        found = self._stream.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()


def _read_state(workspace: Workspace, candidate: SyncCandidate) -> _CustomerState:
    """Raises Refusal where it is gone, or its configuration none any more. What has the same digest is not read
    again."""
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
    """Whether the roster was fetched by what does not hold any more."""
    now = state.resolved.customer
    rostering = now.rostering
    if now.status != "active" or not isinstance(rostering, OneRosterRostering):
        return True
    return (rostering.sync, rostering.version) != (candidate.rostering.sync, candidate.rostering.version)


def _find_freeze_end(state: _CustomerState) -> str | None:
    season = find_season(state.rostering.calendar, clock.get_current_day(state.resolved.customer.timezone), {})
    return season.until if season is not None and season.mode is SeasonMode.FREEZE else None


def _count_changes(customer: CustomerPlan, kinds: list[Kind]) -> ChangeTally:
    """Of what was carried out."""
    found = ChangeTally()
    for kind in kinds:
        frame = customer.roster.get(kind)
        if frame is None:
            continue
        actions = frame.filter(~pl.col("held"))["action"]
        removed, added = (int(actions.is_in(names).sum()) for names in (REMOVING_ACTIONS, ADDING_ACTIONS))
        found += ChangeTally(removed, added, actions.len() - removed - added)
    return found


def _describe_configuration_change(customer: str) -> Diagnostic:
    return build_error(
        "configuration-changed",
        f"the configuration of {customer} was changed while its roster was fetched; nothing of it was applied",
        hint=f"reconciler sync {customer}",
    )


def _describe_moving_store(customer: str) -> Diagnostic:
    return build_error(
        "store-moving",
        f"{customer} was changed by others each time that it was to be applied; what was not applied waits",
        hint=f"reconciler sync {customer}",
    )
