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
from demo.year.agenda import AgendaEntry, find_entry, select_played_days
from demo.year.check import AccountProblem, check_accounts, remember_accounts
from demo.year.dates import NEXT_YEAR, ROLL_OVER, compute_sending_time, is_summer
from demo.year.expected import EMPTY_STATE, DayExpectation, TargetState
from demo.year.export import build_export
from demo.year.faults import MIDDLE, Delivery, read_tables
from demo.year.life import simulate_ordinary_day
from demo.year.office import Office
from demo.year.platform import Holdings, StorePlatform
from demo.year.program import CommandFailure, PlanResult, Program
from demo.year.schools import GRADES, Scale
from demo.year.series import Day
from reconciler import clock

ENVIRONMENT = "year"
STALE = 4


@dataclass(frozen=True, slots=True)
class Evening:
    """problems: what is wrong tonight. planned: the plan of the day, for whoever looks for the reason."""

    day: Day
    problems: list[AccountProblem]
    plan_result: PlanResult


class Year:
    """folder: an empty one, to play in. store: URL of a store that nobody has used. without: events and habits that
    are left out. sabotage: called each evening before the check, for whoever wants to see it fail."""

    def __init__(
        self,
        folder: Path,
        store: str,
        seed: int,
        scale: Scale,
        exclude: frozenset[str] = frozenset(),
        sabotage: Callable[[date, Year], None] = lambda day, year: None,
    ) -> None:
        self.folder, self.store, self.scale, self.without = folder, store, scale, exclude
        self.office = Office(seed, scale)
        self.platform = StorePlatform(folder, store, ENVIRONMENT)
        self.seconds = 0.0
        self._sabotage = sabotage
        self._program = Program(folder, store)
        self._admin = Admin(folder)
        self._expected: TargetState = EMPTY_STATE
        self._chance = random.Random(seed + 1)
        self._good: list[Path] = []
        self._bled: list[str] = []

    def run_evenings(self) -> Iterator[Evening]:
        """Raises Unexpected where a command ends in a way that no day has in store."""
        began = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = f'format: 1\nenvironments: {{{ENVIRONMENT}: {{store: "{self.store}"}}}}\n'
        (self.folder / "reconciler.yaml").write_text(settings, encoding="utf-8")
        self._admin.write_files()
        # The first plan is saved, and a plan can be saved only for a store that exists.
        assert self.platform.store
        for day in select_played_days(self.scale.day_step):
            with clock.freeze_time(compute_sending_time(day)):
                evening = self._run_day(day, find_entry(day, self.without))
            self.seconds = time.monotonic() - began
            yield evening

    def _run_day(self, day: date, entry: AgendaEntry | None) -> Evening:
        expect = entry.expect if entry else DayExpectation.EXACT
        self._simulate_day(day, entry)
        self._update_admin_rules(day)
        sending = self._send_roster(day, entry)
        planned = self._program.plan_bundle(sending.path)
        if entry and entry.launch_meanwhile:
            self._launch_leavers(planned)
        became, planned = self._apply_plan(sending.path, planned)
        self._update_target_state(expect, sending)
        self._sabotage(day, self)
        holdings = self.platform.read_holdings()
        remember_accounts(self.office, holdings)
        victims, bearable = self._compute_bearable_losses() if expect is DayExpectation.BLED else (frozenset(), 0)
        problems = check_accounts(self.office, self._expected, holdings, expect, victims, bearable)
        self.platform.simulate_class_day(self.office, holdings)
        return Evening(
            _build_day_record(day, entry, self.office, holdings, planned, became, sending), problems, planned
        )

    def _simulate_day(self, day: date, entry: AgendaEntry | None) -> None:
        if not is_summer(day) and not (entry and entry.quiet):
            simulate_ordinary_day(self.office, self.without)
        if entry and entry.turn:
            entry.turn(self.office, day)
        self.office.assign_teachers()

    def _update_admin_rules(self, day: date) -> None:
        """The last class graduates, and the summer's rosters are half made: said in YAML before they come."""
        if day == ROLL_OVER:
            graduates = sum(each.pupils for each in self.scale.schools if GRADES[-1] in each.grades)
            self._admin.add_pre_approval(graduates + 30, date(2027, 6, 20), "the graduating class")
            self._admin.restrict_to_adds(date(2027, 6, 15), date(2027, 8, 22))
        if day == NEXT_YEAR:
            self._admin.allow_gate("row-count-drop", date(2027, 8, 31), "the new year's classes")

    def _send_roster(self, day: date, entry: AgendaEntry | None) -> Delivery:
        path = self.folder / f"{day}.zip"
        sending = Delivery(self.office, self._chance, build_export(self.office, day), path, self._good, self._bled)
        if entry and entry.fault:
            entry.fault(sending)
        else:
            sending.export.write(path)
        return sending

    def _launch_leavers(self, plan_result: PlanResult) -> None:
        going = {change["key"] for change in plan_result.iter_changes("user", "delete")}
        known = [each for each in self.office.members if going & set(each.sourced_ids) and each.subject is None]
        self.platform.launch_members(known[:1])

    def _apply_plan(self, path: Path, plan_result: PlanResult) -> tuple[str, PlanResult]:
        """As the admin does it: what is held is approved if all of it is true; a stale plan is made again."""
        approved = plan_result.hold is not None and self._admin.agrees_with_plan(self.office, plan_result)
        said = self._program.apply_plan(*([plan_result.hold] if approved and plan_result.hold else []))
        if said.code == STALE:
            plan_result = self._program.plan_bundle(path)
            approved = plan_result.hold is not None and self._admin.agrees_with_plan(self.office, plan_result)
            said = self._program.apply_plan(*([plan_result.hold] if approved and plan_result.hold else []))
        right = 3 if plan_result.is_refused or (plan_result.hold and not approved) else 0
        if said.code != right:
            raise CommandFailure(f"apply ended with {said.code}, not {right}: {said.err.strip() or said.out[-600:]}")
        if plan_result.is_refused:
            return "refused", plan_result
        return ("approved" if approved else "held") if plan_result.hold else "applied", plan_result

    def _update_target_state(self, expect: DayExpectation, delivery: Delivery) -> None:
        """What the roster of today could tell becomes what is expected from tonight on."""
        if expect in (DayExpectation.EXACT, DayExpectation.BLED):
            self._expected = self._expected.update_from_office(self.office, stale=delivery.stale)
        if expect is DayExpectation.ADDED:
            self._expected = self._expected.update_from_office(self.office, new_rows=delivery.get_rows("users"))
        if expect is DayExpectation.EXACT:
            self._good.append(delivery.path)

    def _compute_bearable_losses(self) -> tuple[frozenset[int], int]:
        """Whom the bleed left out, and how many of them a week may cost before a person is asked."""
        bled = set(self._bled)
        victims = frozenset(each.number for each in self.office.list_present() if bled & set(each.sourced_ids))
        there = sum(MIDDLE in each.schools for each in self.office.list_present())
        return victims, max(FLOOR, there * PER_SCHOOL // 100)


def _build_day_record(
    day: date,
    entry: AgendaEntry | None,
    office: Office,
    holdings: Holdings,
    plan_result: PlanResult,
    outcome: str,
    delivery: Delivery,
) -> Day:
    held = list(plan_result.iter_held_changes()) if outcome == "held" else []
    done = {
        action: sum(not (each["held"] and outcome == "held") for each in plan_result.iter_changes("user", action))
        for action in ("create", "delete", "restore", "rekey")
    }
    refused = outcome == "refused"
    return Day(
        day=str(day),
        event=entry.name if entry else "",
        mark=entry.mark if entry else "",
        should=len(office.list_present()),
        live=len(holdings.people),
        sent=_count_named_people(office, delivery),
        added=0 if refused else done["create"],
        removed=0 if refused else done["delete"],
        restored=0 if refused else done["restore"],
        rekeyed=0 if refused else done["rekey"],
        held=sum(each["kind"] == "user" for each in held),
        became=outcome,
        codes=plan_result.list_codes(),
    )


def _count_named_people(office: Office, delivery: Delivery) -> int:
    """People of the district whom the file names; a file of changes names all that it does not say are gone."""
    here = office.list_present()
    if delivery.export.delta:
        return len(here)
    try:
        named = {row.get("sourcedId") for row in read_tables(delivery.path)["users"]}
    except (zipfile.BadZipFile, EOFError, KeyError, zlib.error):
        return 0
    return sum(any(key in named for key in member.sourced_ids) for member in here)
