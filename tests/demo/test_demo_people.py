"""The demo's two bundles: the same every time, whole, and with just the changes that the demo speaks of."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from demo.bundle import COLUMNS, MANIFEST_FILES
from demo.district import LINCOLN
from demo.people import CLOSED_CLASS, build_second_day, write_day_one, write_day_two

ROOT = Path(__file__).resolve().parents[2]

Rows = dict[str, dict[str, str]]


def read(path: Path) -> dict[str, Rows]:
    """The bundle's rows by file and sourcedId."""
    with zipfile.ZipFile(path) as archive:
        return {
            file: {
                row["sourcedId"]: row
                for row in csv.DictReader(io.StringIO(archive.read(f"{file}.csv").decode(), newline=""))
            }
            for file in COLUMNS
        }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles")
    write_day_one(folder / "day-1.zip")
    write_day_two(folder / "day-2.zip")
    return folder


@pytest.fixture(scope="module")
def before(folder: Path) -> dict[str, Rows]:
    return read(folder / "day-1.zip")


@pytest.fixture(scope="module")
def after(folder: Path) -> dict[str, Rows]:
    return read(folder / "day-2.zip")


@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_bundles_have_the_same_bytes_under_any_hash_seed(folder: Path, tmp_path: Path, hash_seed: str) -> None:
    write = "import sys; from pathlib import Path; from demo.people import write_day_one, write_day_two; "
    write += "write_day_one(Path(sys.argv[1]) / 'day-1.zip'); write_day_two(Path(sys.argv[1]) / 'day-2.zip')"
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    subprocess.run([sys.executable, "-c", write, str(tmp_path)], cwd=ROOT, env=environment, check=True)
    for bundle in ("day-1.zip", "day-2.zip"):
        assert (tmp_path / bundle).read_bytes() == (folder / bundle).read_bytes()


def test_manifest_names_all_standard_files_and_which_are_present(folder: Path) -> None:
    with zipfile.ZipFile(folder / "day-1.zip") as archive:
        names = archive.namelist()
        properties = dict(csv.reader(archive.read("manifest.csv").decode().splitlines()))
    assert names == ["manifest.csv", *(f"{file}.csv" for file in sorted(COLUMNS))]
    assert len(properties) == 18  # with the header
    assert {file for file in MANIFEST_FILES if properties[f"file.{file}"] == "bulk"} == set(COLUMNS)


def test_first_day_is_a_district_of_a_few_hundred(before: dict[str, Rows]) -> None:
    roles = Counter(person["role"] for person in before["users"].values())
    assert 300 < len(before["users"]) < 500
    assert roles["student"] > 10 * roles["teacher"] > 0
    assert roles["administrator"] == 3
    assert before["orgs"]["org-springfield"]["type"] == "district"
    assert len(before["orgs"]) == 5


@pytest.mark.parametrize("column", ["identifier", "username", "email"])
def test_nobody_shares_what_people_are_found_by(before: dict[str, Rows], after: dict[str, Rows], column: str) -> None:
    for day in (before, after):
        values = [person[column] for person in day["users"].values()]
        assert all(values)
        assert len(set(values)) == len(values)


def test_names_repeat_little_and_stand_in_more_than_ascii(before: dict[str, Rows]) -> None:
    names = Counter((person["givenName"], person["familyName"]) for person in before["users"].values())
    assert max(names.values()) <= 2
    assert any(not "".join(name).isascii() for name in names)


@pytest.mark.parametrize(
    ("file", "column", "target"),
    [
        ("classes", "courseSourcedId", "courses"),
        ("classes", "schoolSourcedId", "orgs"),
        ("classes", "termSourcedIds", "academicSessions"),
        ("courses", "orgSourcedId", "orgs"),
        ("courses", "schoolYearSourcedId", "academicSessions"),
        ("enrollments", "classSourcedId", "classes"),
        ("enrollments", "schoolSourcedId", "orgs"),
        ("enrollments", "userSourcedId", "users"),
        ("orgs", "parentSourcedId", "orgs"),
        ("users", "orgSourcedIds", "orgs"),
    ],
)
def test_every_reference_leads_somewhere_on_both_days(
    before: dict[str, Rows], after: dict[str, Rows], file: str, column: str, target: str
) -> None:
    for day in (before, after):
        named = {name for row in day[file].values() for name in row[column].split(",") if name}
        assert named
        assert named <= day[target].keys()


def test_everyone_sits_once_in_a_class_of_their_school(before: dict[str, Rows]) -> None:
    seats = Counter((seat["classSourcedId"], seat["userSourcedId"]) for seat in before["enrollments"].values())
    assert set(seats.values()) == {1}
    for seat in before["enrollments"].values():
        assert seat["schoolSourcedId"] in before["users"][seat["userSourcedId"]]["orgSourcedIds"].split(",")
    seated = {seat["userSourcedId"] for seat in before["enrollments"].values()}
    assert {name for name, person in before["users"].items() if person["role"] == "student"} <= seated


def test_second_day_changes_only_the_named_people(before: dict[str, Rows], after: dict[str, Rows]) -> None:
    day = build_second_day()
    former, present = (person.sourced_id for person in day.rekey_pair)
    gone = {person.sourced_id for person in (*day.leavers, *day.missing_school_people)}
    assert before["users"].keys() - after["users"].keys() == gone | {former}
    assert after["users"].keys() - before["users"].keys() == {p.sourced_id for p in day.newcomers} | {present}
    assert len(day.leavers) == 4
    assert len(day.newcomers) == 6


def test_second_day_empties_one_small_school_within_other_limits(
    before: dict[str, Rows], after: dict[str, Rows]
) -> None:
    def of_school(day: dict[str, Rows], school: str) -> set[str]:
        return {name for name, person in day["users"].items() if school in person["orgSourcedIds"].split(",")}

    assert len(of_school(before, LINCOLN.sourced_id)) == 14
    assert of_school(after, LINCOLN.sourced_id) == set()
    gone = before["users"].keys() - after["users"].keys()
    assert len(gone) <= len(before["users"]) * 10 // 100
    for school in before["orgs"].keys() - {"org-springfield", LINCOLN.sourced_id}:
        assert len(of_school(before, school) & gone) <= 5
    lost_seats = before["enrollments"].keys() - after["enrollments"].keys()
    assert len(lost_seats) <= len(before["enrollments"]) * 25 // 100


def test_second_day_rekeys_one_person_and_nothing_else(before: dict[str, Rows], after: dict[str, Rows]) -> None:
    former, present = (person.sourced_id for person in build_second_day().rekey_pair)
    assert {**before["users"][former], "sourcedId": present} == after["users"][present]

    def seats(day: dict[str, Rows], person: str) -> set[str]:
        return {name for name, seat in day["enrollments"].items() if seat["userSourcedId"] == person}

    assert seats(before, former) == seats(after, present) != set()


def test_second_day_changes_three_emails_and_one_role(before: dict[str, Rows], after: dict[str, Rows]) -> None:
    day = build_second_day()
    differing = {
        (name, column)
        for name in before["users"].keys() & after["users"].keys()
        for column, value in before["users"][name].items()
        if value != after["users"][name][column]
    }
    expected = {(person.sourced_id, "email") for person in day.email_changes} | {
        (day.bad_role_person.sourced_id, "role")
    }
    assert differing == expected
    assert len(day.email_changes) == 3
    assert after["users"][day.bad_role_person.sourced_id]["role"] == "wizard"


def test_second_day_drops_one_class_with_its_seats(before: dict[str, Rows], after: dict[str, Rows]) -> None:
    assert before["classes"].keys() - after["classes"].keys() == {CLOSED_CLASS}
    assert after["classes"].keys() <= before["classes"].keys()
    assert any(seat["classSourcedId"] == CLOSED_CLASS for seat in before["enrollments"].values())


def test_who_joins_sits_in_class_on_the_same_day(after: dict[str, Rows]) -> None:
    seated = Counter(seat["userSourcedId"] for seat in after["enrollments"].values())
    for person in build_second_day().newcomers:
        assert seated[person.sourced_id] == (4 if person.grade in ("06", "07", "09") else 1)
