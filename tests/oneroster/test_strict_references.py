"""Strict rules of keys, references and meaning: each reports its violation alone, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rosters.strict_bundles import CASE
from tests.support.rosters.strict_cases import (
    BOTH,
    NEW,
    RowCase,
    StrictCase,
    check_deviation,
    expand_row_cases,
    parametrize_cases,
    row,
    several,
)

ROW_CASES: list[RowCase] = [
    ("a reference to nobody", BOTH, ("orgs", "s", {"parentSourcedId": "x"}), ("strict-missing-target-record", 3, 7)),
    (
        "an item of a list that refers to nobody",
        BOTH,
        ("classes", "c", {"termSourcedIds": "t,x"}),
        ("strict-missing-target-record", 2, 11),
    ),
    ("demographics of nobody", BOTH, ("demographics", "u-9", {"sex": "male"}), ("strict-missing-target-record", 3, 1)),
    (
        "a reference in another case",
        BOTH,
        ("enrollments", "e-1", {"schoolSourcedId": "S"}),
        ("strict-missing-target-record", 2, 5),
    ),
    (
        "a course of no school year",
        BOTH,
        ("courses", "math", {"schoolYearSourcedId": "t"}),
        ("strict-academic-session-type-mismatch", 2, 4),
    ),
    (
        "a line item of no grading period",
        ("1.1",),
        ("lineItems", "li", {"gradingPeriodSourcedId": "t"}),
        ("strict-academic-session-type-mismatch", 2, 10),
    ),
    (
        "a line item of a whole school year",
        NEW,
        ("lineItems", "li", {"academicSessionSourcedId": "y"}),
        ("strict-academic-session-type-mismatch", 2, 10),
    ),
    *[
        (
            f"no school in {table}",
            versions,
            (table, key, {"schoolSourcedId": "d"}),
            ("strict-org-type-mismatch", 2, column),
        )
        for table, key, column, versions in (
            ("enrollments", "e-1", 5, BOTH),
            ("lineItems", "li", 13, NEW),
            ("classes", "c", 10, ("1.1",)),
        )
    ],
    (
        "two primary roles in one org",
        NEW,
        ("roles", "r-3", {"roleType": "primary"}),
        ("strict-multiple-primary-roles-for-user-org", 4, 5),
    ),
    (
        "no role in the primary org",
        NEW,
        ("users", "u-1", {"primaryOrgSourcedId": "d"}),
        ("strict-primary-org-missing-role", 2, 21),
    ),
    (
        "the profile of another",
        NEW,
        ("roles", "r-2", {"userProfileSourcedId": "p"}),
        ("strict-user-profile-user-mismatch", 3, 10),
    ),
    ("a range upside down", BOTH, ("lineItems", "li", {"resultValueMin": "11"}), ("strict-invalid-score-range", 2, 11)),
    ("a score too low", BOTH, ("results", "r", {"score": "-1"}), ("strict-score-below-min", 2, 7)),
    ("a score too high", BOTH, ("results", "r", {"score": "10.51"}), ("strict-score-above-max", 2, 7)),
    (
        "a scale without braces",
        NEW,
        ("scoreScales", "scale", {"scoreScaleValue": "A:90"}),
        ("strict-invalid-score-scale-mapping", 2, 9),
    ),
    *[
        (
            f"an objective of {file}",
            NEW,
            (file, key, {"source": "case", "learningObjectiveId": CASE.upper()}),
            ("strict-invalid-case-learning-objective-id", 2, 6),
        )
        for file, key in (("lineItemLearningObjectiveIds", "lo"), ("resultLearningObjectiveIds", "ro"))
    ],
    (
        "a resource in another org",
        NEW,
        ("userResources", "ur", {"orgSourcedId": "d"}),
        ("strict-user-resource-class-org-mismatch", 2, 5),
    ),
]

CASES = [
    *expand_row_cases(ROW_CASES),
    StrictCase(
        "a sourcedId twice",
        BOTH,
        lambda made: made.with_rows("categories", (*made.tables["categories"], *made.tables["categories"])),
        [("strict-duplicate-sourced-id", "categories.csv", 3, 1)],
    ),
    StrictCase(
        "the file of a reference missing",
        BOTH,
        lambda made: made.without_file("categories.csv"),
        [("strict-missing-target-file", "lineItems.csv", 2, 9)],
    ),
    StrictCase(
        "the result of another class",
        NEW,
        several(
            lambda made: made.with_rows(
                "classes", (*made.tables["classes"], {**made.tables["classes"][0], "sourcedId": "c2"})
            ),
            row("enrollments", "e-3", classSourcedId="c2", schoolSourcedId="s", userSourcedId="u-2", role="student"),
            row("results", "r", classSourcedId="c2"),
        ),
        [("strict-result-class-mismatch", "results.csv", 2, 11)],
    ),
    StrictCase(
        "the result of somebody not enrolled",
        BOTH,
        several(
            lambda made: made.without("enrollments", ["e-1"]),
            row("results", "r", studentSourcedId="u-1"),
        ),
        [("strict-result-student-not-enrolled", "results.csv", 2, 5)],
    ),
    StrictCase(
        "a resource for others",
        NEW,
        row("resources", "book", roles="teacher,administrator"),
        [("strict-resource-role-mismatch", "userResources.csv", 2, 7)],
    ),
    StrictCase(
        "a resource in a class of others",
        NEW,
        several(
            lambda made: made.without("enrollments", ["e-1"]),
            row("userResources", "ur", userSourcedId="u-1"),
        ),
        [("strict-user-resource-user-not-enrolled", "userResources.csv", 2, 4)],
    ),
]


@pytest.mark.parametrize(("version", "case"), parametrize_cases(CASES))
def test_deviation_of_a_reference_is_reported_alone_at_its_place(
    version: str, case: StrictCase, tmp_path: Path
) -> None:
    check_deviation(version, case, tmp_path)
