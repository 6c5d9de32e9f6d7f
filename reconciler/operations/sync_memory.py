"""What of the last sync may be believed now: a moment that is still to come is of a clock that was wrong.

Such a moment counts as unknown, and what is unknown is found out: the roster is compared, and fetched whole. Else a
clock that was years ahead for a day would keep everything quiet for years.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.model.schedule import is_ahead
from reconciler.operations.sync_settled import LONGEST
from reconciler.store.syncs import SyncRecord

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
