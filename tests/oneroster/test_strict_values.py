"""Strict rules of values: each reports its violation alone, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rosters.strict_bundles import WHEN
from tests.support.rosters.strict_cases import (
    BOTH,
    NEW,
    RowCase,
    StrictCase,
    check_deviation,
    delta,
    expand_row_cases,
    parametrize_cases,
    row,
    several,
)

ROW_CASES: list[RowCase] = [
    ("a required value missing", BOTH, ("orgs", "d", {"name": ""}), ("strict-missing-required-value", 2, 4)),
    ("a status in bulk", BOTH, ("orgs", "s", {"status": "active"}), ("strict-field-forbidden-in-bulk", 3, 2)),
    (
        "a time of change in bulk",
        BOTH,
        ("orgs", "s", {"dateLastModified": WHEN}),
        ("strict-field-forbidden-in-bulk", 3, 3),
    ),
    ("a sourcedId with a space", BOTH, ("categories", "new one", {"title": "x"}), ("strict-invalid-guid", 3, 1)),
    ("a sourcedId too long", BOTH, ("categories", "x" * 256, {"title": "x"}), ("strict-invalid-guid", 3, 1)),
    *[
        (f"the boolean {value}", BOTH, ("enrollments", "e-1", {"primary": value}), ("strict-invalid-boolean", 2, 8))
        for value in ("TRUE", "1", "yes")
    ],
    *[
        (f"the date {value}", BOTH, ("enrollments", "e-1", {"beginDate": value}), ("strict-invalid-date", 2, 9))
        for value in ("8/27/2026", "2026-02-29", "2026-08-27T00:00:00.000Z", "٢٠٢٦-٠٨-٢٧")
    ],
    ("a birth date", BOTH, ("demographics", "u-2", {"birthDate": "28.2.2015"}), ("strict-invalid-date", 2, 4)),
    ("a school year of two", BOTH, ("academicSessions", "t", {"schoolYear": "2026-27"}), ("strict-invalid-year", 3, 9)),
    *[
        (f"the score {value}", BOTH, ("results", "r", {"score": value}), ("strict-invalid-float", 2, 7))
        for value in ("8,5", "NaN", "1e999", "B+")
    ],
    ("a weight with a point", NEW, ("categories", "cat", {"weight": "12.5"}), ("strict-invalid-integer", 2, 5)),
    *[
        (f"the list {value!r}", BOTH, ("courses", "math", {"grades": value}), ("strict-invalid-list", 2, 7))
        for value in ("05,,06", "05, 06", ",05", '05,"06')
    ],
    *[
        (
            f"a userId without braces, {version}",
            (version,),
            ("users", "u-1", {"userIds": "FED:1"}),
            ("strict-invalid-list", 2, place),
        )
        for version, place in (("1.1", 8), ("1.2", 6))
    ],
    ("subjects without a code", NEW, ("classes", "c", {"subjectCodes": "a"}), ("strict-invalid-list", 2, 13)),
    ("the role Student", ("1.1",), ("users", "u-2", {"role": "Student"}), ("strict-invalid-enum", 3, 6)),
    ("a role of 1.1 in 1.2", NEW, ("roles", "r-1", {"role": "administrator"}), ("strict-invalid-enum", 2, 6)),
    ("an extension in 1.1", ("1.1",), ("orgs", "d", {"type": "ext:trust"}), ("strict-invalid-enum", 2, 5)),
    (
        "an extension of a closed enumeration",
        NEW,
        ("roles", "r-3", {"roleType": "ext:third"}),
        ("strict-invalid-enum", 4, 5),
    ),
    ("a sex of 1.2 in 1.1", ("1.1",), ("demographics", "u-2", {"sex": "other"}), ("strict-invalid-enum", 2, 5)),
    (
        "an item of an enumeration's list",
        BOTH,
        ("resources", "book", {"roles": "student,pupil"}),
        ("strict-invalid-enum", 2, 6),
    ),
]

CASES = [
    *expand_row_cases(ROW_CASES),
    StrictCase(
        "no status in delta",
        BOTH,
        delta(row("orgs", "s", status=""), "orgs"),
        [("strict-field-required-in-delta", "orgs.csv", 3, 2)],
    ),
    StrictCase(
        "no time of change in delta",
        BOTH,
        delta(row("orgs", "s", dateLastModified=""), "orgs"),
        [("strict-field-required-in-delta", "orgs.csv", 3, 3)],
    ),
    StrictCase(
        "a status of OneRoster 1.0",
        BOTH,
        delta(row("orgs", "s", status="inactive"), "orgs"),
        [("strict-invalid-enum", "orgs.csv", 3, 2)],
    ),
    *[
        StrictCase(
            f"the time {value}",
            BOTH,
            delta(row("orgs", "s", dateLastModified=value), "orgs"),
            [("strict-invalid-datetime", "orgs.csv", 3, 3)],
        )
        for value in ("2026-08-20", "2026-08-20T06:00:00Z", "2026-08-20T06:00:00.000+02:00", "2026-02-30T06:00:00.000Z")
    ],
    StrictCase(
        "a list of sourcedIds with one that is none",
        BOTH,
        several(
            row("academicSessions", "ü", title="x", type="term", startDate="2026-08-20", endDate="2026-08-21"),
            row("academicSessions", "ü", schoolYear="2027"),
            row("classes", "c", termSourcedIds="t,ü"),
        ),
        [("strict-invalid-guid", "academicSessions.csv", 5, 1), ("strict-invalid-guid", "classes.csv", 2, 11)],
    ),
]


@pytest.mark.parametrize(("version", "case"), parametrize_cases(CASES))
def test_deviation_of_a_value_is_reported_alone_at_its_place(version: str, case: StrictCase, tmp_path: Path) -> None:
    check_deviation(version, case, tmp_path)
