"""What the district's system sends on a day: the office's truth as rows, and rows as a bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from demo.bundle import MANIFEST_FILES, table, write_bundle
from demo.district import DISTRICT
from demo.words import COURSES
from demo.year.dates import terms_on, year_on
from demo.year.member import Member
from demo.year.office import Office

Row = dict[str, str]
SYSTEM = "made-up-sis"


@dataclass(slots=True)
class Export:
    """tables: rows by file, to be bent by whoever plays a fault. raw: bytes in place of a table's. made: the day on
    which its system made it. system: that system's code. delta: files that hold only what changed."""

    tables: dict[str, list[Row]]
    made: date
    system: str = SYSTEM
    raw: dict[str, bytes] = field(default_factory=dict)
    delta: frozenset[str] = frozenset()

    def without(self, file: str, gone: Iterable[Row]) -> None:
        names = {id(row) for row in gone}
        self.tables[file] = [row for row in self.tables[file] if id(row) not in names]

    def write(self, path: Path) -> None:
        members = {file: table(file, rows) for file, rows in self.tables.items()} | self.raw
        when = (self.made.year, self.made.month, self.made.day, 2, 0, 0)
        write_bundle(path, members, declared=self._manifest(members), at=when)

    def _manifest(self, members: Mapping[str, bytes]) -> bytes:
        lines = ["propertyName,value", "manifest.version,1.0", "oneroster.version,1.1"]
        for file in MANIFEST_FILES:
            mode = ("delta" if file in self.delta else "bulk") if file in members else "absent"
            lines.append(f"file.{file},{mode}")
        lines += ["source.systemName,Made-up School System", f"source.systemCode,{self.system}"]
        return "".join(f"{line}\r\n" for line in lines).encode()


def export(office: Office, day: date) -> Export:
    """Everything, as it should be on that day."""
    members = office.here()
    return Export(
        {
            "academicSessions": list(_sessions(day)),
            "classes": list(_classes(office)),
            "courses": list(_courses(office, day)),
            "enrollments": [row for member in members for row in _enrollments(office, member, day)],
            "orgs": list(_orgs(office)),
            "users": [row for member in members for row in _users(member)],
        },
        day,
    )


def enrollment_id(office: Office, member: Member, section: str) -> str:
    """Its number is the person's and the class's: who comes back into a class has the same one."""
    return f"{'pe' if office.migrated else 'e'}-{member.number:05d}-{section.removeprefix('c-')}"


def _sessions(day: date) -> Iterator[Row]:
    for term in terms_on(day):
        yield {
            "sourcedId": term.sourced_id,
            "title": term.title,
            "type": term.kind,
            "startDate": str(term.start),
            "endDate": str(term.end),
            "parentSourcedId": term.parent,
            "schoolYear": term.school_year,
        }


def _orgs(office: Office) -> Iterator[Row]:
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


def _courses(office: Office, day: date) -> Iterator[Row]:
    titles = {f"co-{code}".lower(): (code, title) for courses in COURSES.values() for code, title in courses}
    taught = sorted({section.taught.course for section in office.sections.values()})
    for course in taught:
        code, title = titles.get(course, ("HR", "Homeroom"))
        yield {
            "sourcedId": course,
            "schoolYearSourcedId": year_on(day).sourced_id,
            "title": title,
            "courseCode": code,
            "orgSourcedId": DISTRICT,
        }


def _classes(office: Office) -> Iterator[Row]:
    for section in office.sections.values():
        taught = section.taught
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


def _users(member: Member) -> Iterator[Row]:
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


def _enrollments(office: Office, member: Member, day: date) -> Iterator[Row]:
    terms = {term.sourced_id: term for term in terms_on(day)}
    for key in member.seats:
        section = office.sections[key]
        term = terms[section.terms[0]]
        teaches = member.person.role == "teacher"
        yield {
            "sourcedId": enrollment_id(office, member, key),
            "classSourcedId": key,
            "schoolSourcedId": section.taught.school,
            "userSourcedId": member.known_at(section.taught.school),
            "role": "teacher" if teaches else "student",
            "primary": "true" if teaches else "",
            "beginDate": str(term.start),
            "endDate": str(term.end - timedelta(days=1)),
        }
