"""The days of the school year: when the office sends a roster, and which terms it speaks of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

FIRST_DAY, LAST_DAY = date(2026, 8, 24), date(2027, 6, 11)
ROLL_OVER = date(2027, 6, 14)
NEXT_YEAR, END = date(2027, 8, 23), date(2027, 8, 27)

#: first and last day of each
HOLIDAYS = (
    (date(2026, 9, 7), date(2026, 9, 7)),
    (date(2026, 10, 12), date(2026, 10, 12)),
    (date(2026, 11, 25), date(2026, 11, 27)),
    (date(2026, 12, 21), date(2027, 1, 1)),
    (date(2027, 1, 18), date(2027, 1, 18)),
    (date(2027, 2, 15), date(2027, 2, 15)),
    (date(2027, 3, 29), date(2027, 4, 2)),
    (date(2027, 5, 31), date(2027, 5, 31)),
)


@dataclass(frozen=True, slots=True)
class Term:
    """A row of academicSessions.csv. end: the day after the last, as the standard has it."""

    sourced_id: str
    title: str
    kind: str
    start: date
    end: date
    parent: str
    school_year: str


YEAR = Term("t-2026", "School year 2026-2027", "schoolYear", FIRST_DAY, date(2027, 6, 12), "", "2027")
FALL = Term("t-2026-fall", "Fall 2026", "semester", FIRST_DAY, date(2027, 1, 16), "t-2026", "2027")
SPRING = Term("t-2027-spring", "Spring 2027", "semester", date(2027, 1, 18), date(2027, 6, 12), "t-2026", "2027")
YEAR_AFTER = Term("t-2027", "School year 2027-2028", "schoolYear", NEXT_YEAR, date(2028, 6, 10), "", "2028")
FALL_AFTER = Term("t-2027-fall", "Fall 2027", "semester", NEXT_YEAR, date(2028, 1, 15), "t-2027", "2028")

#: The first day on which the roster has the classes of the spring.
SPRING_BEGINS = date(2027, 1, 19)


def list_terms(day: date) -> tuple[Term, ...]:
    """What academicSessions.csv names on that day: the school year with its terms, ended ones included."""
    return (YEAR, FALL, SPRING) if day < ROLL_OVER else (YEAR_AFTER, FALL_AFTER)


def find_school_year(day: date) -> Term:
    return YEAR if day < ROLL_OVER else YEAR_AFTER


def find_semester(day: date) -> Term:
    if day >= ROLL_OVER:
        return FALL_AFTER
    return FALL if day < SPRING_BEGINS else SPRING


def list_roster_days() -> tuple[date, ...]:
    """Every school day; in summer each Monday; then the first week of the next year."""
    return (*_iter_weekdays(FIRST_DAY, LAST_DAY), *_iter_mondays(ROLL_OVER, NEXT_YEAR), *_iter_weekdays(NEXT_YEAR, END))


def is_summer(day: date) -> bool:
    """The weeks in which rosters are half made, and a district lets them only add."""
    return ROLL_OVER < day < NEXT_YEAR


def compute_sending_time(day: date) -> datetime:
    """When the roster of a day is sent."""
    return datetime(day.year, day.month, day.day, 7, 30, tzinfo=UTC)


def _iter_weekdays(first: date, last: date) -> Iterator[date]:
    day = first
    while day <= last:
        if day.weekday() < 5 and not any(begin <= day <= end for begin, end in HOLIDAYS):
            yield day
        day += timedelta(days=1)


def _iter_mondays(first: date, end: date) -> Iterator[date]:
    while first < end:
        yield first
        first += timedelta(days=7)
