"""A made-up school district as values: who is there, what is taught, and who sits in which class."""

from __future__ import annotations

from dataclasses import dataclass

DISTRICT = "org-springfield"


@dataclass(frozen=True, slots=True)
class School:
    """`pupils` per grade and `teachers` are how many it starts with. A small school teaches all grades in
    one homeroom for each `homeroom`; others give each grade its own, or courses where the grade has any."""

    sourced_id: str
    name: str
    grades: tuple[str, ...]
    pupils: int
    teachers: int
    homerooms: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Person:
    """One row of users.csv. `role` is written as it stands, right or wrong."""

    sourced_id: str
    identifier: str
    role: str
    given_name: str
    family_name: str
    username: str
    email: str
    schools: tuple[str, ...]
    grade: str = ""


@dataclass(frozen=True, slots=True)
class Course:
    sourced_id: str
    title: str
    code: str
    grades: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SchoolClass:
    """One row of classes.csv."""

    sourced_id: str
    title: str
    code: str
    class_type: str
    course: str
    school: str
    grades: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Enrollment:
    sourced_id: str
    school_class: str
    school: str
    person: str
    role: str


@dataclass(frozen=True, slots=True)
class District:
    """Everything that a bundle says, in the order of its rows."""

    schools: tuple[School, ...]
    people: tuple[Person, ...]
    courses: tuple[Course, ...]
    classes: tuple[SchoolClass, ...]
    enrollments: tuple[Enrollment, ...]
    sourced_id: str = DISTRICT
    name: str = "Springfield Unified School District"


HIGH = School("s-high", "Springfield High", ("09", "10", "11", "12"), pupils=36, teachers=9)
MIDDLE = School("s-middle", "Springfield Middle", ("06", "07", "08"), pupils=34, teachers=7)
EVERGREEN = School("s-evergreen", "Evergreen Elementary", ("KG", "01", "02", "03", "04", "05"), pupils=16, teachers=7)
LINCOLN = School(
    "s-lincoln",
    "Lincoln Elementary",
    ("KG", "01", "02", "03", "04", "05"),
    pupils=2,
    teachers=2,
    homerooms=(("KG", "01", "02"), ("03", "04", "05")),
)
SCHOOLS = (HIGH, MIDDLE, EVERGREEN, LINCOLN)
