"""What the district's system sends on a day: the office's truth as rows, and rows as a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from demo.bundle import MANIFEST_FILES, render_table, write_bundle
from demo.district import DISTRICT
from demo.words import COURSES
from demo.year.dates import find_school_year, list_terms
from demo.year.member import Member
from demo.year.office import Office

Row = dict[str, str]
SYSTEM = "made-up-sis"


@dataclass(slots=True)
class Export:
    """tables: rows by file, to be bent by whoever plays a fault. raw: bytes in place of a table's. made: the day on
    which its system made it. system: that system's code. delta: files that hold only what changed."""

    tables: dict[str, list[Row]]
    export_day: date
    system: str = SYSTEM
    raw: dict[str, bytes] = field(default_factory=dict)
    delta: frozenset[str] = frozenset()

    def remove_rows(self, file: str, removals: Iterable[Row]) -> None:
        names = {id(row) for row in removals}
        self.tables[file] = [row for row in self.tables[file] if id(row) not in names]

    def write(self, path: Path) -> None:
        members = {file: render_table(file, rows) for file, rows in self.tables.items()} | self.raw
        when = (self.export_day.year, self.export_day.month, self.export_day.day, 2, 0, 0)
        write_bundle(path, members, manifest=self._render_manifest(members), timestamp=when)

    def _render_manifest(self, members: Mapping[str, bytes]) -> bytes:
        lines = ["propertyName,value", "manifest.version,1.0", "oneroster.version,1.1"]
        for file in MANIFEST_FILES:
            mode = ("delta" if file in self.delta else "bulk") if file in members else "absent"
            lines.append(f"file.{file},{mode}")
        lines += ["source.systemName,Made-up School System", f"source.systemCode,{self.system}"]
        return "".join(f"{line}\r\n" for line in lines).encode()


def build_export(office: Office, day: date) -> Export:
    """Everything, as it should be on that day."""
    members = office.list_present()
    return Export(
        {
            "academicSessions": list(_build_session_rows(day)),
            "classes": list(_build_class_rows(office)),
            "courses": list(_build_course_rows(office, day)),
            "enrollments": [row for member in members for row in _build_enrollment_rows(office, member, day)],
            "orgs": list(_build_org_rows(office)),
            "users": [row for member in members for row in _build_user_rows(member)],
        },
        day,
    )


def build_enrollment_id(office: Office, member: Member, section: str) -> str:
    """Its number is the person's and the class's: who comes back into a class has the same one."""
    return f"{'pe' if office.migrated else 'e'}-{member.number:05d}-{section.removeprefix('c-')}"


def _build_session_rows(day: date) -> Iterator[Row]:
    for term in list_terms(day):
        yield {
            "sourcedId": term.sourced_id,
            "title": term.title,
            "type": term.kind,
            "startDate": str(term.start),
            "endDate": str(term.end),
            "parentSourcedId": term.parent,
            "schoolYear": term.school_year,
        }


def _build_org_rows(office: Office) -> Iterator[Row]:
    name = "Springfield Unified School District"
    yield {"sourcedId": DISTRICT, "name": name, "type": "district", "identifier": "62701"}
    for number, school in enumerate(office.scale.schools, start=1):
        yield {
            "sourcedId": school.sourced_id,
            "name": school.name,
            "type": "school",
            "identifier": f"62701-{number}",
            "parentSourcedId": DISTRICT,
        }


def _build_course_rows(office: Office, day: date) -> Iterator[Row]:
    titles = {f"co-{code}".lower(): (code, title) for courses in COURSES.values() for code, title in courses}
    taught = sorted({section.school_class.course for section in office.sections.values()})
    for course in taught:
        code, title = titles.get(course, ("HR", "Homeroom"))
        yield {
            "sourcedId": course,
            "schoolYearSourcedId": find_school_year(day).sourced_id,
            "title": title,
            "courseCode": code,
            "orgSourcedId": DISTRICT,
        }


def _build_class_rows(office: Office) -> Iterator[Row]:
    for section in office.sections.values():
        taught = section.school_class
        yield {
            "sourcedId": taught.sourced_id,
            "title": taught.title,
            "grades": ",".join(taught.grades),
            "courseSourcedId": taught.course,
            "classCode": taught.code,
            "classType": taught.class_type,
            "schoolSourcedId": taught.school,
            "termSourcedIds": ",".join(section.terms),
        }


def _build_user_rows(member: Member) -> Iterator[Row]:
    """One row, or one for each sourcedId of a pupil whom two schools keep apart."""
    person = member.person
    homes = [(person.sourced_id, person.schools)]
    if member.second:
        homes.append((member.second[0], (member.second[1],)))
    for sourced_id, schools in homes:
        yield {
            "sourcedId": sourced_id,
            "enabledUser": "true" if member.enabled else "false",
            "orgSourcedIds": ",".join(schools),
            "role": person.role,
            "username": person.username,
            "givenName": person.given_name,
            "familyName": person.family_name,
            "identifier": person.identifier,
            "email": person.email,
            "grades": person.grade,
        }


def _build_enrollment_rows(office: Office, member: Member, day: date) -> Iterator[Row]:
    terms = {term.sourced_id: term for term in list_terms(day)}
    for key in member.seats:
        section = office.sections[key]
        term = terms[section.terms[0]]
        teaches = member.person.role == "teacher"
        yield {
            "sourcedId": build_enrollment_id(office, member, key),
            "classSourcedId": key,
            "schoolSourcedId": section.school_class.school,
            "userSourcedId": member.find_sourced_id(section.school_class.school),
            "role": "teacher" if teaches else "student",
            "primary": "true" if teaches else "",
            "beginDate": str(term.start),
            "endDate": str(term.end - timedelta(days=1)),
        }
