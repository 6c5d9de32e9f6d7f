"""Update the record of a customer's syncs: its outcome and since when, the next attempt, and the roster's freshness."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.gate import GATES
from reconciler.model.ids import CustomerId, HoldId, Moment
from reconciler.model.moment import format_moment
from reconciler.model.schedule import Schedule, is_ahead
from reconciler.model.sync import SyncEvent, SyncOutcome, SyncState, build_events, choose_lasting_outcome
from reconciler.operations.sync.customer import SyncResult
from reconciler.store.sync import SyncRecord

#: Codes of a rejected sign-in. Too many attempts lock the account, so the next one is in the next period.
SIGN_IN_REFUSED = frozenset(
    {"sign-in-refused", "unauthorized", "token-refused", "token-client-refused", "token-grant-refused"}
)

#: Types of sources whose answer is always current; a file may be old.
LIVE_SOURCE_TYPES = frozenset({"api"})

GENERAL_SENTENCES = {
    SyncOutcome.REFUSED: "The roster did not arrive or cannot be trusted. Nobody was changed.",
    SyncOutcome.FAILED: "The roster could not be processed because of an internal error. Nobody was changed.",
}


def start_sync_record(last: SyncRecord, schedule: Schedule | None, now: Moment) -> SyncRecord:
    """Return the record while a fetch is running: if its process dies, that counts as a failed attempt."""
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
    under_way: SyncRecord, schedule: Schedule | None, result: SyncResult, *, source: str, is_full: bool, now: Moment
) -> SyncRecord:
    """Return the record after a sync.

    under_way: from `start_sync_record`. source: type of the source. is_full: a full roster was requested."""
    begun_at = under_way.attempted_at or now
    is_well = result.outcome not in (SyncOutcome.REFUSED, SyncOutcome.FAILED, SyncOutcome.POSTPONED)
    is_read = is_well and result.sha256 is not None
    before = SyncOutcome(under_way.outcome) if under_way.outcome else None
    lasting = choose_lasting_outcome(before, result.outcome)
    record = under_way if lasting is before else replace(under_way, outcome=lasting and lasting.value, since=now)
    if result.settled is not None:
        # Otherwise the last clean sync's digest stays: it is still true, or no longer matches.
        record = replace(record, settled=result.settled, settled_until=result.settled_until)
    if is_read:
        record = replace(
            record,
            fresh_at=begun_at,
            changed_at=under_way.changed_at if result.sha256 == under_way.sha256 else begun_at,
            whole_at=begun_at if is_full else under_way.whole_at,
            sha256=result.sha256,
        )
    if schedule is None:
        return replace(record, tries=0, stale_since=None)
    if is_well or any(each.code in SIGN_IN_REFUSED for each in result.diagnostics):
        following = schedule.find_next_start(datetime.fromisoformat(begun_at))
        record = replace(record, tries=0, next_at=format_moment(following))
    return replace(record, stale_since=find_stale_since(record, schedule, source, now))


def mark_unconfigured(last: SyncRecord, now: Moment) -> SyncRecord:
    """Return the record of a customer whose configuration cannot be read; its next due moment stays."""
    if last.outcome == SyncOutcome.FAILED:
        return last
    return replace(last, outcome=SyncOutcome.FAILED.value, since=now)


def find_stale_since(record: SyncRecord, schedule: Schedule, source: str, now: Moment) -> Moment | None:
    """Return the moment of the last fresh roster if that is too long ago, else None.

    A file is fresh if its content is new, an API's answer whenever it was read completely."""
    fresh = record.fresh_at if source in LIVE_SOURCE_TYPES else record.changed_at
    since = fresh or record.first_at
    if since is None:
        return None
    periods = schedule.count_periods_since(datetime.fromisoformat(since), datetime.fromisoformat(now))
    return since if periods >= schedule.stale_after else None


def collect_sync_events(
    customer: CustomerId, last: SyncRecord, record: SyncRecord, result: SyncResult, earlier_hold: HoldId | None = None
) -> tuple[SyncEvent, ...]:
    """Return the events for what changed since the last sync. earlier_hold: id of the roster's hold before it."""
    before, after = _extract_standing(last), _extract_standing(record)
    # Changes that a freeze holds cannot be approved.
    hold = result.hold if result.outcome is SyncOutcome.HELD else None
    return build_events(
        customer, before, after, record.since or Moment(""), list_plain_sentences(result), hold, earlier_hold
    )


def list_plain_sentences(result: SyncResult) -> tuple[str, ...]:
    """Return sentences for school administrators on why the sync is not well; they name no people."""
    if result.outcome is SyncOutcome.HELD and result.hold is not None:
        return (*result.hold.causes, *_describe_quarantined(result.quarantined))
    if result.outcome in GENERAL_SENTENCES:
        return _list_gate_sentences(result.diagnostics) or (GENERAL_SENTENCES[result.outcome],)
    return ()


def _describe_quarantined(number: int) -> tuple[str, ...]:
    if not number:
        return ()
    return (
        "1 row of the roster is quarantined." if number == 1 else f"{number:,} rows of the roster are quarantined.",
    )


def _list_gate_sentences(diagnostics: Iterable[Diagnostic]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(GATES[each.code].sentence for each in diagnostics if each.code in GATES))


def _extract_standing(record: SyncRecord) -> SyncState:
    return SyncState(SyncOutcome(record.outcome) if record.outcome else None, record.stale_since)
