"""Computes when a roster is fetched automatically: the slots of a period in a customer's time zone.

A slot follows the wall clock of the customer's time zone. A time that does not exist on a day (the clock goes forward)
becomes the first moment after it; a time that exists twice (the clock goes back) is the first of the two. A date that
does not exist, as when a country crosses the date line, has no slots. A start follows its slot by at most `MAX_JITTER`,
always the same for a customer, so that many customers with the same time do not start in the same second.

All moments here are timezone-aware; results are in UTC.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Period(StrEnum):
    """An interval between fetches. Periods up to 12 hours count from `at`, or from midnight."""

    HOURLY = "hourly"
    EVERY_6_HOURS = "every_6_hours"
    EVERY_12_HOURS = "every_12_hours"
    DAILY = "daily"
    #: on Mondays
    WEEKLY = "weekly"
    #: on the first day of the month
    MONTHLY = "monthly"


#: hours between the slots of a day
STEP_HOURS = {Period.HOURLY: 1, Period.EVERY_6_HOURS: 6, Period.EVERY_12_HOURS: 12}
#: days before and after a moment in which slots are searched: more than lie between two slots
SEARCH_DAYS = {Period.WEEKLY: 15, Period.MONTHLY: 63}
DEFAULT_SEARCH_DAYS = 3
MONDAY = 0

#: longest delay between a slot and a customer's start
MAX_JITTER = {Period.HOURLY: timedelta(minutes=5)}
DEFAULT_MAX_JITTER = timedelta(minutes=10)

#: without `at`, daily and longer periods start between these hours, each customer at its own minute
QUIET_HOURS_START, QUIET_HOURS_END = 1, 5

#: delays before the retries of a failed fetch, within a period
RETRY_DELAYS = {Period.HOURLY: (timedelta(minutes=10), timedelta(minutes=20))}
DEFAULT_RETRY_DELAYS = (timedelta(minutes=15), timedelta(hours=1))

#: periods without a new roster after which the last one is stale: three, but never less than three days
STALE_AFTER_PERIODS = {Period.HOURLY: 72, Period.EVERY_6_HOURS: 12, Period.EVERY_12_HOURS: 6}
DEFAULT_STALE_AFTER_PERIODS = 3


#: clocks of machines that share a store differ; an attempt further in the future was recorded by a wrong clock
MAX_CLOCK_SKEW = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The fetch times of one customer."""

    period: Period
    #: an IANA name
    timezone: str = "UTC"
    #: HH:MM in that time zone; None for midnight, or for a quiet hour if the period is daily or longer
    at: str | None = None
    #: distinguishes the customer from all others in all stores
    customer_key: str = ""

    @property
    def jitter(self) -> timedelta:
        """Return the delay between a slot and this customer's start."""
        most = MAX_JITTER.get(self.period, DEFAULT_MAX_JITTER)
        return timedelta(seconds=self._derive_share("jitter", int(most.total_seconds()) + 1))

    @property
    def stale_after(self) -> int:
        """Return the number of periods after which the last roster is stale."""
        return STALE_AFTER_PERIODS.get(self.period, DEFAULT_STALE_AFTER_PERIODS)

    def find_last_start(self, moment: datetime) -> datetime:
        """Return the last start that is not after the moment."""
        return max(start for start in self._iter_starts_around(moment) if start <= moment)

    def find_next_start(self, moment: datetime) -> datetime:
        """Return the first start that is after the moment."""
        return min(start for start in self._iter_starts_around(moment) if start > moment)

    def compute_next_due(self, last_attempt: datetime | None, now: datetime) -> datetime:
        """Return the moment of the next fetch: now if there was no attempt yet, or if a wrong clock recorded it.

        The moment may be past: one fetch makes up for all missed starts.
        """
        return now if last_attempt is None or is_ahead(last_attempt, now) else self.find_next_start(last_attempt)

    def is_due(self, last_attempt: datetime | None, now: datetime) -> bool:
        return self.compute_next_due(last_attempt, now) <= now

    def count_periods_since(self, moment: datetime, now: datetime) -> int:
        """Return the number of starts after a moment, up to now."""
        zone = ZoneInfo(self.timezone)
        first = moment.astimezone(zone).date() - timedelta(days=DEFAULT_SEARCH_DAYS)
        last = now.astimezone(zone).date() + timedelta(days=1)
        return sum(1 for start in self._iter_starts(first, last) if moment < start <= now)

    def compute_retry_time(self, tries: int, now: datetime) -> datetime:
        """Return the moment of the next attempt.

        tries: failed attempts since the last start, this one included, from 1.
        """
        retries = RETRY_DELAYS.get(self.period, DEFAULT_RETRY_DELAYS)
        following = self.find_next_start(now)
        return min(now + retries[tries - 1], following) if tries <= len(retries) else following

    def _iter_starts_around(self, moment: datetime) -> Iterator[datetime]:
        local_date = moment.astimezone(ZoneInfo(self.timezone)).date()
        reach = timedelta(days=SEARCH_DAYS.get(self.period, DEFAULT_SEARCH_DAYS))
        return self._iter_starts(local_date - reach, local_date + reach)

    def _iter_starts(self, first: date, last: date) -> Iterator[datetime]:
        """Yield the starts from the first date to the last, in order, without duplicates."""
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
        """Return whether a date without slots would leave a whole period without one."""
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
        """Return the slots of a day, in minutes after midnight."""
        step = STEP_HOURS.get(self.period)
        if step is not None:
            return tuple(range(_parse_minute(self.at or "00:00") % (step * 60), 24 * 60, step * 60))
        if self.at is not None:
            return (_parse_minute(self.at),)
        return (QUIET_HOURS_START * 60 + self._derive_share("at", (QUIET_HOURS_END - QUIET_HOURS_START) * 60),)

    def _derive_share(self, purpose: str, parts: int) -> int:
        """Return a number from 0 to `parts` - 1, always the same for this customer and purpose."""
        digest = hashlib.sha256(f"{self.customer_key}\0{purpose}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % parts


def is_ahead(last_attempt: datetime | None, now: datetime) -> bool:
    """Return whether a wrong clock recorded the last attempt."""
    return last_attempt is not None and last_attempt > now + MAX_CLOCK_SKEW


def find_first_moment(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the first moment, in UTC, at which a clock in the zone shows the naive time `wall` or a later one."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if first.astimezone(zone).replace(tzinfo=None) == wall:
        return first
    # PEP 495: in a gap, fold 1 uses the offset after the gap, so its moment is before it; fold 0 is the reverse.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first
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
