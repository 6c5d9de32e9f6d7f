"""What is written down of a sync: when the next try is, since when it stands as it does, how fresh the roster is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from reconciler.model.diagnostic import Diagnostic
from reconciler.model.gate import GATES
from reconciler.model.schedule import Schedule, is_ahead
from reconciler.model.sync import Standing, SyncEvent, SyncOutcome, events, standing_outcome
from reconciler.operations.sync.choice import text
from reconciler.operations.sync.customer import Came
from reconciler.store.sync.records import SyncRecord

#: A sign-in that was refused: tried again too often, it locks the account, so only the next period tries again.
SIGN_IN_REFUSED = frozenset(
    {"sign-in-refused", "unauthorized", "token-refused", "token-client-refused", "token-grant-refused"}
)

#: Of sources that are asked for rows: what they say is of now. A file may have been left lying.
LIVE = frozenset({"api"})

IN_GENERAL = {
    SyncOutcome.REFUSED: "The roster did not come, or cannot be trusted as it is. Nobody was changed.",
    SyncOutcome.FAILED: "The roster could not be taken in for a reason of our own. Nobody was changed.",
}


def begun(last: SyncRecord, schedule: Schedule | None, now: str) -> SyncRecord:
    """As it is while a fetch is under way: a process that dies meanwhile counts as a try that failed."""
    moment = datetime.fromisoformat(now)
    tries = last.tries + 1
    if last.attempted_at is not None and schedule is not None:
        earlier = datetime.fromisoformat(last.attempted_at)
        if schedule.slot_at_or_before(moment) > earlier or is_ahead(earlier, moment):
            tries = 1
    return replace(
        last,
        first_at=last.first_at or now,
        attempted_at=now,
        tries=tries,
        next_at=text(schedule.after_failure(tries, moment)) if schedule else None,
    )


def ended(
    under_way: SyncRecord, schedule: Schedule | None, came: Came, *, source: str, whole: bool, now: str
) -> SyncRecord:
    """As it stands now. under_way: by `begun`. source: the type of what was fetched. whole: nothing else was asked
    for."""
    begun_at = under_way.attempted_at or now
    well = came.outcome not in (SyncOutcome.REFUSED, SyncOutcome.FAILED, SyncOutcome.POSTPONED)
    read = well and came.sha256 is not None
    before = SyncOutcome(under_way.outcome) if under_way.outcome else None
    stands = standing_outcome(before, came.outcome)
    found = under_way if stands is before else replace(under_way, outcome=stands and stands.value, since=now)
    if came.settled is not None:
        # Else what the last clean sync left is still so, or is told apart by its digest.
        found = replace(found, settled=came.settled, settled_until=came.settled_until)
    if read:
        found = replace(
            found,
            fresh_at=begun_at,
            changed_at=under_way.changed_at if came.sha256 == under_way.sha256 else begun_at,
            whole_at=begun_at if whole else under_way.whole_at,
            sha256=came.sha256,
        )
    if schedule is None:
        return replace(found, tries=0, stale_since=None)
    if well or any(each.code in SIGN_IN_REFUSED for each in came.diagnostics):
        following = schedule.slot_after(datetime.fromisoformat(begun_at))
        found = replace(found, tries=0, next_at=text(following))
    return replace(found, stale_since=stale_since(found, schedule, source, now))


def unconfigured(last: SyncRecord, now: str) -> SyncRecord:
    """As it stands where not even a fetch could begin, for a reason of our own. When the next one is stays as it was:
    it begins as soon as it can."""
    if last.outcome == SyncOutcome.FAILED:
        return last
    return replace(last, outcome=SyncOutcome.FAILED.value, since=now)


def stale_since(record: SyncRecord, schedule: Schedule, source: str, now: str) -> str | None:
    """When the last fresh roster came, where that is too long ago; else None. A file is fresh when its content is new,
    the answer of a live system whenever it was read whole."""
    fresh = record.fresh_at if source in LIVE else record.changed_at
    since = fresh or record.first_at
    if since is None:
        return None
    periods = schedule.periods_since(datetime.fromisoformat(since), datetime.fromisoformat(now))
    return since if periods >= schedule.stale_after else None


def told(
    customer: str, last: SyncRecord, record: SyncRecord, came: Came, waited: str | None = None
) -> tuple[SyncEvent, ...]:
    """What is to be told of what is otherwise than it was. waited: id of what its roster held before."""
    before, after = _standing(last), _standing(record)
    # What a freeze keeps back is nothing that a person could approve.
    hold = came.hold if came.outcome is SyncOutcome.HELD else None
    return events(customer, before, after, record.since or "", plain_sentences(came), hold, waited)


def plain_sentences(came: Came) -> tuple[str, ...]:
    """For people who are no programmers; nobody's name is in them."""
    if came.outcome is SyncOutcome.HELD and came.hold is not None:
        return came.hold.causes
    if came.outcome in IN_GENERAL:
        return _of_gates(came.diagnostics) or (IN_GENERAL[came.outcome],)
    return ()


def _of_gates(diagnostics: Iterable[Diagnostic]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(GATES[each.code].sentence for each in diagnostics if each.code in GATES))


def _standing(record: SyncRecord) -> Standing:
    return Standing(SyncOutcome(record.outcome) if record.outcome else None, record.stale_since)
