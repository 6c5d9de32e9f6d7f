"""A school year through plan and apply: nobody is lost, nobody doubled; and the year would tell if somebody were."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from itertools import islice
from pathlib import Path

import pytest

from demo.year.agenda import AGENDA, NAMES, select_played_days
from demo.year.dates import list_roster_days
from demo.year.expected import DayExpectation
from demo.year.play import Evening, Year
from demo.year.schools import SMALL, WHOLE
from reconciler.store.database.connection import Connection
from tests.support.customers.project import KEY

SEED = 20260824


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.slow])])
def year_store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    return str(request.getfixturevalue("empty_postgresql"))


@pytest.fixture
def sqlite_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    return f"sqlite:///{tmp_path / 'store.db'}"


def told(evening: Evening) -> str:
    problems = "\n".join(map(str, evening.problems))
    return f"{evening.day.day} {evening.day.event} {evening.day.became} {evening.day.codes}\n{problems}"


@pytest.mark.slow
def test_school_year_loses_and_duplicates_nobody(year_store: str, tmp_path: Path) -> None:
    evenings = []
    for evening in Year(tmp_path / "year", year_store, SEED, SMALL).run_evenings():
        assert not evening.problems, told(evening)
        evenings.append(evening)
    days = [evening.day for evening in evenings]
    by_event = {day.event: day for day in days}
    assert set(by_event) - {""} == set(NAMES)
    assert days[-1].live == days[-1].should
    # what is wrong on a day is seen on that day
    for name, became, code in (
        ("outage-cut-off", "refused", "truncated-archive"),
        ("outage-half-file", "held", "row-count-drop"),
        ("wrong-file", "refused", "other-source-system"),
        ("swapped-files", "refused", "wrong-file-header"),
        ("header-only", "refused", "emptied-file"),
        ("older-file", "held", "stale-source"),
        ("spreadsheet", "held", "keys-damaged"),
        ("school-left-out", "held", "user-delete-limit"),
        ("school-vanished", "held", "org-vanished"),
        ("slow-bleed", "held", "user-delete-limit"),
        ("migration", "approved", "user-rekey-limit"),
    ):
        assert (by_event[name].became, code in by_event[name].codes) == (became, True), by_event[name]
    assert by_event["migration"].rekeyed > 250
    assert by_event["spring-begins"].became == by_event["roll-over"].became == "applied"


Deed = Callable[[Connection, int, int], None]


def lose(connection: Connection, account: int, other: int) -> None:
    facts = {"id": account, "now": "2026-08-25T12:00:00Z"}
    connection.execute("UPDATE accounts SET tombstoned_at = :now WHERE id = :id", facts)


def double(connection: Connection, account: int, other: int) -> None:
    columns = "customer_id, managed_by, status, given_name, family_name, email, identifier, role"
    connection.execute(
        f"INSERT INTO accounts ({columns}, username, username_key) SELECT {columns}, 'second', 'second'"
        " FROM accounts WHERE id = :id",
        {"id": account},
    )


def give_to_somebody_else(connection: Connection, account: int, other: int) -> None:
    connection.execute(
        "UPDATE assignments SET account_id = :other WHERE account_id = :id", {"id": account, "other": other}
    )
    connection.execute("UPDATE accounts SET password_hash = NULL WHERE id = :id", {"id": account})


def unbind(connection: Connection, account: int, other: int) -> None:
    connection.execute("DELETE FROM identities WHERE subject LIKE 'canvas-%' AND account_id = :id", {"id": account})


def unseat(connection: Connection, account: int, other: int) -> None:
    facts = {"id": account, "now": "2026-08-25T12:00:00Z"}
    connection.execute("UPDATE enrollments SET tombstoned_at = :now WHERE account_id = :id", facts)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deed", "codes"),
    [
        (lose, {"lost"}),
        (double, {"doubled"}),
        (give_to_somebody_else, {"belongings"}),
        (unbind, {"belongings"}),
        (unseat, {"seats"}),
    ],
)
def test_the_year_tells_who_was_really_lost(deed: Deed, codes: set[str], sqlite_store: str, tmp_path: Path) -> None:
    done: list[int] = []

    def sabotage(day: date, year: Year) -> None:
        if day != select_played_days(SMALL.day_step)[1]:
            return
        marked = [each for each in year.office.members if each.subject and each.account]
        marked += [each for each in year.office.members if each.assignments and each.account]
        victim = marked[0] if deed is unbind else marked[-1]
        with year.platform.store.open_connection() as connection, connection.open_write_transaction():
            deed(connection, victim.account or 0, marked[1].account or 0)
        done.append(victim.number)

    year = Year(tmp_path / "year", sqlite_store, SEED, SMALL, sabotage=sabotage)
    first, second = islice(year.run_evenings(), 2)
    assert first.problems == []
    theirs = [each for each in second.problems if each.who.startswith(f"member {done[0]} ")]
    assert {problem.code for problem in theirs} == codes


def test_every_agenda_entry_is_a_day_with_a_roster() -> None:
    days = list_roster_days()
    for entry in AGENDA:
        assert any(entry.contains_day(day) for day in days), entry.name
        if entry.name != "summer":
            assert entry.first in days, entry.name


def test_no_two_entries_of_the_agenda_share_a_day() -> None:
    for day in list_roster_days():
        assert len([entry for entry in AGENDA if entry.contains_day(day)]) <= 1, day


def test_smaller_year_keeps_every_entry_and_following_quiet_day() -> None:
    whole, small = select_played_days(WHOLE.day_step), select_played_days(SMALL.day_step)
    assert whole == list_roster_days()
    assert set(small) < set(whole)
    for entry in AGENDA:
        assert any(entry.contains_day(day) for day in small), entry.name
        if entry.expect is DayExpectation.UNCHANGED:
            assert whole[whole.index(entry.first) + 1] in small
