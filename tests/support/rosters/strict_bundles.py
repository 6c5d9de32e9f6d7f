"""Makes bundles with every file of the standard and checks them strictly."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

from reconciler.model.diagnostic import Diagnostic, Severity
from reconciler.oneroster.strict.check import StrictReport, check_against_standard
from tests.support.rosters.bundles import Bundle

WHEN = "2026-08-20T06:00:00.000Z"
CASE = "urn:uuid:0b4a8c1e-53d1-4f0e-9d0b-6a3c2f1e7d55"

Found = tuple[str, str, int, int]

_SHARED = {
    "academicSessions": (
        ("y", {"title": "2026/27", "type": "schoolYear", "schoolYear": "2027"}),
        ("t", {"title": "Autumn", "type": "term", "schoolYear": "2027", "parentSourcedId": "y"}),
        ("g", {"title": "First half", "type": "gradingPeriod", "schoolYear": "2027", "parentSourcedId": "t"}),
    ),
    "categories": (("cat", {"title": "Homework"}),),
    "orgs": (
        ("d", {"name": "Example District", "type": "district"}),
        ("s", {"name": "First School", "type": "school", "parentSourcedId": "d"}),
    ),
    "courses": (
        ("math", {"schoolYearSourcedId": "y", "title": "Mathematics", "orgSourcedId": "d", "grades": "05,06"}),
    ),
    "classes": (
        (
            "c",
            {
                "title": "Mathematics 5a",
                "courseSourcedId": "math",
                "classType": "scheduled",
                "schoolSourcedId": "s",
                "termSourcedIds": "t,g",
                "subjects": "Algebra,Geometry",
                "subjectCodes": "a,g",
            },
        ),
    ),
    "classResources": (("cr", {"classSourcedId": "c", "resourceSourcedId": "book"}),),
    "courseResources": (("kr", {"courseSourcedId": "math", "resourceSourcedId": "book"}),),
    "enrollments": (
        ("e-1", {"userSourcedId": "u-1", "role": "teacher", "primary": "true"}),
        ("e-2", {"userSourcedId": "u-2", "role": "student", "primary": "false"}),
    ),
    "demographics": (("u-2", {"birthDate": "2015-02-28", "sex": "female", "asian": "true", "white": "false"}),),
    "resources": (("book", {"vendorResourceId": "isbn", "roles": "student,teacher", "importance": "primary"}),),
    "lineItems": (
        (
            "li",
            {
                "title": "Sums",
                "assignDate": "2026-09-01",
                "dueDate": "2026-09-08",
                "classSourcedId": "c",
                "categorySourcedId": "cat",
                "resultValueMin": "0",
                "resultValueMax": "10.5",
            },
        ),
    ),
    "results": (
        (
            "r",
            {
                "lineItemSourcedId": "li",
                "studentSourcedId": "u-2",
                "scoreStatus": "fully graded",
                "score": "8.5",
                "scoreDate": "2026-09-09",
            },
        ),
    ),
    "users": (
        ("u-1", {"username": "amy", "givenName": "Amy", "familyName": "Teach", "userIds": "{FED:1},{LDAP:cn=amy}"}),
        (
            "u-2",
            {"username": "ben", "givenName": "Ben", "familyName": "Learn", "agentSourcedIds": "u-1", "grades": "05"},
        ),
    ),
}
_ADDED_1_2 = {
    "roles": (
        ("r-1", {"userSourcedId": "u-1", "roleType": "primary", "role": "teacher", "orgSourcedId": "s"}),
        ("r-2", {"userSourcedId": "u-2", "roleType": "primary", "role": "student", "orgSourcedId": "s"}),
        ("r-3", {"userSourcedId": "u-2", "roleType": "secondary", "role": "ext:prefect", "orgSourcedId": "s"}),
    ),
    "userProfiles": (
        (
            "p",
            {
                "userSourcedId": "u-1",
                "profileType": "sis",
                "vendorId": "v",
                "credentialType": "password",
                "username": "amy",
                "password": "verySecret1",
            },
        ),
    ),
    "userResources": (
        (
            "ur",
            {"userSourcedId": "u-2", "orgSourcedId": "s", "classSourcedId": "c", "resourceSourcedId": "book"},
        ),
    ),
    "scoreScales": (
        (
            "scale",
            {
                "title": "Letters",
                "type": "grade",
                "orgSourcedId": "s",
                "courseSourcedId": "math",
                "classSourcedId": "c",
                "scoreScaleValue": "{A:90-100},{B:80-89}",
            },
        ),
    ),
    "lineItemLearningObjectiveIds": (
        ("lo", {"lineItemSourcedId": "li", "source": "case", "learningObjectiveId": CASE}),
    ),
    "lineItemScoreScales": (("ls", {"lineItemSourcedId": "li", "scoreScaleSourcedId": "scale"}),),
    "resultLearningObjectiveIds": (
        ("ro", {"resultSourcedId": "r", "source": "unknown", "learningObjectiveId": "sums", "score": "1e1"}),
    ),
    "resultScoreScales": (("rs", {"resultSourcedId": "r", "scoreScaleSourcedId": "scale"}),),
}


def complete(version: str) -> Bundle:
    """Every file of the version, each with rows that nothing can be said against."""
    rows = _SHARED if version == "1.1" else _SHARED | _ADDED_1_2
    made = Bundle(
        {table: tuple({"sourcedId": key, **fields} for key, fields in each) for table, each in rows.items()}, version
    )
    for key in ("y", "t", "g"):
        made = made.with_row("academicSessions", key, startDate="2026-08-20", endDate="2027-06-11")
    for key in ("e-1", "e-2"):
        made = made.with_row("enrollments", key, classSourcedId="c", schoolSourcedId="s")
    for key in ("u-1", "u-2"):
        made = made.with_row("users", key, enabledUser="true", password="verySecret2")
    if version == "1.1":
        made = made.with_row("users", "u-1", orgSourcedIds="s,d", role="teacher")
        made = made.with_row("users", "u-2", orgSourcedIds="s", role="student")
        return made.with_row("lineItems", "li", gradingPeriodSourcedId="g")
    made = made.with_row("users", "u-1", primaryOrgSourcedId="s")
    made = made.with_row("lineItems", "li", academicSessionSourcedId="t", schoolSourcedId="s")
    made = made.with_row("roles", "r-1", userProfileSourcedId="p")
    made = made.with_row("results", "r", classSourcedId="c", late="false")
    return made.with_row("categories", "cat", weight="20")


def as_delta(made: Bundle, *tables: str) -> Bundle:
    """These files as changes: every row active, and changed at WHEN."""
    for table in tables:
        made = made.with_rows(
            table, ({"status": "active", "dateLastModified": WHEN, **row} for row in made.tables[table])
        )
    return made.declaring(**dict.fromkeys(tables, "delta"))


def with_text(made: Bundle, file: str, old: str, new: str) -> Bundle:
    """The file with its first `old` replaced; it must be there."""
    content = made.files()[file].decode()
    assert old in content, (file, old)
    return made.raw(file, content.replace(old, new, 1).encode())


def pack(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    """An archive of exactly these members, a name more than once if it is given so."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(zipfile.ZipInfo(name, (2026, 8, 20, 3, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return path


def hold(made: Bundle, folder: Path, most: int | None = None) -> StrictReport:
    return check_against_standard(made.zip(folder / "roster.zip"), most=most)


def places(diagnostics: Iterable[Diagnostic]) -> list[Found]:
    """Code, file, line and column of what deviates."""
    return [
        (each.code, each.span.file, each.span.line, each.span.column)
        for each in diagnostics
        if each.severity is not Severity.INFO and each.span is not None
    ]
