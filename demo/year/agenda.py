"""The days on which something out of the ordinary happens, by name: the table that the whole year is read from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from demo.year import faults, turns
from demo.year.dates import END, FIRST_DAY, NEXT_YEAR, ROLL_OVER, SPRING_BEGINS, in_summer, roster_days
from demo.year.expected import Expect
from demo.year.faults import Fault
from demo.year.turns import Turn


@dataclass(frozen=True, slots=True)
class Entry:
    """name: as it is switched off by, and shown. first, last: its days. turn: what becomes true. fault: what is sent
    instead of the truth. Nothing ordinary happens on a day with a fault that must change nothing.

    mark: what the picture shows it as, empty for nothing. meanwhile: somebody who is about to be removed comes by their
    LMS between plan and apply.
    """

    name: str
    first: date
    turn: Turn | None = None
    fault: Fault | None = None
    expect: Expect = Expect.EXACT
    last: date | None = None
    mark: str = ""
    meanwhile: bool = False

    def on(self, day: date) -> bool:
        return self.first <= day <= (self.last or self.first)

    @property
    def quiet(self) -> bool:
        return self.expect in (Expect.UNCHANGED, Expect.SAFE, Expect.BLED) or self.turn is turns.school_begins


def _wrong(name: str, day: date, fault: Fault, expect: Expect = Expect.UNCHANGED, mark: str = "wrong") -> Entry:
    return Entry(name, day, fault=fault, expect=expect, mark=mark)


AGENDA: tuple[Entry, ...] = (
    Entry("first-day", FIRST_DAY, turns.school_begins),
    Entry("bit-of-everything", date(2026, 9, 2), turns.a_bit_of_everything),
    Entry("same-file-twice", date(2026, 9, 9), fault=faults.same_again, expect=Expect.UNCHANGED),
    Entry("bad-rows", date(2026, 9, 16), fault=faults.bad_rows),
    _wrong("outage-cut-off", date(2026, 9, 23), faults.cut_off),
    _wrong("outage-cut-off-inside", date(2026, 9, 24), faults.cut_off_inside),
    Entry("username-swap", date(2026, 9, 30), turns.swap_usernames),
    Entry("two-sourced-ids", date(2026, 10, 6), turns.two_sourced_ids),
    Entry("bad-rows", date(2026, 10, 8), fault=faults.bad_rows),
    _wrong("school-left-out", date(2026, 10, 14), faults.school_left_out),
    _wrong("outage-half-file", date(2026, 10, 21), faults.half_of_the_people),
    _wrong("wrong-file", date(2026, 11, 3), faults.another_district),
    _wrong("swapped-files", date(2026, 11, 4), faults.swapped_files),
    _wrong("header-only", date(2026, 11, 10), faults.header_only),
    _wrong("older-file", date(2026, 11, 17), faults.older_file),
    Entry("link-while-planned", date(2026, 11, 20), turns.some_leave, meanwhile=True),
    Entry(
        "slow-bleed",
        date(2026, 12, 1),
        fault=faults.slow_bleed,
        expect=Expect.BLED,
        last=date(2026, 12, 10),
        mark="wrong",
    ),
    Entry("spring-begins", SPRING_BEGINS, turns.spring_begins, mark="turn"),
    _wrong("spreadsheet", date(2027, 1, 27), faults.spreadsheet),
    _wrong("migration-without-identifiers", date(2027, 2, 8), faults.migration_without_identifiers),
    Entry("migration", date(2027, 2, 16), turns.new_system, mark="turn"),
    Entry("delta", date(2027, 2, 24), fault=faults.changes_only),
    _wrong("pupils-as-teachers", date(2027, 3, 3), faults.pupils_as_teachers),
    Entry("aides-become-teachers", date(2027, 3, 10), turns.aides_become_teachers),
    _wrong("school-vanished", date(2027, 3, 17), faults.school_vanished),
    _wrong("optional-files-missing", date(2027, 4, 13), faults.optional_files_missing),
    Entry("one-sourced-id-again", date(2027, 4, 20), turns.one_sourced_id_again),
    _wrong("empty-file", date(2027, 5, 11), faults.empty_file),
    Entry("bit-of-everything", date(2027, 5, 18), turns.a_bit_of_everything),
    Entry("roll-over", ROLL_OVER, turns.roll_over, mark="turn"),
    Entry(
        "summer",
        ROLL_OVER + timedelta(days=1),
        turns.summer_passes,
        faults.half_made_summer,
        Expect.ADDED,
        NEXT_YEAR - timedelta(days=1),
        mark="wrong",
    ),
    Entry("next-year", NEXT_YEAR, turns.next_year, mark="turn"),
)

NAMES = tuple(dict.fromkeys(entry.name for entry in AGENDA))
#: without these there is no year to play
NEEDED = ("first-day", "spring-begins", "roll-over", "next-year")


def entry_on(day: date, without: frozenset[str] = frozenset()) -> Entry | None:
    return next((entry for entry in AGENDA if entry.on(day) and entry.name not in without), None)


def played_days(every: int) -> tuple[date, ...]:
    """All that stand in the agenda, the day after what must change nothing, and every so many of the others."""
    days = roster_days()
    kept = set()
    for place, day in enumerate(days):
        entry = entry_on(day)
        if entry and not in_summer(day):
            kept |= {day, days[place + 1]} if entry.expect is not Expect.EXACT else {day}
    kept |= {days[place] for place in range(0, len(days), every)}
    return tuple(day for day in days if day in kept or day == END)
