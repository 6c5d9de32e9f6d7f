"""A district as the tables of OneRoster 1.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from demo.bundle import Row, table
from demo.district import District

YEAR = "t-2026"
#: sourcedId, title, type, first day, the day after the last, parent
SESSIONS = (
    (YEAR, "School year 2026-2027", "schoolYear", "2026-08-24", "2027-06-12", ""),
    ("t-2026-fall", "Fall 2026", "semester", "2026-08-24", "2027-01-16", YEAR),
    ("t-2027-spring", "Spring 2027", "semester", "2027-01-18", "2027-06-12", YEAR),
)


def tables(district: District) -> Mapping[str, bytes]:
    """Every data file of the bundle, by name without `.csv`."""
    return {file: table(file, of_file) for file, of_file in rows(district).items()}


def rows(district: District) -> Mapping[str, Iterator[Row]]:
    """By file without `.csv`; a row does not name what it leaves blank."""
    return {
        "academicSessions": _sessions(),
        "classes": _classes(district),
        "courses": _courses(district),
        "enrollments": _enrollments(district),
        "orgs": _orgs(district),
        "users": _users(district),
    }


def _sessions() -> Iterator[Row]:
    for sourced_id, title, kind, start, end, parent in SESSIONS:
        yield {
            "sourcedId": sourced_id,
            "title": title,
            "type": kind,
            "startDate": start,
            "endDate": end,
            "parentSourcedId": parent,
            "schoolYear": "2027",
        }


def _orgs(district: District) -> Iterator[Row]:
    yield {"sourcedId": district.sourced_id, "name": district.name, "type": "district", "identifier": "62701"}
    for number, school in enumerate(district.schools, start=1):
        yield {
            "sourcedId": school.sourced_id,
            "name": school.name,
            "type": "school",
            "identifier": f"62701-{number}",
            "parentSourcedId": district.sourced_id,
        }


def _courses(district: District) -> Iterator[Row]:
    for course in district.courses:
        yield {
            "sourcedId": course.sourced_id,
            "schoolYearSourcedId": YEAR,
            "title": course.title,
            "courseCode": course.code,
            "grades": ",".join(course.grades),
            "orgSourcedId": district.sourced_id,
        }


def _classes(district: District) -> Iterator[Row]:
    for taught in district.classes:
        yield {
            "sourcedId": taught.sourced_id,
            "title": taught.title,
            "grades": ",".join(taught.grades),
            "courseSourcedId": taught.course,
            "classCode": taught.code,
            "classType": taught.class_type,
            "schoolSourcedId": taught.school,
            "termSourcedIds": "t-2026-fall,t-2027-spring",
        }


def _users(district: District) -> Iterator[Row]:
    for person in district.people:
        yield {
            "sourcedId": person.sourced_id,
            "enabledUser": "true",
            "orgSourcedIds": ",".join(person.schools),
            "role": person.role,
            "username": person.username,
            "givenName": person.given_name,
            "familyName": person.family_name,
            "identifier": person.identifier,
            "email": person.email,
            "grades": person.grade,
        }


def _enrollments(district: District) -> Iterator[Row]:
    for entry in district.enrollments:
        yield {
            "sourcedId": entry.sourced_id,
            "classSourcedId": entry.school_class,
            "schoolSourcedId": entry.school,
            "userSourcedId": entry.person,
            "role": entry.role,
            "primary": "true" if entry.role == "teacher" else "",
            "beginDate": "2026-08-24",
            "endDate": "2027-06-12",
        }
