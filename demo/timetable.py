"""The timetable: from schools and people to courses, classes, and who sits in which."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from demo.district import SCHOOLS, Course, District, Enrollment, Person, School, SchoolClass
from demo.registrar import Registrar
from demo.words import COURSES

#: a class and who sits in it, its teacher first
Seating = tuple[SchoolClass, Sequence[Person]]


def timetable(registrar: Registrar, people: tuple[Person, ...]) -> District:
    """Everyone of the schools' pupils in every course of the grade, or in a homeroom where it has none."""
    seatings: list[Seating] = []
    for school in SCHOOLS:
        teachers = cycle(
            [person for person in people if person.role == "teacher" and person.schools[0] == school.sourced_id]
        )
        for taught, pupils in _classes(registrar, school, people):
            seatings.append((taught, (next(teachers), *pupils)))
    seats = [(taught, person) for taught, seated in seatings for person in seated]
    return District(
        schools=SCHOOLS,
        people=people,
        courses=_courses(),
        classes=tuple(taught for taught, _ in seatings),
        enrollments=tuple(enrollment(number, *seat) for number, seat in enumerate(seats, start=1)),
    )


def enrollment(number: int, taught: SchoolClass, person: Person) -> Enrollment:
    role = "teacher" if person.role == "teacher" else "student"
    return Enrollment(f"e-{number:05d}", taught.sourced_id, taught.school, person.sourced_id, role)


def _classes(registrar: Registrar, school: School, people: tuple[Person, ...]) -> list[Seating]:
    classes: list[Seating] = []
    for grades in school.homerooms or tuple((grade,) for grade in school.grades):
        pupils = [person for person in people if person.grade in grades and school.sourced_id in person.schools]
        for code, title in COURSES.get(grades[0], ()):
            for letter, half in zip("AB", registrar.halves(pupils), strict=True):
                name = f"c-{code}-{letter}".lower()
                course = f"co-{code}".lower()
                classes.append(
                    (
                        SchoolClass(
                            name,
                            f"{title} {letter}",
                            f"{code}-{letter}",
                            "scheduled",
                            course,
                            school.sourced_id,
                            grades,
                        ),
                        half,
                    )
                )
        if grades[0] not in COURSES:
            name = f"c-{school.sourced_id.removeprefix('s-')}-{grades[0]}".lower()
            title = f"Homeroom {grades[0]}" if len(grades) == 1 else f"Homeroom {grades[0]} to {grades[-1]}"
            code = f"HR-{grades[0]}"
            classes.append(
                (SchoolClass(name, title, code, "homeroom", "co-homeroom", school.sourced_id, grades), pupils)
            )
    return classes


def _courses() -> tuple[Course, ...]:
    elementary = tuple(dict.fromkeys(grade for school in SCHOOLS for grade in school.grades if grade not in COURSES))
    taught = (
        Course(f"co-{code}".lower(), title, code, (grade,))
        for grade, courses in COURSES.items()
        for code, title in courses
    )
    return (Course("co-homeroom", "Homeroom", "HR", elementary), *taught)
