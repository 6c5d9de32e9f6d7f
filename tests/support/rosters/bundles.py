"""Makes small consistent OneRoster bundles that a test bends with one call."""

from __future__ import annotations

import csv
import io
import random
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.oneroster.standard.tables import STANDARDS

Row = Mapping[str, str]

GIVEN_NAMES = ("Ada", "Ben", "Chloe", "Dario", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jun")
FAMILY_NAMES = ("Abbott", "Bauer", "Castro", "Dubois", "Eriksen", "Farouk", "Gomez", "Haddad")
FILES = ("orgs", "users", "classes", "enrollments")
BEGIN, END = "2026-08-20", "2027-06-11"


@dataclass(frozen=True)
class Bundle:
    """tables: rows by file stem; raw_files: bytes by file name, in place of a table or beside them."""

    tables: Mapping[str, tuple[Row, ...]]
    version: str = "1.1"
    manifest: bool = True
    modes: Mapping[str, str] = field(default_factory=dict)
    raw_files: Mapping[str, bytes] = field(default_factory=dict)

    def ids(self, table: str) -> list[str]:
        return [row["sourcedId"] for row in self.tables[table]]

    def students(self) -> list[str]:
        roles = self.tables.get("roles", ())
        if roles:
            return [row["userSourcedId"] for row in roles if row["role"] == "student"]
        return [row["sourcedId"] for row in self.tables["users"] if row["role"] == "student"]

    def with_rows(self, table: str, rows: Iterable[Row]) -> Bundle:
        return replace(self, tables={**self.tables, table: tuple(rows)})

    def with_row(self, table: str, sourced_id: str, **fields: str) -> Bundle:
        """Changes the row, or adds one."""
        rows = list(self.tables[table])
        for place, row in enumerate(rows):
            if row["sourcedId"] == sourced_id:
                rows[place] = {**row, **fields}
                return self.with_rows(table, rows)
        return self.with_rows(table, [*rows, {"sourcedId": sourced_id, **fields}])

    def with_user(self, sourced_id: str, **fields: str) -> Bundle:
        """Changes the person, or adds one: a student of the first school unless `fields` say otherwise."""
        if sourced_id in self.ids("users"):
            return self.with_row("users", sourced_id, **fields)
        person = _person(sourced_id, "student", "s-1", "Nia", "Okoye", f"9{len(self.tables['users']):05d}")
        if self.version == "1.1":
            return self.with_row("users", sourced_id, **{**person, **fields})
        role, org = fields.pop("role", person.pop("role")), fields.pop("orgSourcedIds", person.pop("orgSourcedIds"))
        added = self.with_row("users", sourced_id, **{**person, **fields})
        return added.with_row("roles", f"r-{sourced_id}", **_role(sourced_id, role, org))

    def without(self, table: str, ids: Iterable[str]) -> Bundle:
        gone = frozenset(ids)
        return self.with_rows(table, (row for row in self.tables[table] if row["sourcedId"] not in gone))

    def without_users(self, ids: Iterable[str]) -> Bundle:
        """Drops their enrollments and roles too."""
        gone = frozenset(ids)
        kept = self.without("users", gone)
        for table in ("enrollments", "roles"):
            if table in kept.tables:
                kept = kept.with_rows(table, (row for row in kept.tables[table] if row["userSourcedId"] not in gone))
        return kept

    def without_class(self, sourced_id: str) -> Bundle:
        """Drops its enrollments too."""
        kept = self.without("classes", [sourced_id])
        return kept.with_rows(
            "enrollments", (row for row in kept.tables["enrollments"] if row["classSourcedId"] != sourced_id)
        )

    def with_district(self, sourced_id: str) -> Bundle:
        """Makes it the roster of another district; schools and people stay."""
        orgs = [
            {name: sourced_id if value == "d-1" else value for name, value in row.items()}
            for row in self.tables["orgs"]
        ]
        return self.with_rows("orgs", orgs)

    def with_sessions_and_courses(self) -> Bundle:
        """Adds the courses and terms that the classes name, in one school year and of the district."""
        courses = sorted({row["courseSourcedId"] for row in self.tables["classes"]})
        terms = sorted({term for row in self.tables["classes"] for term in row["termSourcedIds"].split(",")})
        year = {"type": "schoolYear", "startDate": "2026-08-01", "endDate": "2027-07-31", "schoolYear": "2027"}
        term = {"type": "term", "startDate": BEGIN, "endDate": END, "parentSourcedId": "y-1", "schoolYear": "2027"}
        sessions = [
            {"sourcedId": "y-1", "title": "Year", **year},
            *({"sourcedId": each, "title": f"Term {each}", **term} for each in terms),
        ]
        taught = [{"sourcedId": each, "title": f"Course {each}", "orgSourcedId": "d-1"} for each in courses]
        return self.with_rows("academicSessions", sessions).with_rows("courses", taught)

    def raw(self, file: str, content: bytes) -> Bundle:
        """Puts exactly these bytes under this name (`users.csv`)."""
        return replace(self, raw_files={**self.raw_files, file: content})

    def without_file(self, file: str) -> Bundle:
        stem = file.removesuffix(".csv")
        return replace(
            self,
            tables={table: rows for table, rows in self.tables.items() if table != stem},
            raw_files={name: content for name, content in self.raw_files.items() if name != file},
        )

    def without_manifest(self) -> Bundle:
        return replace(self, manifest=False)

    def declaring(self, **modes: str) -> Bundle:
        """Modes in the manifest other than what the files are: `declaring(users="delta")`."""
        return replace(self, modes={**self.modes, **modes})

    def version12(self) -> Bundle:
        """The same roster as OneRoster 1.2: orgs and roles of people in roles.csv."""
        users = [
            {name: value for name, value in row.items() if name not in ("orgSourcedIds", "role")}
            for row in self.tables["users"]
        ]
        roles = [
            {
                "sourcedId": f"r-{row['sourcedId']}-{number}",
                **_role(row["sourcedId"], row["role"], org, "primary" if number == 1 else "secondary"),
            }
            for row in self.tables["users"]
            for number, org in enumerate(row["orgSourcedIds"].split(","), start=1)
        ]
        return replace(self, version="1.2", tables={**self.tables, "users": tuple(users), "roles": tuple(roles)})

    def delta(self, later: Bundle) -> Bundle:
        """What makes this roster the later one, as a bundle of changes: whole rows of what is new or another, and what
        left marked `tobedeleted`. Only files with changes are in it; users.csv where there are none."""
        tables: dict[str, tuple[Row, ...]] = {}
        for table in {**self.tables, **later.tables}:
            before = {row["sourcedId"]: row for row in self.tables.get(table, ())}
            after = {row["sourcedId"]: row for row in later.tables.get(table, ())}
            changed = [{**row, **_marked("active")} for key, row in after.items() if before.get(key) != row]
            gone = [{**row, **_marked("tobedeleted")} for key, row in before.items() if key not in after]
            if changed or gone:
                tables[table] = (*changed, *gone)
        tables = tables or {"users": ()}
        return replace(later, tables=tables, modes=dict.fromkeys(tables, "delta"), raw_files={})

    def text(self, table: str) -> str:
        """One file as CSV, with all columns of the standard in its order."""
        columns = [column.name for column in STANDARDS[self.version].tables[table].columns]
        sink = io.StringIO()
        writer = csv.DictWriter(sink, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.tables[table])
        return sink.getvalue()

    def files(self) -> dict[str, bytes]:
        made = {f"{table}.csv": self.text(table).encode() for table in self.tables}
        if self.manifest:
            made["manifest.csv"] = self._manifest(name.removesuffix(".csv") for name in made | dict(self.raw_files))
        return made | dict(self.raw_files)

    def _manifest(self, present: Iterable[str]) -> bytes:
        there = frozenset(present)
        modes = {stem: "bulk" if stem in there else "absent" for stem in sorted(STANDARDS[self.version].tables)}
        lines = ["propertyName,value", "manifest.version,1.0", f"oneroster.version,{self.version}"]
        lines += [f"file.{stem},{mode}" for stem, mode in (modes | dict(self.modes)).items()]
        return ("\n".join(lines) + "\n").encode()

    def zip(self, path: Path, folder: str | None = None) -> Path:
        """Writes the archive; the same bundle gives the same bytes."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in self.files().items():
                entry = zipfile.ZipInfo(f"{folder}/{name}" if folder else name, (2026, 8, 20, 3, 0, 0))
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
        return path


def bundle(users: int = 100, schools: int = 2, classes: int = 8, seed: int = 1) -> Bundle:
    """A district `d-1`, schools `s-1`..., people `u-0001`... (every tenth a teacher, at least one for each school),
    classes `c-01`..., each person in two classes of their school."""
    chance = random.Random(seed)
    orgs: list[Row] = [{"sourcedId": "d-1", "name": "Example District", "type": "district"}]
    orgs += [
        {"sourcedId": f"s-{number}", "name": f"School {number}", "type": "school", "parentSourcedId": "d-1"}
        for number in range(1, schools + 1)
    ]
    taught: list[Row] = [
        {
            "sourcedId": f"c-{number:02d}",
            "title": f"Class {number}",
            "courseSourcedId": f"course-{number % 3}",
            "classCode": f"C{number}",
            "classType": "scheduled",
            "schoolSourcedId": f"s-{number % schools + 1}",
            "termSourcedIds": "t-1,t-2",
        }
        for number in range(1, classes + 1)
    ]
    people: list[Row] = []
    enrollments: list[Row] = []
    for number in range(1, users + 1):
        sourced_id, school = f"u-{number:04d}", f"s-{number % schools + 1}"
        role = "teacher" if number <= schools or number % 10 == 0 else "student"
        names = chance.choice(GIVEN_NAMES), chance.choice(FAMILY_NAMES)
        people.append({"sourcedId": sourced_id, **_person(sourced_id, role, school, *names, f"{100000 + number}")})
        theirs = [row["sourcedId"] for row in taught if row["schoolSourcedId"] == school]
        for class_id in sorted(chance.sample(theirs, min(2, len(theirs)))):
            enrollments.append(
                {
                    "sourcedId": f"e-{len(enrollments) + 1:05d}",
                    "classSourcedId": class_id,
                    "schoolSourcedId": school,
                    "userSourcedId": sourced_id,
                    "role": role,
                    "primary": "false",
                    "beginDate": BEGIN,
                    "endDate": END,
                }
            )
    tables = dict(zip(FILES, map(tuple, (orgs, people, taught, enrollments)), strict=True))
    return Bundle(tables)


def _marked(status: str) -> dict[str, str]:
    return {"status": status, "dateLastModified": "2026-09-01T02:00:00.000Z"}


def _person(sourced_id: str, role: str, school: str, given: str, family: str, identifier: str) -> dict[str, str]:
    username = sourced_id.replace("-", "")
    return {
        "enabledUser": "true",
        "orgSourcedIds": school,
        "role": role,
        "username": username,
        "givenName": given,
        "familyName": family,
        "identifier": identifier,
        "email": f"{username}@example.com",
        "grades": "05" if role == "student" else "",
    }


def _role(user: str, role: str, org: str, role_type: str = "primary") -> dict[str, str]:
    return {"userSourcedId": user, "roleType": role_type, "role": role, "orgSourcedId": org}
