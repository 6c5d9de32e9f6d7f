"""The timetable: from schools and people to courses, classes, and who sits in which."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from demo.district import SCHOOLS, Course, District, Enrollment, Person, School, SchoolClass
from demo.registrar import Registrar
from demo.words import COURSES

#: a class and who sits in it, its teacher first
Seating = tuple[SchoolClass, Sequence[Person]]


def build_timetable(
    registrar: Registrar, people: tuple[Person, ...], schools: tuple[School, ...] = SCHOOLS
) -> District:
    """Everyone of the schools' pupils in every course of the grade, or in a homeroom where it has none."""
    seatings: list[Seating] = []
    for school in schools:
        teachers = cycle(
            [person for person in people if person.role == "teacher" and person.schools[0] == school.sourced_id]
        )
        for taught, pupils in _build_classes(registrar, school, people):
            seatings.append((taught, (next(teachers), *pupils)))
    seats = [(taught, person) for taught, seated in seatings for person in seated]
    return District(
        schools=schools,
        people=people,
        courses=_build_courses(),
        classes=tuple(taught for taught, _ in seatings),
        enrollments=tuple(build_enrollment(number, *seat) for number, seat in enumerate(seats, start=1)),
    )


def build_enrollment(number: int, school_class: SchoolClass, person: Person) -> Enrollment:
    role = "teacher" if person.role == "teacher" else "student"
    return Enrollment(f"e-{number:05d}", school_class.sourced_id, school_class.school, person.sourced_id, role)


def _build_classes(registrar: Registrar, school: School, people: tuple[Person, ...]) -> list[Seating]:
    seatings: list[Seating] = []
    for grades in school.homerooms or tuple((grade,) for grade in school.grades):
        pupils = [person for person in people if person.grade in grades and school.sourced_id in person.schools]
        courses = COURSES.get(grades[0], ())
        if not courses:
            seatings.append((_build_homeroom(school, grades), pupils))
        for code, title in courses:
            for letter, half in zip("AB", registrar.split_in_halves(pupils), strict=True):
                seatings.append((_build_class(school, grades, code, title, letter), half))
    return seatings


def _build_class(school: School, grades: tuple[str, ...], code: str, title: str, letter: str) -> SchoolClass:
    return SchoolClass(
        sourced_id=f"c-{code}-{letter}".lower(),
        title=f"{title} {letter}",
        code=f"{code}-{letter}",
        class_type="scheduled",
        course=f"co-{code}".lower(),
        school=school.sourced_id,
        grades=grades,
    )


def _build_homeroom(school: School, grades: tuple[str, ...]) -> SchoolClass:
    return SchoolClass(
        sourced_id=f"c-{school.sourced_id.removeprefix('s-')}-{grades[0]}".lower(),
        title=f"Homeroom {grades[0]}" if len(grades) == 1 else f"Homeroom {grades[0]} to {grades[-1]}",
        code=f"HR-{grades[0]}",
        class_type="homeroom",
        course="co-homeroom",
        school=school.sourced_id,
        grades=grades,
    )


def _build_courses() -> tuple[Course, ...]:
    elementary = tuple(dict.fromkeys(grade for school in SCHOOLS for grade in school.grades if grade not in COURSES))
    taught = (
        Course(f"co-{code}".lower(), title, code, (grade,))
        for grade, courses in COURSES.items()
        for code, title in courses
    )
    return (Course("co-homeroom", "Homeroom", "HR", elementary), *taught)
