"""When rosters are fetched by themselves: six periods, in time zones that put their clocks forward, back and away."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.schedule import Period, Schedule, find_first_moment

CHICAGO = ZoneInfo("America/Chicago")
#: Half an hour of daylight saving; a quarter of an hour off; the usual; a day that never was (2011-12-30).
ZONES = ("Australia/Lord_Howe", "Asia/Kathmandu", "America/Chicago", "Pacific/Apia")
LENGTHS = {
    Period.HOURLY: timedelta(hours=1),
    Period.EVERY_6_HOURS: timedelta(hours=6),
    Period.EVERY_12_HOURS: timedelta(hours=12),
    Period.DAILY: timedelta(days=1),
    Period.WEEKLY: timedelta(days=7),
    Period.MONTHLY: timedelta(days=28),
}
HOUR = timedelta(hours=1)

times = st.none() | st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
moments = st.integers(0, 23 * 365 * 24 * 3600).map(lambda each: datetime(2007, 1, 1, tzinfo=UTC) + timedelta(0, each))
schedules = st.builds(Schedule, st.sampled_from(Period), st.sampled_from(ZONES), times, st.text("abc", max_size=3))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def there(start: datetime, schedule: Schedule) -> datetime:
    """The slot that a start belongs to, on the wall."""
    return (start - schedule.jitter).astimezone(ZoneInfo(schedule.timezone)).replace(tzinfo=None)


def starts(schedule: Schedule, begin: datetime, number: int) -> list[datetime]:
    found = [schedule.find_next_start(begin)]
    while len(found) < number:
        found.append(schedule.find_next_start(found[-1]))
    return found


@given(schedules, moments)
def test_starts_come_once_and_in_order(schedule: Schedule, begin: datetime) -> None:
    found = starts(schedule, begin, 6)
    assert all(later > earlier for earlier, later in pairwise(found))
    assert all(later - earlier >= LENGTHS[schedule.period] - HOUR for earlier, later in pairwise(found))
    for earlier, later in pairwise(found):
        assert schedule.find_last_start(earlier) == earlier, "each is found again from itself"
        assert schedule.find_last_start(later - timedelta(seconds=1)) == earlier, "and nothing is between two"


@given(schedules, moments)
def test_no_period_is_lost(schedule: Schedule, begin: datetime) -> None:
    longest = timedelta(days=31) if schedule.period is Period.MONTHLY else LENGTHS[schedule.period]
    # Where the clock is put back, an hour comes twice and its slot once; a day that never was has none.
    missing = timedelta(hours=25) if schedule.timezone == "Pacific/Apia" else HOUR
    found = starts(schedule, begin, 4)
    assert all(later - earlier <= longest + missing for earlier, later in pairwise(found))


@given(schedules, moments)
def test_nobody_starts_before_or_long_after_the_set_time(schedule: Schedule, begin: datetime) -> None:
    start = schedule.find_next_start(begin)
    slot = start - schedule.jitter
    assert timedelta(0) <= schedule.jitter <= timedelta(minutes=5 if schedule.period is Period.HOURLY else 10)
    wall = there(start, schedule)
    if schedule.at is None or schedule.period in (Period.HOURLY, Period.EVERY_6_HOURS, Period.EVERY_12_HOURS):
        return
    hours, minutes = map(int, schedule.at.split(":"))
    meant = wall.replace(hour=hours, minute=minutes, second=0)
    assert wall == meant or find_first_moment(meant, ZoneInfo(schedule.timezone)) == slot


@given(schedules, moments, st.integers(0, 400))
def test_what_was_missed_is_made_up_for_once(schedule: Schedule, last: datetime, days: int) -> None:
    now = schedule.find_next_start(last) + timedelta(days=days)
    assert schedule.is_due(last, now)
    assert not schedule.is_due(now, now), "one fetch is enough, however many starts went by"
    assert schedule.compute_next_due(now, now) == schedule.find_next_start(now)


@given(schedules, moments, st.integers(0, 10))
def test_periods_are_counted_as_they_come(schedule: Schedule, since: datetime, number: int) -> None:
    found = starts(schedule, since, number + 1)
    last = found[number - 1] if number else since
    assert schedule.count_periods_since(since, last) == number
    assert schedule.count_periods_since(since, found[number] - timedelta(seconds=1)) == number


def slots_of(period: Period, at: str | None, timezone: str, day: str) -> list[str]:
    """On the wall, with the offset."""
    schedule = Schedule(period, timezone, at)
    zone = ZoneInfo(timezone)
    begin = datetime.fromisoformat(day).replace(tzinfo=zone) - timedelta(seconds=1)
    end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=zone)
    found = []
    start = schedule.find_next_start(begin.astimezone(UTC) + schedule.jitter)
    while start - schedule.jitter < end.astimezone(UTC):
        found.append(f"{(start - schedule.jitter).astimezone(zone):%H:%M%z}")
        start = schedule.find_next_start(start)
    return found


def test_nonexistent_time_runs_at_the_next_moment() -> None:
    assert slots_of(Period.DAILY, "02:30", "America/Chicago", "2026-03-08") == ["03:00-0500"]
    assert slots_of(Period.DAILY, "02:15", "Australia/Lord_Howe", "2026-10-04") == ["02:30+1100"]


def test_ambiguous_time_runs_once_at_its_first_occurrence() -> None:
    assert slots_of(Period.DAILY, "01:30", "America/Chicago", "2026-11-01") == ["01:30-0500"]
    assert slots_of(Period.EVERY_6_HOURS, "01:30", "America/Chicago", "2026-11-01") == [
        "01:30-0500",
        "07:30-0600",
        "13:30-0600",
        "19:30-0600",
    ]


def test_hours_go_by_the_wall_clock_none_twice() -> None:
    forward = slots_of(Period.HOURLY, None, "America/Chicago", "2026-03-08")
    back = slots_of(Period.HOURLY, "07:10", "America/Chicago", "2026-11-01")
    assert forward[:3] == ["00:00-0600", "01:00-0600", "03:00-0500"]
    assert len(forward) == 23, "two o'clock does not exist, and three comes once"
    assert back[:3] == ["00:10-0500", "01:10-0500", "02:10-0600"]
    assert len(back) == 24


def test_shorter_periods_are_anchored_at_the_time_of_day() -> None:
    assert slots_of(Period.EVERY_12_HOURS, "14:20", "Asia/Kathmandu", "2026-05-05") == ["02:20+0545", "14:20+0545"]
    assert slots_of(Period.EVERY_6_HOURS, None, "UTC", "2026-05-05") == [
        "00:00+0000",
        "06:00+0000",
        "12:00+0000",
        "18:00+0000",
    ]


def test_a_day_that_never_was_has_no_slot() -> None:
    schedule = Schedule(Period.DAILY, "Pacific/Apia", "12:00")
    walls = [there(start, schedule).date().isoformat() for start in starts(schedule, moment("2011-12-28T00:00Z"), 4)]
    assert walls == ["2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01"]


def test_weekly_is_on_mondays_and_monthly_on_the_first() -> None:
    weekly, monthly = (Schedule(each, "America/Chicago", "03:00") for each in (Period.WEEKLY, Period.MONTHLY))
    assert {there(each, weekly).weekday() for each in starts(weekly, moment("2026-01-01T00:00Z"), 60)} == {0}
    walls = [there(each, monthly) for each in starts(monthly, moment("2027-12-15T00:00Z"), 14)]
    assert [each.day for each in walls] == [1] * 14
    assert [each.month for each in walls] == [*range(1, 13), 1, 2]


def test_long_periods_without_a_time_spread_between_one_and_five() -> None:
    begin = moment("2026-06-01T12:00Z")
    found = [Schedule(Period.DAILY, "UTC", None, f"store/{number}").find_next_start(begin) for number in range(1000)]
    assert min(found) >= moment("2026-06-02T01:00Z")
    assert max(found) < moment("2026-06-02T05:10Z")
    assert max(Counter(found).values()) <= 3


@pytest.mark.parametrize(("period", "minutes"), [(Period.HOURLY, 5), (Period.DAILY, 10)])
def test_thousand_customers_of_one_time_start_spread_out(period: Period, minutes: int) -> None:
    begin = moment("2026-06-01T12:00Z")
    found = [Schedule(period, "UTC", "02:30", f"store/{number}").find_next_start(begin) for number in range(1000)]
    assert max(found) - min(found) <= timedelta(minutes=minutes)
    assert max(Counter(found).values()) <= 14, "a thousand over the seconds that there are"
    assert found == [Schedule(period, "UTC", "02:30", f"store/{each}").find_next_start(begin) for each in range(1000)]


def test_who_was_never_fetched_is_due_at_once() -> None:
    now = moment("2026-06-01T12:00Z")
    assert Schedule(Period.MONTHLY, "UTC", "02:30").is_due(None, now)


def test_failure_is_retried_twice_before_the_next_slot() -> None:
    daily = Schedule(Period.DAILY, "UTC", "02:30", "x")
    now = daily.find_last_start(moment("2026-06-01T12:00Z"))
    following = daily.find_next_start(now)
    found = [daily.compute_retry_time(tries, now) for tries in (1, 2, 3, 4)]
    assert found == [now + timedelta(minutes=15), now + timedelta(hours=1), following, following]
    hourly = Schedule(Period.HOURLY, "UTC", None, "x")
    late = hourly.find_next_start(now) - timedelta(minutes=5)
    assert hourly.compute_retry_time(1, late) == hourly.find_next_start(late), "the next slot is nearer"


def test_attempt_from_a_fast_clock_is_ignored() -> None:
    schedule = Schedule(Period.DAILY, at="02:30")
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert schedule.compute_next_due(now.replace(year=2031), now) == now
    assert schedule.compute_next_due(now + timedelta(minutes=2), now) > now, "clocks of two machines differ a little"
