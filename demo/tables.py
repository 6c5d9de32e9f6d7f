"""A district as the tables of OneRoster 1.1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from demo.bundle import Row, render_table
from demo.district import District

YEAR = "t-2026"
#: sourcedId, title, type, first day, the day after the last, parent
SESSIONS = (
    (YEAR, "School year 2026-2027", "schoolYear", "2026-08-24", "2027-06-12", ""),
    ("t-2026-fall", "Fall 2026", "semester", "2026-08-24", "2027-01-16", YEAR),
    ("t-2027-spring", "Spring 2027", "semester", "2027-01-18", "2027-06-12", YEAR),
)


def render_tables(district: District) -> Mapping[str, bytes]:
    """Every data file of the bundle, by name without `.csv`."""
    return {file: render_table(file, of_file) for file, of_file in build_rows(district).items()}


def build_rows(district: District) -> Mapping[str, Iterator[Row]]:
    """By file without `.csv`; a row does not name what it leaves blank."""
    return {
        "academicSessions": _build_session_rows(),
        "classes": _build_class_rows(district),
        "courses": _build_course_rows(district),
        "enrollments": _build_enrollment_rows(district),
        "orgs": _build_org_rows(district),
        "users": _build_user_rows(district),
    }


def _build_session_rows() -> Iterator[Row]:
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


def _build_org_rows(district: District) -> Iterator[Row]:
    yield {"sourcedId": district.sourced_id, "name": district.name, "type": "district", "identifier": "62701"}
    for number, school in enumerate(district.schools, start=1):
        yield {
            "sourcedId": school.sourced_id,
            "name": school.name,
            "type": "school",
            "identifier": f"62701-{number}",
            "parentSourcedId": district.sourced_id,
        }


def _build_course_rows(district: District) -> Iterator[Row]:
    for course in district.courses:
        yield {
            "sourcedId": course.sourced_id,
            "schoolYearSourcedId": YEAR,
            "title": course.title,
            "courseCode": course.code,
            "grades": ",".join(course.grades),
            "orgSourcedId": district.sourced_id,
        }


def _build_class_rows(district: District) -> Iterator[Row]:
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


def _build_user_rows(district: District) -> Iterator[Row]:
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


def _build_enrollment_rows(district: District) -> Iterator[Row]:
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
