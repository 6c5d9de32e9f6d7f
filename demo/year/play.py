"""A school year, day by day: what is true, what is sent, what the program makes of it, and whether that is right."""

from __future__ import annotations

import random
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from demo.year.admin import FLOOR, PER_SCHOOL, Admin
from demo.year.agenda import Entry, entry_on, played_days
from demo.year.check import Problem, check, remember_accounts
from demo.year.dates import NEXT_YEAR, ROLL_OVER, at_night, in_summer
from demo.year.expected import NOTHING, Expect, Expected
from demo.year.export import export
from demo.year.faults import MIDDLE, Sending, read_tables
from demo.year.life import ordinary_day
from demo.year.office import Office
from demo.year.platform import Holdings, Platform
from demo.year.program import Planned, Program, Unexpected
from demo.year.schools import GRADES, Scale
from demo.year.series import Day
from reconciler import clock

ENVIRONMENT = "year"
STALE = 4


@dataclass(frozen=True, slots=True)
class Evening:
    """problems: what is wrong tonight. planned: the plan of the day, for whoever looks for the reason."""

    day: Day
    problems: list[Problem]
    planned: Planned


class Year:
    """folder: an empty one, to play in. store: URL of a store that nobody has used. without: events and habits that
    are left out. sabotage: called each evening before the check, for whoever wants to see it fail."""

    def __init__(
        self,
        folder: Path,
        store: str,
        seed: int,
        scale: Scale,
        without: frozenset[str] = frozenset(),
        sabotage: Callable[[date, Year], None] = lambda day, year: None,
    ) -> None:
        self.folder, self.store, self.scale, self.without = folder, store, scale, without
        self.office = Office(seed, scale)
        self.platform = Platform(folder, store, ENVIRONMENT)
        self.seconds = 0.0
        self._sabotage = sabotage
        self._program = Program(folder, store)
        self._admin = Admin(folder)
        self._expected: Expected = NOTHING
        self._chance = random.Random(seed + 1)
        self._good: list[Path] = []
        self._bled: list[str] = []

    def evenings(self) -> Iterator[Evening]:
        """Raises Unexpected where a command ends in a way that no day has in store."""
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = f'format: 1\nenvironments: {{{ENVIRONMENT}: {{store: "{self.store}"}}}}\n'
        (self.folder / "reconciler.yaml").write_text(settings, encoding="utf-8")
        self._admin.set_up()
        for day in played_days(self.scale.every):
            with clock.at(at_night(day)):
                evening = self._evening(day, entry_on(day, self.without))
            self.seconds = time.monotonic() - began
            yield evening

    def _evening(self, day: date, entry: Entry | None) -> Evening:
        expect = entry.expect if entry else Expect.EXACT
        self._what_happens(day, entry)
        self._what_the_admin_foresees(day)
        sending = self._send(day, entry)
        planned = self._program.plan(sending.path)
        if entry and entry.meanwhile:
            self._launches_meanwhile(planned)
        became, planned = self._apply(sending.path, planned)
        self._expect(expect, sending)
        self._sabotage(day, self)
        holdings = self.platform.holdings()
        remember_accounts(self.office, holdings)
        victims, bearable = self._bearable() if expect is Expect.BLED else (frozenset(), 0)
        problems = check(self.office, self._expected, holdings, expect, victims, bearable)
        self.platform.class_day(self.office, holdings)
        return Evening(_record(day, entry, self.office, holdings, planned, became, sending), problems, planned)

    def _what_happens(self, day: date, entry: Entry | None) -> None:
        if not in_summer(day) and not (entry and entry.quiet):
            ordinary_day(self.office, self.without)
        if entry and entry.turn:
            entry.turn(self.office, day)
        self.office.staff()

    def _what_the_admin_foresees(self, day: date) -> None:
        """The last class graduates, and the summer's rosters are half made: said in YAML before they come."""
        if day == ROLL_OVER:
            graduates = sum(each.pupils for each in self.scale.schools if GRADES[-1] in each.grades)
            self._admin.approve_ahead(graduates + 30, date(2027, 6, 20), "the graduating class")
            self._admin.only_add(date(2027, 6, 15), date(2027, 8, 22))
        if day == NEXT_YEAR:
            self._admin.let_pass("row-count-drop", date(2027, 8, 31), "the new year's classes")

    def _send(self, day: date, entry: Entry | None) -> Sending:
        path = self.folder / f"{day}.zip"
        sending = Sending(self.office, self._chance, export(self.office, day), path, self._good, self._bled)
        if entry and entry.fault:
            entry.fault(sending)
        else:
            sending.export.write(path)
        return sending

    def _launches_meanwhile(self, planned: Planned) -> None:
        going = {change["key"] for change in planned.changes("user", "delete")}
        known = [each for each in self.office.members if going & set(each.sourced_ids) and each.subject is None]
        self.platform.meanwhile(known[:1])

    def _apply(self, path: Path, planned: Planned) -> tuple[str, Planned]:
        """As the admin does it: what is held is approved if all of it is true; a stale plan is made again."""
        approved = planned.hold is not None and self._admin.agrees(self.office, planned)
        said = self._program.apply(*([planned.hold] if approved and planned.hold else []))
        if said.code == STALE:
            planned = self._program.plan(path)
            approved = planned.hold is not None and self._admin.agrees(self.office, planned)
            said = self._program.apply(*([planned.hold] if approved and planned.hold else []))
        right = 3 if planned.refused or (planned.hold and not approved) else 0
        if said.code != right:
            raise Unexpected(f"apply ended with {said.code}, not {right}: {said.err.strip() or said.out[-600:]}")
        if planned.refused:
            return "refused", planned
        return ("approved" if approved else "held") if planned.hold else "applied", planned

    def _expect(self, expect: Expect, sending: Sending) -> None:
        """What the roster of today could tell becomes what is expected from tonight on."""
        if expect in (Expect.EXACT, Expect.BLED):
            self._expected = self._expected.with_truth_of(self.office, stale=sending.stale)
        if expect is Expect.ADDED:
            self._expected = self._expected.with_truth_of(self.office, added=sending.rows("users"))
        if expect is Expect.EXACT:
            self._good.append(sending.path)

    def _bearable(self) -> tuple[frozenset[int], int]:
        """Whom the bleed left out, and how many of them a week may cost before a person is asked."""
        bled = set(self._bled)
        victims = frozenset(each.number for each in self.office.here() if bled & set(each.sourced_ids))
        there = sum(MIDDLE in each.schools for each in self.office.here())
        return victims, max(FLOOR, there * PER_SCHOOL // 100)


def _record(
    day: date, entry: Entry | None, office: Office, holdings: Holdings, planned: Planned, became: str, sending: Sending
) -> Day:
    held = list(planned.held()) if became == "held" else []
    done = {
        action: sum(not (each["held"] and became == "held") for each in planned.changes("user", action))
        for action in ("create", "delete", "restore", "rekey")
    }
    refused = became == "refused"
    return Day(
        day=str(day),
        event=entry.name if entry else "",
        mark=entry.mark if entry else "",
        should=len(office.here()),
        live=len(holdings.people),
        sent=_named(office, sending),
        added=0 if refused else done["create"],
        removed=0 if refused else done["delete"],
        restored=0 if refused else done["restore"],
        rekeyed=0 if refused else done["rekey"],
        held=sum(each["kind"] == "user" for each in held),
        became=became,
        codes=planned.codes(),
    )


def _named(office: Office, sending: Sending) -> int:
    """People of the district whom the file names; a file of changes names all that it does not say are gone."""
    here = office.here()
    if sending.export.delta:
        return len(here)
    try:
        named = {row.get("sourcedId") for row in read_tables(sending.path)["users"]}
    except (zipfile.BadZipFile, EOFError, KeyError, zlib.error):
        return 0
    return sum(any(key in named for key in member.sourced_ids) for member in here)
