"""Two days of the rosters of a made-up district: the first bundle, and the next one with all that changes.

No clock and no hash order: the same bytes on every run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from demo.bundle import write_bundle
from demo.district import EVERGREEN, HIGH, LINCOLN, MIDDLE, SCHOOLS, District, Enrollment, Person, SchoolClass
from demo.registrar import Registrar
from demo.tables import render_tables
from demo.timetable import build_enrollment, build_timetable

SEED = 20260824
JOINING_PUPILS = (("KG", EVERGREEN), ("03", EVERGREEN), ("06", MIDDLE), ("07", MIDDLE), ("09", HIGH), ("09", HIGH))
CLOSED_CLASS = "c-jrn1-b"


@dataclass(frozen=True, slots=True)
class SecondDay:
    """The district on the next day, and what became of whom.

    left: gone, a few here and there. school_lost: everyone of one small school, gone at once. mailed: as they
    are now, with another e-mail. rekeyed: one person before and after; the identifier is the same. spoiled:
    somebody whose row no longer names a role of OneRoster. closed: a class that is gone.
    """

    district: District
    newcomers: tuple[Person, ...]
    leavers: tuple[Person, ...]
    missing_school_people: tuple[Person, ...]
    email_changes: tuple[Person, ...]
    rekey_pair: tuple[Person, Person]
    bad_role_person: Person
    ending_class: SchoolClass


def write_day_one(path: Path) -> None:
    """Writes the bundle of the first day."""
    write_bundle(path, render_tables(build_first_day(Registrar(SEED))))


def write_day_two(path: Path) -> None:
    """Writes the bundle of the next day."""
    write_bundle(path, render_tables(build_second_day().district))


def build_first_day(registrar: Registrar) -> District:
    people: list[Person] = []
    for school in SCHOOLS:
        here = (school.sourced_id,)
        if school is not LINCOLN:
            people.append(registrar.create_person("administrator", here))
        people += [registrar.create_person("teacher", here) for _ in range(school.teachers)]
        people += [
            registrar.create_person("student", here, grade) for grade in school.grades for _ in range(school.pupils)
        ]
    # One teacher works at two schools, as some do.
    shared = next(place for place, person in enumerate(people) if person.role == "teacher")
    people[shared] = replace(people[shared], schools=(HIGH.sourced_id, MIDDLE.sourced_id))
    return build_timetable(registrar, tuple(people))


def build_second_day() -> SecondDay:
    registrar = Registrar(SEED)
    first = build_first_day(registrar)
    lost = tuple(person for person in first.people if LINCOLN.sourced_id in person.schools)
    pupils = [person for person in first.people if person.role == "student" and person not in lost]
    chosen = registrar.pick_people(pupils, 9)
    left, to_mail, moved, spoiled = tuple(chosen[:4]), chosen[4:7], chosen[7], chosen[8]

    mailed = tuple(replace(person, email=f"{person.username}@springfield.example") for person in to_mail)
    rekeyed = replace(moved, sourced_id=moved.sourced_id.replace("u-", "n-"))
    spoiled = replace(spoiled, role="wizard")
    joined = tuple(registrar.create_person("student", (school.sourced_id,), grade) for grade, school in JOINING_PUPILS)

    gone = {person.sourced_id for person in (*left, *lost)}
    now = {person.sourced_id: person for person in (*mailed, spoiled)} | {moved.sourced_id: rekeyed}
    stayed = [now.get(person.sourced_id, person) for person in first.people if person.sourced_id not in gone]
    enrollments = [
        replace(entry, person=rekeyed.sourced_id) if entry.person == moved.sourced_id else entry
        for entry in first.enrollments
        if entry.person not in gone and entry.school_class != CLOSED_CLASS
    ]
    district = replace(
        first,
        people=(*stayed, *joined),
        classes=tuple(taught for taught in first.classes if taught.sourced_id != CLOSED_CLASS),
        enrollments=(*enrollments, *_assign_seats(first, joined)),
    )
    closed = next(taught for taught in first.classes if taught.sourced_id == CLOSED_CLASS)
    return SecondDay(district, joined, left, lost, mailed, (moved, rekeyed), spoiled, closed)


def _assign_seats(first: District, newcomers: tuple[Person, ...]) -> list[Enrollment]:
    """Who joins sits in the first class of every course of the grade."""
    seats: list[Enrollment] = []
    for person in newcomers:
        courses: set[str] = set()
        for taught in first.classes:
            if taught.school in person.schools and person.grade in taught.grades and taught.course not in courses:
                courses.add(taught.course)
                seats.append(build_enrollment(len(first.enrollments) + len(seats) + 1, taught, person))
    return seats
