"""A recorded moment in the future comes from a wrong clock and is ignored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.model.schedule import Period, Schedule
from reconciler.model.sync import SyncOutcome
from reconciler.operations.sync.customer import SyncResult
from reconciler.operations.sync.record import finish_sync_record, start_sync_record
from reconciler.operations.sync.run import discard_future_moment, find_last_full_roster, sanitize_sync_record
from reconciler.store.sync.records import SyncRecord

NOW = "2026-11-24T02:35:00Z"
YEARS_AHEAD = "2031-11-24T02:35:00Z"
DAILY = Schedule(Period.DAILY, at="02:30")
GOOD = SyncRecord(
    1,
    schedule="sha256:1",
    next_at="2026-11-24T02:30:00Z",
    first_at="2026-10-01T02:30:00Z",
    attempted_at="2026-11-23T02:31:00Z",
    outcome="applied",
    since="2026-11-01T02:30:00Z",
    fresh_at="2026-11-23T02:31:00Z",
    changed_at="2026-11-20T02:31:00Z",
    whole_at="2026-11-20T02:31:00Z",
    sha256="ab",
    settled="cd",
    settled_until="2026-12-20",
)


def after(last: SyncRecord, now: str = NOW, source: str = "sftp", **came: Any) -> SyncRecord:
    """What the next sync leaves, of the same bytes."""
    record = start_sync_record(sanitize_sync_record(last, now), DAILY, now)
    found = SyncResult(SyncOutcome.UNCHANGED, **{"sha256": "ab", **came})
    return finish_sync_record(record, DAILY, found, source=source, is_full=True, now=now)


def test_what_was_noted_by_a_clock_in_order_stays() -> None:
    assert sanitize_sync_record(GOOD, NOW) == GOOD


def test_clocks_of_two_machines_may_differ_a_little() -> None:
    nearly = replace(GOOD, fresh_at="2026-11-24T02:44:59Z")
    assert sanitize_sync_record(nearly, NOW) == nearly
    assert discard_future_moment("2026-11-24T02:45:01Z", NOW) is None


@pytest.mark.parametrize("field", ["fresh_at", "changed_at", "whole_at", "attempted_at"])
def test_after_a_moment_to_come_everything_is_compared(field: str) -> None:
    found = sanitize_sync_record(replace(GOOD, **{field: YEARS_AHEAD}), NOW)
    assert (found.settled, found.settled_until) == (None, None)


def test_impossibly_late_settled_until_is_ignored() -> None:
    assert sanitize_sync_record(replace(GOOD, settled_until="2026-12-25"), NOW).settled == "cd"
    assert sanitize_sync_record(replace(GOOD, settled_until="2026-12-26"), NOW).settled is None


def test_full_fetch_dated_in_the_future_is_repeated_now() -> None:
    assert sanitize_sync_record(replace(GOOD, whole_at=YEARS_AHEAD), NOW).whole_at is None
    assert find_last_full_roster(YEARS_AHEAD, YEARS_AHEAD, NOW) is None
    assert find_last_full_roster(YEARS_AHEAD, GOOD.whole_at, NOW) == GOOD.whole_at
    assert find_last_full_roster("2026-11-21T00:00:00Z", GOOD.whole_at, NOW) == "2026-11-21T00:00:00Z"


@pytest.mark.parametrize("source", ["sftp", "api"])
def test_staleness_from_a_future_date_restarts_now(source: str) -> None:
    """Neither for years not at all, nor at once since the very first fetch."""
    wrong = replace(GOOD, fresh_at=YEARS_AHEAD, changed_at=YEARS_AHEAD)
    refused = start_sync_record(sanitize_sync_record(wrong, NOW), DAILY, NOW)
    came = SyncResult(SyncOutcome.REFUSED)
    assert finish_sync_record(refused, DAILY, came, source=source, is_full=True, now=NOW).stale_since is None
    later = "2026-11-28T02:35:00Z"
    again = finish_sync_record(refused, DAILY, came, source=source, is_full=True, now=later)
    assert again.stale_since == NOW


def test_same_bytes_of_unknown_age_count_as_new() -> None:
    assert after(replace(GOOD, changed_at=YEARS_AHEAD)).changed_at == NOW
    assert after(GOOD).changed_at == GOOD.changed_at


def test_once_is_enough() -> None:
    """The next sync leaves nothing that is still to come."""
    wrong = replace(GOOD, **dict.fromkeys(MOMENTS, YEARS_AHEAD), stale_since=YEARS_AHEAD, settled_until="2031-12-01")
    found = after(wrong, settled="ef", settled_until="2026-12-24")
    assert sanitize_sync_record(found, NOW) == found
    assert found.settled == "ef"
    assert all((getattr(found, name) or "") <= NOW for name in MOMENTS)


MOMENTS = ("first_at", "attempted_at", "since", "fresh_at", "changed_at", "whole_at")
