"""What a district's system sends instead of the truth: one day's export bent, or another file in its place."""

from __future__ import annotations

import csv
import io
import random
import shutil
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from demo.bundle import table
from demo.year.export import Export, Row
from demo.year.office import Office

LINCOLN, MIDDLE = "s-lincoln", "s-middle"


@dataclass(slots=True)
class Sending:
    """One day's roster on its way. earlier: the good ones before, oldest first. bled: rows' sourcedIds that the slow
    bleed has swallowed so far; it goes on from day to day."""

    office: Office
    chance: random.Random
    export: Export
    path: Path
    earlier: list[Path]
    bled: list[str]
    stale: frozenset[int] = frozenset()

    def rows(self, file: str) -> list[Row]:
        return self.export.tables[file]

    def drop_people(self, sourced_ids: Iterable[str]) -> None:
        """From users.csv and enrollments.csv."""
        gone = frozenset(sourced_ids)
        self.export.without("users", [row for row in self.rows("users") if row["sourcedId"] in gone])
        self.export.without("enrollments", [row for row in self.rows("enrollments") if row["userSourcedId"] in gone])


Fault = Callable[[Sending], None]


def cut_off(sending: Sending) -> None:
    """The upload broke off."""
    sending.export.write(sending.path)
    whole = sending.path.read_bytes()
    sending.path.write_bytes(whole[: len(whole) * 6 // 10])


def cut_off_inside(sending: Sending) -> None:
    """The archive is whole; users.csv ends in the middle of a line."""
    whole = table("users", sending.rows("users"))
    sending.export.raw["users"] = whole[: len(whole) // 2 - 7]
    sending.export.write(sending.path)


def half_of_the_people(sending: Sending) -> None:
    """An outage: users.csv ends after half of its rows, and nothing says so."""
    rows = sending.rows("users")
    sending.export.without("users", rows[len(rows) // 2 :])
    sending.export.write(sending.path)


def another_district(sending: Sending) -> None:
    """A neighbour's file: a district like this one, with ids of its own."""
    for file, rows in sending.export.tables.items():
        for row in rows:
            for name, value in row.items():
                if name.endswith(("ourcedId", "ourcedIds")) and value:
                    row[name] = ",".join(f"x{each}" for each in value.split(","))
                elif name in ("identifier", "username", "email") and value:
                    row[name] = f"x{value}"
        sending.export.tables[file] = rows
    sending.export.system = "another-sis"
    sending.export.write(sending.path)


def swapped_files(sending: Sending) -> None:
    users, classes = (table(file, sending.rows(file)) for file in ("users", "classes"))
    sending.export.raw |= {"users": classes, "classes": users}
    sending.export.write(sending.path)


def header_only(sending: Sending) -> None:
    sending.export.tables["users"] = []
    sending.export.write(sending.path)


def empty_file(sending: Sending) -> None:
    sending.path.write_bytes(b"")


def same_again(sending: Sending) -> None:
    shutil.copy(sending.earlier[-1], sending.path)


def older_file(sending: Sending) -> None:
    shutil.copy(sending.earlier[max(0, len(sending.earlier) - 9)], sending.path)


def school_left_out(sending: Sending) -> None:
    """Everybody of one small school is missing, with their classes; the school itself is named."""
    sending.drop_people(row["sourcedId"] for row in sending.rows("users") if row["orgSourcedIds"] == LINCOLN)
    for file in ("classes", "enrollments"):
        sending.export.without(file, [row for row in sending.rows(file) if row["schoolSourcedId"] == LINCOLN])
    sending.export.write(sending.path)


def school_vanished(sending: Sending) -> None:
    """As if it had never been there."""
    sending.export.without("orgs", [row for row in sending.rows("orgs") if row["sourcedId"] == LINCOLN])
    school_left_out(sending)


def optional_files_missing(sending: Sending) -> None:
    del sending.export.tables["academicSessions"], sending.export.tables["courses"]
    sending.export.write(sending.path)


def spreadsheet(sending: Sending) -> None:
    """Somebody opened and saved users.csv: zeros at the beginning of numbers are gone."""
    for row in sending.rows("users"):
        row["identifier"] = row["identifier"].lstrip("0")
    sending.export.write(sending.path)


def pupils_as_teachers(sending: Sending) -> None:
    for row in sending.chance.sample([row for row in sending.rows("users") if row["role"] == "student"], 12):
        row["role"] = "teacher"
    sending.export.write(sending.path)


def migration_without_identifiers(sending: Sending) -> None:
    """The new system's first export: everybody has a new sourcedId, and nobody the number they are known by."""
    for row in sending.rows("users"):
        row["sourcedId"], row["identifier"] = row["sourcedId"].replace("u-", "ps-9", 1), ""
    for row in sending.rows("enrollments"):
        row["sourcedId"] = f"p{row['sourcedId']}"
        row["userSourcedId"] = row["userSourcedId"].replace("u-", "ps-9", 1)
    sending.export.write(sending.path)


def bad_rows(sending: Sending) -> None:
    """A role that is none, a sourcedId twice, a line that is too short. Whoever they speak of stays as they were."""
    users = sending.rows("users")
    known = {key for each in sending.office.here() if each.account for key in each.sourced_ids}
    pupils = [row for row in users if row["role"] == "student" and row["sourcedId"] in known]
    chosen = sending.chance.sample(pupils, 6)
    chosen += [row for row in users if row["sourcedId"].endswith("-2") and row not in chosen][:1]
    for row in (*chosen[:2], *chosen[6:]):
        row["role"] = "wizard"
    for row in chosen[2:4]:
        users.append({**row, "familyName": "Somebody Else", "identifier": f"9{row['identifier']}"})
    lines = table("users", users).split(b"\r\n")
    short = {row["sourcedId"].encode() for row in chosen[4:6]}
    spoiled = [b",".join(line.split(b",")[:9]) if line.split(b",")[0] in short else line for line in lines]
    sending.export.raw["users"] = b"\r\n".join(spoiled)
    spoiled_ids = {row["sourcedId"] for row in chosen}
    sending.stale = frozenset(
        member.number for member in sending.office.here() if spoiled_ids & set(member.sourced_ids)
    )
    sending.export.write(sending.path)


def slow_bleed(sending: Sending) -> None:
    """Every day a few more of one school are missing who are still there."""
    left = [
        row["sourcedId"]
        for row in sending.rows("users")
        if row["orgSourcedIds"] == MIDDLE and row["role"] == "student" and row["sourcedId"] not in sending.bled
    ]
    school = next(each for each in sending.office.scale.schools if each.sourced_id == MIDDLE)
    sending.bled += sending.chance.sample(left, max(2, school.pupils * len(school.grades) // 48))
    sending.drop_people(sending.bled)
    sending.export.write(sending.path)


def half_made_summer(sending: Sending) -> None:
    """The next year is still being entered: a third of the pupils is not there yet."""
    pupils = [row["sourcedId"] for row in sending.rows("users") if row["role"] == "student"]
    sending.drop_people(sending.chance.sample(pupils, len(pupils) // 3))
    sending.export.write(sending.path)


def changes_only(sending: Sending) -> None:
    """A delta: of each file only the rows that are new, changed or gone since the last good roster."""
    before = read_tables(sending.earlier[-1])
    modified = f"{sending.export.made}T02:00:00.000Z"
    for file, rows in sending.export.tables.items():
        then = {row["sourcedId"]: row for row in before[file]}
        now = {row["sourcedId"]: row for row in rows}
        changed = [row for key, row in now.items() if any(then.get(key, {}).get(name) != row[name] for name in row)]
        gone = [row for key, row in then.items() if key not in now]
        sending.export.tables[file] = [
            *({**row, "status": "active", "dateLastModified": modified} for row in changed),
            *({**row, "status": "tobedeleted", "dateLastModified": modified} for row in gone),
        ]
    sending.export.delta = frozenset(sending.export.tables)
    sending.export.write(sending.path)


def read_tables(path: Path) -> dict[str, list[Row]]:
    with zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))
            for name in archive.namelist()
            if name != "manifest.csv"
        }
