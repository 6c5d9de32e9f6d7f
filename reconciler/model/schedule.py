"""When a roster is fetched by itself: the slots of a period in a customer's time zone.

A slot is told by the wall clock where the customer is. A time that does not exist on a day (the clock is put forward)
is the first moment after; one that exists twice (the clock is put back) is the first of the two. A day that does not
exist, as when a country changes sides of the date line, has no slots. What waits behind a slot is at most
`MOST_JITTER`, the same for a customer every time, so that many customers of one time do not start in one second.

All moments here are aware; what comes out is in UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Period(StrEnum):
    """weekly: on Mondays. monthly: on the first day. The shorter ones go by the wall clock, from `at` or midnight."""

    HOURLY = "hourly"
    EVERY_6_HOURS = "every_6_hours"
    EVERY_12_HOURS = "every_12_hours"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


#: Hours from one slot of a day to the next.
STEP_HOURS = {Period.HOURLY: 1, Period.EVERY_6_HOURS: 6, Period.EVERY_12_HOURS: 12}
#: More days than lie between two slots: where slots are looked for.
SEARCH_DAYS = {Period.WEEKLY: 15, Period.MONTHLY: 63}
DEFAULT_SEARCH_DAYS = 3
MONDAY = 0

#: How long after its slot a customer's start is at most.
MAX_JITTER = {Period.HOURLY: timedelta(minutes=5)}
DEFAULT_MAX_JITTER = timedelta(minutes=10)

#: Without `at`, daily and longer periods start between these hours, each customer at a minute of its own.
QUIET_HOURS_START, QUIET_HOURS_END = 1, 5

#: How long after a try that failed the next one is, within a period.
RETRY_DELAYS = {Period.HOURLY: (timedelta(minutes=10), timedelta(minutes=20))}
DEFAULT_RETRY_DELAYS = (timedelta(minutes=15), timedelta(hours=1))

#: Without a fresh roster for so many periods, the last one is stale: three, but never less than three days.
STALE_AFTER_PERIODS = {Period.HOURLY: 72, Period.EVERY_6_HOURS: 12, Period.EVERY_12_HOURS: 6}
DEFAULT_STALE_AFTER_PERIODS = 3


#: Clocks of machines that share a store differ; a try that is further ahead is of a clock that was wrong.
MAX_CLOCK_SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Schedule:
    """timezone: of the IANA list. at: HH:MM there; None for midnight, and for a quiet hour where the period is daily or
    longer. whose: what tells one customer from all others, wherever they are."""

    period: Period
    timezone: str = "UTC"
    at: str | None = None
    customer_key: str = ""

    @property
    def jitter(self) -> timedelta:
        """Between a slot and this customer's start."""
        most = MAX_JITTER.get(self.period, DEFAULT_MAX_JITTER)
        return timedelta(seconds=self._derive_share("jitter", int(most.total_seconds()) + 1))

    @property
    def stale_after(self) -> int:
        """Periods."""
        return STALE_AFTER_PERIODS.get(self.period, DEFAULT_STALE_AFTER_PERIODS)

    def find_last_start(self, moment: datetime) -> datetime:
        """The last start that is not after the moment."""
        return max(start for start in self._iter_starts_around(moment) if start <= moment)

    def find_next_start(self, moment: datetime) -> datetime:
        """The first start that is after the moment."""
        return min(start for start in self._iter_starts_around(moment) if start > moment)

    def compute_next_due(self, last_attempt: datetime | None, now: datetime) -> datetime:
        """When the next fetch is: now for who was never fetched, or by a clock that was wrong. It may be past; however
        many starts were missed, it is one fetch that makes up for them."""
        return now if last_attempt is None or is_ahead(last_attempt, now) else self.find_next_start(last_attempt)

    def is_due(self, last_attempt: datetime | None, now: datetime) -> bool:
        return self.compute_next_due(last_attempt, now) <= now

    def count_periods_since(self, moment: datetime, now: datetime) -> int:
        """How many starts there were after a moment until now."""
        zone = ZoneInfo(self.timezone)
        first = moment.astimezone(zone).date() - timedelta(days=DEFAULT_SEARCH_DAYS)
        last = now.astimezone(zone).date() + timedelta(days=1)
        return sum(1 for start in self._iter_starts(first, last) if moment < start <= now)

    def compute_retry_time(self, tries: int, now: datetime) -> datetime:
        """When to try again. tries: that failed since the last start, this one included, from 1."""
        retries = RETRY_DELAYS.get(self.period, DEFAULT_RETRY_DELAYS)
        following = self.find_next_start(now)
        return min(now + retries[tries - 1], following) if tries <= len(retries) else following

    def _iter_starts_around(self, moment: datetime) -> Iterator[datetime]:
        there = moment.astimezone(ZoneInfo(self.timezone)).date()
        reach = timedelta(days=SEARCH_DAYS.get(self.period, DEFAULT_SEARCH_DAYS))
        return self._iter_starts(there - reach, there + reach)

    def _iter_starts(self, first: date, last: date) -> Iterator[datetime]:
        """Of the days from the first to the last, in order, none twice."""
        zone, jitter = ZoneInfo(self.timezone), self.jitter
        minutes = self._list_start_minutes()
        before: datetime | None = None
        for day in self._iter_days(first, last):
            midnight = datetime.combine(day, time())
            if not self._is_rare and find_first_moment(midnight, zone).astimezone(zone).date() != day:
                continue
            for minute in minutes:
                slot = find_first_moment(midnight + timedelta(minutes=minute), zone)
                if slot != before:
                    yield slot + jitter
                before = slot

    @property
    def _is_rare(self) -> bool:
        """Whether a day without slots would be a period without any."""
        return self.period in SEARCH_DAYS

    def _iter_days(self, first: date, last: date) -> Iterator[date]:
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            if self.period is Period.WEEKLY and day.weekday() != MONDAY:
                continue
            if self.period is Period.MONTHLY and day.day != 1:
                continue
            yield day

    def _list_start_minutes(self) -> tuple[int, ...]:
        """Of a day."""
        step = STEP_HOURS.get(self.period)
        if step is not None:
            return tuple(range(_parse_minute(self.at or "00:00") % (step * 60), 24 * 60, step * 60))
        if self.at is not None:
            return (_parse_minute(self.at),)
        return (QUIET_HOURS_START * 60 + self._derive_share("at", (QUIET_HOURS_END - QUIET_HOURS_START) * 60),)

    def _derive_share(self, purpose: str, parts: int) -> int:
        """One of so many parts, from 0, the same every time."""
        digest = hashlib.sha256(f"{self.customer_key}\0{purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % parts


def is_ahead(last_attempt: datetime | None, now: datetime) -> bool:
    """Whether a try is of a clock that was wrong."""
    return last_attempt is not None and last_attempt > now + MAX_CLOCK_SKEW


def find_first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which a clock in the zone shows this (naive) time or a later one."""
    meant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if meant.astimezone(zone).replace(tzinfo=None) == wall:
        return meant
    # PEP 495: in a gap, fold 1 reads the time by the offset after it, and so before it, and fold 0 the other way.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), meant
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _parse_minute(at: str) -> int:
    hours, minutes = at.split(":")
    return int(hours) * 60 + int(minutes)
