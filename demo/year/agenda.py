"""The days on which something out of the ordinary happens, by name: the table that the whole year is read from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from demo.year import faults, turns
from demo.year.dates import END, FIRST_DAY, NEXT_YEAR, ROLL_OVER, SPRING_BEGINS, is_summer, list_roster_days
from demo.year.expected import DayExpectation
from demo.year.faults import Fault
from demo.year.turns import Turn


@dataclass(frozen=True, slots=True)
class AgendaEntry:
    """name: as it is switched off by, and shown. first, last: its days. turn: what becomes true. fault: what is sent
    instead of the truth. Nothing ordinary happens on a day with a fault that must change nothing.

    mark: what the picture shows it as, empty for nothing. meanwhile: somebody who is about to be removed comes by their
    LMS between plan and apply.
    """

    name: str
    first: date
    turn: Turn | None = None
    fault: Fault | None = None
    expect: DayExpectation = DayExpectation.EXACT
    last: date | None = None
    mark: str = ""
    launch_meanwhile: bool = False

    def contains_day(self, day: date) -> bool:
        return self.first <= day <= (self.last or self.first)

    @property
    def quiet(self) -> bool:
        return (
            self.expect in (DayExpectation.UNCHANGED, DayExpectation.SAFE, DayExpectation.BLED)
            or self.turn is turns.begin_school
        )


def _build_fault_entry(
    name: str, day: date, fault: Fault, expect: DayExpectation = DayExpectation.UNCHANGED, mark: str = "wrong"
) -> AgendaEntry:
    return AgendaEntry(name, day, fault=fault, expect=expect, mark=mark)


AGENDA: tuple[AgendaEntry, ...] = (
    AgendaEntry("first-day", FIRST_DAY, turns.begin_school),
    AgendaEntry("bit-of-everything", date(2026, 9, 2), turns.run_every_habit),
    AgendaEntry("same-file-twice", date(2026, 9, 9), fault=faults.repeat_last_file, expect=DayExpectation.UNCHANGED),
    AgendaEntry("bad-rows", date(2026, 9, 16), fault=faults.break_rows),
    _build_fault_entry("outage-cut-off", date(2026, 9, 23), faults.cut_off_upload),
    _build_fault_entry("outage-cut-off-inside", date(2026, 9, 24), faults.cut_off_users),
    AgendaEntry("username-swap", date(2026, 9, 30), turns.swap_usernames),
    AgendaEntry("two-sourced-ids", date(2026, 10, 6), turns.add_second_sourced_ids),
    AgendaEntry("bad-rows", date(2026, 10, 8), fault=faults.break_rows),
    _build_fault_entry("school-left-out", date(2026, 10, 14), faults.leave_school_out),
    _build_fault_entry("outage-half-file", date(2026, 10, 21), faults.drop_half_of_people),
    _build_fault_entry("wrong-file", date(2026, 11, 3), faults.send_other_district),
    _build_fault_entry("swapped-files", date(2026, 11, 4), faults.swap_files),
    _build_fault_entry("header-only", date(2026, 11, 10), faults.send_header_only),
    _build_fault_entry("older-file", date(2026, 11, 17), faults.send_older_file),
    AgendaEntry("link-while-planned", date(2026, 11, 20), turns.remove_some_pupils, launch_meanwhile=True),
    AgendaEntry(
        "slow-bleed",
        date(2026, 12, 1),
        fault=faults.drop_pupils_slowly,
        expect=DayExpectation.BLED,
        last=date(2026, 12, 10),
        mark="wrong",
    ),
    AgendaEntry("spring-begins", SPRING_BEGINS, turns.begin_spring, mark="turn"),
    _build_fault_entry("spreadsheet", date(2027, 1, 27), faults.strip_leading_zeros),
    _build_fault_entry("migration-without-identifiers", date(2027, 2, 8), faults.migrate_without_identifiers),
    AgendaEntry("migration", date(2027, 2, 16), turns.change_system, mark="turn"),
    AgendaEntry("delta", date(2027, 2, 24), fault=faults.send_delta),
    _build_fault_entry("pupils-as-teachers", date(2027, 3, 3), faults.turn_pupils_into_teachers),
    AgendaEntry("aides-become-teachers", date(2027, 3, 10), turns.turn_aides_into_teachers),
    _build_fault_entry("school-vanished", date(2027, 3, 17), faults.remove_school),
    _build_fault_entry("optional-files-missing", date(2027, 4, 13), faults.omit_optional_files),
    AgendaEntry("one-sourced-id-again", date(2027, 4, 20), turns.remove_second_sourced_id),
    _build_fault_entry("empty-file", date(2027, 5, 11), faults.send_empty_file),
    AgendaEntry("bit-of-everything", date(2027, 5, 18), turns.run_every_habit),
    AgendaEntry("roll-over", ROLL_OVER, turns.roll_over_year, mark="turn"),
    AgendaEntry(
        "summer",
        ROLL_OVER + timedelta(days=1),
        turns.simulate_summer,
        faults.drop_third_of_pupils,
        DayExpectation.ADDED,
        NEXT_YEAR - timedelta(days=1),
        mark="wrong",
    ),
    AgendaEntry("next-year", NEXT_YEAR, turns.begin_next_year, mark="turn"),
)

NAMES = tuple(dict.fromkeys(entry.name for entry in AGENDA))
#: without these there is no year to play
NEEDED = ("first-day", "spring-begins", "roll-over", "next-year")


def find_entry(day: date, exclude: frozenset[str] = frozenset()) -> AgendaEntry | None:
    return next((entry for entry in AGENDA if entry.contains_day(day) and entry.name not in exclude), None)


def select_played_days(day_step: int) -> tuple[date, ...]:
    """All that stand in the agenda, the day after what must change nothing, and every so many of the others."""
    days = list_roster_days()
    kept = set()
    for place, day in enumerate(days):
        entry = find_entry(day)
        if entry and not is_summer(day):
            kept |= {day, days[place + 1]} if entry.expect is not DayExpectation.EXACT else {day}
    kept |= {days[place] for place in range(0, len(days), day_step)}
    return tuple(day for day in days if day in kept or day == END)
