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

from demo.bundle import render_table
from demo.year.export import Export, Row
from demo.year.office import Office

LINCOLN, MIDDLE = "s-lincoln", "s-middle"


@dataclass(slots=True)
class Delivery:
    """One day's roster on its way. earlier: the good ones before, oldest first. bled: rows' sourcedIds that the slow
    bleed has swallowed so far; it goes on from day to day."""

    office: Office
    chance: random.Random
    export: Export
    path: Path
    earlier: list[Path]
    ids_left_out: list[str]
    stale: frozenset[int] = frozenset()

    def get_rows(self, file: str) -> list[Row]:
        return self.export.tables[file]

    def drop_people(self, sourced_ids: Iterable[str]) -> None:
        """From users.csv and enrollments.csv."""
        gone = frozenset(sourced_ids)
        self.export.remove_rows("users", [row for row in self.get_rows("users") if row["sourcedId"] in gone])
        self.export.remove_rows(
            "enrollments", [row for row in self.get_rows("enrollments") if row["userSourcedId"] in gone]
        )


Fault = Callable[[Delivery], None]


def cut_off_upload(delivery: Delivery) -> None:
    """The upload broke off."""
    delivery.export.write(delivery.path)
    whole = delivery.path.read_bytes()
    delivery.path.write_bytes(whole[: len(whole) * 6 // 10])


def cut_off_users(delivery: Delivery) -> None:
    """The archive is whole; users.csv ends in the middle of a line."""
    whole = render_table("users", delivery.get_rows("users"))
    delivery.export.raw["users"] = whole[: len(whole) // 2 - 7]
    delivery.export.write(delivery.path)


def drop_half_of_people(delivery: Delivery) -> None:
    """An outage: users.csv ends after half of its rows, and nothing says so."""
    rows = delivery.get_rows("users")
    delivery.export.remove_rows("users", rows[len(rows) // 2 :])
    delivery.export.write(delivery.path)


def send_other_district(delivery: Delivery) -> None:
    """A neighbour's file: a district like this one, with ids of its own."""
    for file, rows in delivery.export.tables.items():
        for row in rows:
            for name, value in row.items():
                if name.endswith(("ourcedId", "ourcedIds")) and value:
                    row[name] = ",".join(f"x{each}" for each in value.split(","))
                elif name in ("identifier", "username", "email") and value:
                    row[name] = f"x{value}"
        delivery.export.tables[file] = rows
    delivery.export.system = "another-sis"
    delivery.export.write(delivery.path)


def swap_files(delivery: Delivery) -> None:
    users, classes = (render_table(file, delivery.get_rows(file)) for file in ("users", "classes"))
    delivery.export.raw |= {"users": classes, "classes": users}
    delivery.export.write(delivery.path)


def send_header_only(delivery: Delivery) -> None:
    delivery.export.tables["users"] = []
    delivery.export.write(delivery.path)


def send_empty_file(delivery: Delivery) -> None:
    delivery.path.write_bytes(b"")


def repeat_last_file(delivery: Delivery) -> None:
    shutil.copy(delivery.earlier[-1], delivery.path)


def send_older_file(delivery: Delivery) -> None:
    shutil.copy(delivery.earlier[max(0, len(delivery.earlier) - 9)], delivery.path)


def leave_school_out(delivery: Delivery) -> None:
    """Everybody of one small school is missing, with their classes; the school itself is named."""
    delivery.drop_people(row["sourcedId"] for row in delivery.get_rows("users") if row["orgSourcedIds"] == LINCOLN)
    for file in ("classes", "enrollments"):
        delivery.export.remove_rows(file, [row for row in delivery.get_rows(file) if row["schoolSourcedId"] == LINCOLN])
    delivery.export.write(delivery.path)


def remove_school(delivery: Delivery) -> None:
    """As if it had never been there."""
    delivery.export.remove_rows("orgs", [row for row in delivery.get_rows("orgs") if row["sourcedId"] == LINCOLN])
    leave_school_out(delivery)


def omit_optional_files(delivery: Delivery) -> None:
    del delivery.export.tables["academicSessions"], delivery.export.tables["courses"]
    delivery.export.write(delivery.path)


def strip_leading_zeros(delivery: Delivery) -> None:
    """Somebody opened and saved users.csv: zeros at the beginning of numbers are gone."""
    for row in delivery.get_rows("users"):
        row["identifier"] = row["identifier"].lstrip("0")
    delivery.export.write(delivery.path)


def turn_pupils_into_teachers(delivery: Delivery) -> None:
    for row in delivery.chance.sample([row for row in delivery.get_rows("users") if row["role"] == "student"], 12):
        row["role"] = "teacher"
    delivery.export.write(delivery.path)


def migrate_without_identifiers(delivery: Delivery) -> None:
    """The new system's first export: everybody has a new sourcedId, and nobody the number they are known by."""
    for row in delivery.get_rows("users"):
        row["sourcedId"], row["identifier"] = row["sourcedId"].replace("u-", "ps-9", 1), ""
    for row in delivery.get_rows("enrollments"):
        row["sourcedId"] = f"p{row['sourcedId']}"
        row["userSourcedId"] = row["userSourcedId"].replace("u-", "ps-9", 1)
    delivery.export.write(delivery.path)


def break_rows(delivery: Delivery) -> None:
    """A role that is none, a sourcedId twice, a line that is too short. Whoever they speak of stays as they were."""
    users = delivery.get_rows("users")
    known = {key for each in delivery.office.list_present() if each.account for key in each.sourced_ids}
    pupils = [row for row in users if row["role"] == "student" and row["sourcedId"] in known]
    chosen = delivery.chance.sample(pupils, 6)
    chosen += [row for row in users if row["sourcedId"].endswith("-2") and row not in chosen][:1]
    for row in (*chosen[:2], *chosen[6:]):
        row["role"] = "wizard"
    for row in chosen[2:4]:
        users.append({**row, "familyName": "Somebody Else", "identifier": f"9{row['identifier']}"})
    lines = render_table("users", users).split(b"\r\n")
    short = {row["sourcedId"].encode() for row in chosen[4:6]}
    spoiled = [b",".join(line.split(b",")[:9]) if line.split(b",")[0] in short else line for line in lines]
    delivery.export.raw["users"] = b"\r\n".join(spoiled)
    spoiled_ids = {row["sourcedId"] for row in chosen}
    delivery.stale = frozenset(
        member.number for member in delivery.office.list_present() if spoiled_ids & set(member.sourced_ids)
    )
    delivery.export.write(delivery.path)


def drop_pupils_slowly(delivery: Delivery) -> None:
    """Every day a few more of one school are missing who are still there."""
    left = [
        row["sourcedId"]
        for row in delivery.get_rows("users")
        if row["orgSourcedIds"] == MIDDLE and row["role"] == "student" and row["sourcedId"] not in delivery.ids_left_out
    ]
    school = next(each for each in delivery.office.scale.schools if each.sourced_id == MIDDLE)
    delivery.ids_left_out += delivery.chance.sample(left, max(2, school.pupils * len(school.grades) // 48))
    delivery.drop_people(delivery.ids_left_out)
    delivery.export.write(delivery.path)


def drop_third_of_pupils(delivery: Delivery) -> None:
    """The next year is still being entered: a third of the pupils is not there yet."""
    pupils = [row["sourcedId"] for row in delivery.get_rows("users") if row["role"] == "student"]
    delivery.drop_people(delivery.chance.sample(pupils, len(pupils) // 3))
    delivery.export.write(delivery.path)


def send_delta(delivery: Delivery) -> None:
    """A delta: of each file only the rows that are new, changed or gone since the last good roster."""
    before = read_tables(delivery.earlier[-1])
    modified = f"{delivery.export.export_day}T02:00:00.000Z"
    for file, rows in delivery.export.tables.items():
        then = {row["sourcedId"]: row for row in before[file]}
        now = {row["sourcedId"]: row for row in rows}
        changed = [row for key, row in now.items() if any(then.get(key, {}).get(name) != row[name] for name in row)]
        gone = [row for key, row in then.items() if key not in now]
        delivery.export.tables[file] = [
            *({**row, "status": "active", "dateLastModified": modified} for row in changed),
            *({**row, "status": "tobedeleted", "dateLastModified": modified} for row in gone),
        ]
    delivery.export.delta = frozenset(delivery.export.tables)
    delivery.export.write(delivery.path)


def read_tables(path: Path) -> dict[str, list[Row]]:
    with zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(archive.read(name).decode(), newline="")))
            for name in archive.namelist()
            if name != "manifest.csv"
        }
