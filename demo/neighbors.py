"""The two other example districts: smaller than Springfield, with rosters that lie on servers."""

from __future__ import annotations

from dataclasses import replace

from demo.district import District, School
from demo.registrar import Registrar
from demo.timetable import build_timetable

SHELBYVILLE = (School("s-shelby-high", "Shelbyville High", ("09", "10"), pupils=14, teachers=4),)
OGDENVILLE = (
    School("s-ogden-middle", "Ogdenville Middle", ("06", "07"), pupils=12, teachers=3),
    School("s-barley", "Barley Elementary", ("03", "04", "05"), pupils=9, teachers=3),
)


def build_shelbyville() -> District:
    made = _build_district(61_001, "shelbyville.example", SHELBYVILLE)
    return replace(made, sourced_id="org-shelbyville", name="Shelbyville Public Schools")


def build_ogdenville() -> District:
    made = _build_district(84_404, "ogdenville.example", OGDENVILLE)
    return replace(made, sourced_id="org-ogdenville", name="Ogdenville Community Schools")


def remove_pupils(district: District, leavers: int) -> District:
    """The next day: the last pupils of the list are gone, with what they were enrolled in."""
    pupils = [person.sourced_id for person in district.people if person.role == "student"]
    gone = frozenset(pupils[-leavers:])
    return replace(
        district,
        people=tuple(person for person in district.people if person.sourced_id not in gone),
        enrollments=tuple(entry for entry in district.enrollments if entry.person not in gone),
    )


def _build_district(seed: int, domain: str, schools: tuple[School, ...]) -> District:
    registrar = Registrar(seed, domain)
    people = []
    for school in schools:
        here = (school.sourced_id,)
        people += [registrar.create_person("teacher", here) for _ in range(school.teachers)]
        people += [
            registrar.create_person("student", here, grade) for grade in school.grades for _ in range(school.pupils)
        ]
    return build_timetable(registrar, tuple(people), schools)
