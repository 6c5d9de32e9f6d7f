"""The truth: who belongs to the district, which classes there are, and who sits in which.

Everything follows from the seed and the order of what happens.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from demo.district import Person, SchoolClass
from demo.registrar import Registrar
from demo.words import COURSES
from demo.year.dates import find_school_year, find_semester
from demo.year.member import Member
from demo.year.schools import Scale

LARGEST_CLASS = 26


@dataclass(slots=True)
class ClassSection:
    """taught: its row. terms: sourcedIds of its sessions. assignments: lessons given to the whole class."""

    school_class: SchoolClass
    terms: tuple[str, ...]
    assignments: set[int] = field(default_factory=set)


class Office:
    def __init__(self, seed: int, scale: Scale) -> None:
        self.scale = scale
        self.chance = random.Random(seed)
        self.registrar = Registrar(seed)
        self.members: list[Member] = []
        self.sections: dict[str, ClassSection] = {}
        self.migrated = False

    # -- who is there

    def list_present(self, predicate: Callable[[Member], bool] = lambda _: True) -> list[Member]:
        return [member for member in self.members if member.present and predicate(member)]

    def list_pupils(self) -> list[Member]:
        return self.list_present(lambda member: member.is_pupil)

    def pick_members(self, members: Sequence[Member], number: int) -> list[Member]:
        """That many, or as many as there are."""
        return self.chance.sample(members, min(number, len(members)))

    def enroll_member(self, role: str, school: str, grade: str = "") -> Member:
        person = self.registrar.create_person(role, (school,), grade)
        if self.migrated:
            person = _change_sourced_id(person)
        member = Member(len(self.members) + 1, person)
        self.members.append(member)
        return member

    def migrate_system(self) -> None:
        """Another system from now on: everybody gets a new sourcedId, classes keep theirs."""
        self.migrated = True
        for member in self.members:
            member.former += member.sourced_ids
            member.person = _change_sourced_id(member.person)
            if member.second:
                member.second = (f"{member.person.sourced_id}-2", member.second[1])

    # -- classes

    def open_classes(self, day: date) -> None:
        """The classes of a new year or semester, with everybody in them. Whoever had a seat in a class that ends with
        it has it no more."""
        year, semester = find_school_year(day), find_semester(day)
        self.sections = {key: each for key, each in self.sections.items() if year.sourced_id in each.terms}
        opened: list[tuple[ClassSection, list[Member]]] = []
        for school in self.scale.schools:
            for grade in school.grades:
                pupils = [
                    each
                    for each in self.list_pupils()
                    if (each.person.grade, each.person.schools[0]) == (grade, school.sourced_id)
                ]
                yearly = grade not in COURSES
                if yearly and any(
                    each.school_class.school == school.sourced_id and grade in each.school_class.grades
                    for each in self.sections.values()
                ):
                    continue
                terms = (year.sourced_id,) if yearly else (semester.sourced_id,)
                courses = COURSES.get(grade, (("HR", f"Homeroom {grade}"),))
                for course in courses:
                    opened += _build_sections(self.chance, school.sourced_id, grade, course, terms, pupils)
        for section, pupils in opened:
            self.sections[section.school_class.sourced_id] = section
            for pupil in pupils:
                pupil.seats[section.school_class.sourced_id] = None
        for member in self.members:
            member.seats = {key: None for key in member.seats if key in self.sections}
        self.assign_teachers()

    def assign_teachers(self) -> None:
        """Every class without a teacher gets the one of its school with the fewest."""
        load = {each: len(each.seats) for each in self.list_present(lambda each: each.person.role == "teacher")}
        taught = {key for teacher in load for key in teacher.seats}
        for key, section in self.sections.items():
            if key in taught:
                continue
            able = [each for each in load if section.school_class.school in each.schools]
            if able:
                teacher = min(able, key=lambda each: (load[each], each.number))
                teacher.seats[key] = None
                load[teacher] += 1

    def assign_seats(self, member: Member) -> None:
        """A pupil sits in the emptiest class of each course of their grade, and nowhere else."""
        taken = Counter(key for each in self.list_pupils() for key in each.seats)
        offered: dict[tuple[str, str], list[str]] = {}
        for key, section in self.sections.items():
            taught = section.school_class
            if taught.school in member.person.schools[:1] and member.person.grade in taught.grades:
                offered.setdefault((taught.school, taught.course), []).append(key)
        member.seats = {min(keys, key=lambda key: (taken[key], key)): None for keys in offered.values()}


def _change_sourced_id(person: Person) -> Person:
    return replace(person, sourced_id=person.sourced_id.replace("u-", "ps-9", 1))


def _build_sections(
    chance: random.Random,
    school: str,
    grade: str,
    course: tuple[str, str],
    terms: tuple[str, ...],
    pupils: list[Member],
) -> Iterator[tuple[ClassSection, list[Member]]]:
    """Yield as many sections as the pupils need, filled evenly. course: code and title."""
    code, title = course
    tag = terms[0].removeprefix("t-").replace("20", "", 1)
    number = max(1, -(-len(pupils) // LARGEST_CLASS))
    mixed = chance.sample(pupils, len(pupils))
    for place in range(number):
        letter = chr(ord("A") + place)
        home = code == "HR"
        name = f"c-{tag}-{school.removeprefix('s-')}-{grade if home else code}-{letter}".lower()
        taught = SchoolClass(
            sourced_id=name,
            title=f"{title} {letter}",
            code=f"{code}-{letter}",
            class_type="homeroom" if home else "scheduled",
            course="co-homeroom" if home else f"co-{code}".lower(),
            school=school,
            grades=(grade,),
        )
        yield ClassSection(taught, terms), mixed[place::number]
