"""What is written down of a sync: when the next try is, since when it stands as it does, how fresh the roster is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.gate import GATES
from reconciler.model.schedule import Schedule, is_ahead
from reconciler.model.sync import SyncEvent, SyncOutcome, SyncState, build_events, choose_lasting_outcome
from reconciler.operations.sync.choice import format_moment
from reconciler.operations.sync.customer import SyncResult
from reconciler.store.sync.records import SyncRecord

#: A sign-in that was refused: tried again too often, it locks the account, so only the next period tries again.
SIGN_IN_REFUSED = frozenset(
    {"sign-in-refused", "unauthorized", "token-refused", "token-client-refused", "token-grant-refused"}
)

#: Of sources that are asked for rows: what they say is of now. A file may have been left lying.
LIVE_SOURCE_TYPES = frozenset({"api"})

GENERAL_SENTENCES = {
    SyncOutcome.REFUSED: "The roster did not come, or cannot be trusted as it is. Nobody was changed.",
    SyncOutcome.FAILED: "The roster could not be taken in for a reason of our own. Nobody was changed.",
}


def start_sync_record(last: SyncRecord, schedule: Schedule | None, now: str) -> SyncRecord:
    """As it is while a fetch is under way: a process that dies meanwhile counts as a try that failed."""
    moment = datetime.fromisoformat(now)
    tries = last.tries + 1
    if last.attempted_at is not None and schedule is not None:
        earlier = datetime.fromisoformat(last.attempted_at)
        if schedule.find_last_start(moment) > earlier or is_ahead(earlier, moment):
            tries = 1
    return replace(
        last,
        first_at=last.first_at or now,
        attempted_at=now,
        tries=tries,
        next_at=format_moment(schedule.compute_retry_time(tries, moment)) if schedule else None,
    )


def finish_sync_record(
    under_way: SyncRecord, schedule: Schedule | None, result: SyncResult, *, source: str, is_full: bool, now: str
) -> SyncRecord:
    """As it stands now. under_way: by `begun`. source: the type of what was fetched. whole: nothing else was asked
    for."""
    begun_at = under_way.attempted_at or now
    well = result.outcome not in (SyncOutcome.REFUSED, SyncOutcome.FAILED, SyncOutcome.POSTPONED)
    read = well and result.sha256 is not None
    before = SyncOutcome(under_way.outcome) if under_way.outcome else None
    stands = choose_lasting_outcome(before, result.outcome)
    found = under_way if stands is before else replace(under_way, outcome=stands and stands.value, since=now)
    if result.settled is not None:
        # Else what the last clean sync left is still so, or is told apart by its digest.
        found = replace(found, settled=result.settled, settled_until=result.settled_until)
    if read:
        found = replace(
            found,
            fresh_at=begun_at,
            changed_at=under_way.changed_at if result.sha256 == under_way.sha256 else begun_at,
            whole_at=begun_at if is_full else under_way.whole_at,
            sha256=result.sha256,
        )
    if schedule is None:
        return replace(found, tries=0, stale_since=None)
    if well or any(each.code in SIGN_IN_REFUSED for each in result.diagnostics):
        following = schedule.find_next_start(datetime.fromisoformat(begun_at))
        found = replace(found, tries=0, next_at=format_moment(following))
    return replace(found, stale_since=find_stale_since(found, schedule, source, now))


def mark_unconfigured(last: SyncRecord, now: str) -> SyncRecord:
    """As it stands where not even a fetch could begin, for a reason of our own. When the next one is stays as it was:
    it begins as soon as it can."""
    if last.outcome == SyncOutcome.FAILED:
        return last
    return replace(last, outcome=SyncOutcome.FAILED.value, since=now)


def find_stale_since(record: SyncRecord, schedule: Schedule, source: str, now: str) -> str | None:
    """When the last fresh roster came, where that is too long ago; else None. A file is fresh when its content is new,
    the answer of a live system whenever it was read whole."""
    fresh = record.fresh_at if source in LIVE_SOURCE_TYPES else record.changed_at
    since = fresh or record.first_at
    if since is None:
        return None
    periods = schedule.count_periods_since(datetime.fromisoformat(since), datetime.fromisoformat(now))
    return since if periods >= schedule.stale_after else None


def collect_sync_events(
    customer: str, last: SyncRecord, record: SyncRecord, result: SyncResult, earlier_hold: str | None = None
) -> tuple[SyncEvent, ...]:
    """What is to be told of what is otherwise than it was. waited: id of what its roster held before."""
    before, after = _extract_standing(last), _extract_standing(record)
    # What a freeze keeps back is nothing that a person could approve.
    hold = result.hold if result.outcome is SyncOutcome.HELD else None
    return build_events(customer, before, after, record.since or "", list_plain_sentences(result), hold, earlier_hold)


def list_plain_sentences(result: SyncResult) -> tuple[str, ...]:
    """For people who are no programmers; nobody's name is in them."""
    if result.outcome is SyncOutcome.HELD and result.hold is not None:
        return result.hold.causes
    if result.outcome in GENERAL_SENTENCES:
        return _list_gate_sentences(result.diagnostics) or (GENERAL_SENTENCES[result.outcome],)
    return ()


def _list_gate_sentences(diagnostics: Iterable[Diagnostic]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(GATES[each.code].sentence for each in diagnostics if each.code in GATES))


def _extract_standing(record: SyncRecord) -> SyncState:
    return SyncState(SyncOutcome(record.outcome) if record.outcome else None, record.stale_since)
