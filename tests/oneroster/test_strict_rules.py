"""Each strict rule reports the roster that violates it, at its position, and no other rule does."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.oneroster.strict.rules import RULES
from tests.support.rosters.bundles import Bundle
from tests.support.rosters.strict_bundles import CASE, WHEN, Found, as_delta, complete, hold, places, with_text

Bend = Callable[[Bundle], Bundle]


def row(table: str, key: str, **fields: str) -> Bend:
    return lambda made: made.with_row(table, key, **fields)


def text(file: str, old: str, new: str) -> Bend:
    return lambda made: with_text(made, file, old, new)


def raw(file: str, content: bytes) -> Bend:
    return lambda made: made.raw(file, content)


def delta(bend: Bend, *tables: str) -> Bend:
    return lambda made: bend(as_delta(made, *tables))


def several(*bends: Bend) -> Bend:
    def bent(made: Bundle) -> Bundle:
        for bend in bends:
            made = bend(made)
        return made

    return bent


def columns(table: str, names: str) -> Bend:
    """Return the file with these columns, in this order."""

    def bent(made: Bundle) -> Bundle:
        sink = io.StringIO()
        writer = csv.DictWriter(sink, names.split(), restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(made.tables[table])
        return made.raw(f"{table}.csv", sink.getvalue().encode())

    return bent


BOTH = ("1.1", "1.2")
NEW = ("1.2",)
MANIFEST = "manifest.csv"

CASES: list[tuple[str, tuple[str, ...], Bend, list[Found]]] = [
    ("no manifest", BOTH, lambda made: made.without_manifest(), [("strict-missing-manifest", MANIFEST, 0, 0)]),
    ("a file of nobody", BOTH, raw("notes.txt", b"x"), [("strict-unknown-file", "notes.txt", 0, 0)]),
    (
        "a file of 1.2 in 1.1",
        ("1.1",),
        raw("userProfiles.csv", b"sourcedId\n"),
        [("strict-unknown-file", "userProfiles.csv", 0, 0)],
    ),
    (
        "a file name in another case",
        BOTH,
        lambda made: made.without_file("orgs.csv").raw("Orgs.CSV", made.files()["orgs.csv"]).declaring(orgs="bulk"),
        [("strict-file-name-case", "Orgs.CSV", 0, 0)],
    ),
    (
        "a byte order mark",
        BOTH,
        text("orgs.csv", "sourcedId", "\ufeffsourcedId"),
        [("strict-byte-order-mark", "orgs.csv", 1, 0)],
    ),
    (
        "a byte that is not UTF-8",
        BOTH,
        lambda made: made.raw("orgs.csv", made.files()["orgs.csv"].replace(b"First", b"F\xefrst")),
        [("strict-not-utf-8", "orgs.csv", 3, 0)],
    ),
    (
        "UTF-16",
        BOTH,
        lambda made: made.raw("demographics.csv", made.text("demographics").encode("utf-16")),
        [("strict-not-utf-8", "demographics.csv", 0, 0)],
    ),
    (
        "a carriage return alone",
        BOTH,
        text("orgs.csv", "district,,\n", "district,,\r"),
        [("strict-bare-carriage-return", "orgs.csv", 2, 0)],
    ),
    (
        "a quotation mark never closed",
        BOTH,
        text("categories.csv", "Homework", '"Homework'),
        [("strict-unclosed-quote", "categories.csv", 2, 0)],
    ),
    (
        "a quotation mark never closed in the header",
        BOTH,
        text("demographics.csv", "sourcedId", '"sourcedId'),
        [("strict-unclosed-quote", "demographics.csv", 1, 0)],
    ),
    (
        "a quotation mark inside a value",
        BOTH,
        text("orgs.csv", "Example District", 'Example "big" District'),
        [("strict-stray-quote", "orgs.csv", 2, 4)],
    ),
    (
        "something after a quotation",
        BOTH,
        text("orgs.csv", "First School", '"First" School'),
        [("strict-stray-quote", "orgs.csv", 3, 4)],
    ),
    (
        "a line break in a value",
        BOTH,
        text("orgs.csv", "Example District", '"Example\nDistrict"'),
        [("strict-line-break-in-value", "orgs.csv", 2, 4)],
    ),
    (
        "a manifest longer than any is",
        BOTH,
        raw(MANIFEST, b"propertyName,value\n" + b"x,y\n" * 20_000),
        [("strict-unreadable-csv", MANIFEST, 0, 0)],
    ),
    ("an empty manifest", BOTH, raw(MANIFEST, b""), [("strict-manifest-missing-header", MANIFEST, 1, 0)]),
    (
        "another header in the manifest",
        BOTH,
        text(MANIFEST, "propertyName,value", "PropertyName,value"),
        [("strict-manifest-header", MANIFEST, 1, 0)],
    ),
    (
        "a third field in the manifest",
        BOTH,
        text(MANIFEST, "manifest.version,1.0", "manifest.version,1.0,"),
        [("strict-manifest-row-width", MANIFEST, 2, 3)],
    ),
    (
        "a property twice",
        BOTH,
        text(MANIFEST, "file.academicSessions", "manifest.version,1.0\nfile.academicSessions"),
        [("strict-manifest-duplicate-property", MANIFEST, 4, 1)],
    ),
    (
        "a property of nobody",
        BOTH,
        text(MANIFEST, "file.academicSessions", "file.pets,bulk\nfile.academicSessions"),
        [("strict-manifest-unknown-property", MANIFEST, 4, 1)],
    ),
    (
        "a property missing",
        BOTH,
        text(MANIFEST, "file.academicSessions,bulk\n", ""),
        [("strict-manifest-missing-property", MANIFEST, 0, 0)],
    ),
    (
        "another manifest version",
        BOTH,
        text(MANIFEST, "manifest.version,1.0", "manifest.version,1"),
        [("strict-manifest-version", MANIFEST, 2, 2)],
    ),
    (
        "the version of the document for that of the format",
        NEW,
        text(MANIFEST, "oneroster.version,1.2", "oneroster.version,1.2.1"),
        [("strict-oneroster-version", MANIFEST, 3, 2)],
    ),
    (
        "a mode in another case",
        BOTH,
        text(MANIFEST, "file.academicSessions,bulk", "file.academicSessions,Bulk"),
        [("strict-manifest-file-mode", MANIFEST, 4, 2)],
    ),
    (
        "a declared file missing",
        BOTH,
        lambda made: made.without_file("demographics.csv").declaring(demographics="bulk"),
        [("strict-manifest-file-missing", MANIFEST, 10, 2)],
    ),
    (
        "an absent file there",
        BOTH,
        lambda made: made.declaring(demographics="absent"),
        [("strict-manifest-file-unexpected", MANIFEST, 10, 2)],
    ),
    ("a file of no bytes", BOTH, raw("demographics.csv", b""), [("strict-missing-header", "demographics.csv", 1, 0)]),
    (
        "a column without a name",
        BOTH,
        several(
            text("categories.csv", "title", "title,"),
            lambda made: with_text(made, "categories.csv", "Homework", "Homework,"),
        ),
        [("strict-empty-header-name", "categories.csv", 1, 5)],
    ),
    (
        "a column twice",
        BOTH,
        several(text("categories.csv", "title", "title,title"), text("categories.csv", "Homework", "Homework,x")),
        [("strict-duplicate-header", "categories.csv", 1, 5)],
    ),
    (
        "columns out of order",
        BOTH,
        columns("orgs", "sourcedId status dateLastModified type name identifier parentSourcedId"),
        [("strict-header-order", "orgs.csv", 1, 4)],
    ),
    (
        "the last column first",
        BOTH,
        columns("orgs", "parentSourcedId sourcedId status dateLastModified name type identifier"),
        [("strict-header-order", "orgs.csv", 1, 1)],
    ),
    (
        "a column name in another case",
        BOTH,
        text("demographics.csv", "sourcedId", "sourcedID"),
        [("strict-header-spelling", "demographics.csv", 1, 1)],
    ),
    (
        "a column missing",
        BOTH,
        columns("orgs", "sourcedId status dateLastModified name type parentSourcedId"),
        [("strict-missing-column", "orgs.csv", 1, 6)],
    ),
    (
        "metadata before the standard's columns",
        BOTH,
        several(
            text("demographics.csv", "birthDate", "metadata.x,birthDate"),
            text("demographics.csv", "2015-02-28", "y,2015-02-28"),
        ),
        [("strict-metadata-column-position", "demographics.csv", 1, 4)],
    ),
    (
        "a column of one's own",
        BOTH,
        several(
            text("orgs.csv", "parentSourcedId", "parentSourcedId,ext_x"),
            text("orgs.csv", "district,,", "district,,,"),
            text("orgs.csv", "school,,d", "school,,d,"),
        ),
        [("strict-invalid-metadata-header", "orgs.csv", 1, 8)],
    ),
    (
        "metadata without a name",
        BOTH,
        several(
            text("orgs.csv", "parentSourcedId", "parentSourcedId,metadata."),
            text("orgs.csv", "district,,", "district,,,"),
            text("orgs.csv", "school,,d", "school,,d,"),
        ),
        [("strict-invalid-metadata-header", "orgs.csv", 1, 8)],
    ),
    (
        "a header without rows",
        BOTH,
        lambda made: made.with_rows("demographics", ()),
        [("strict-missing-data-rows", "demographics.csv", 1, 0)],
    ),
    (
        "a row too long",
        BOTH,
        text("orgs.csv", "district,,", "district,,,"),
        [("strict-row-width", "orgs.csv", 2, 8)],
    ),
    (
        "a row too short",
        BOTH,
        text("orgs.csv", "district,,", "district"),
        [("strict-row-width", "orgs.csv", 2, 6)],
    ),
    (
        "a blank line",
        BOTH,
        text("orgs.csv", "district,,\n", "district,,\n\n"),
        [("strict-row-width", "orgs.csv", 3, 2)],
    ),
    (
        "a required value missing",
        BOTH,
        row("orgs", "d", name=""),
        [("strict-missing-required-value", "orgs.csv", 2, 4)],
    ),
    (
        "a status in bulk",
        BOTH,
        row("orgs", "s", status="active"),
        [("strict-field-forbidden-in-bulk", "orgs.csv", 3, 2)],
    ),
    (
        "a time of change in bulk",
        BOTH,
        row("orgs", "s", dateLastModified=WHEN),
        [("strict-field-forbidden-in-bulk", "orgs.csv", 3, 3)],
    ),
    (
        "no status in delta",
        BOTH,
        delta(row("orgs", "s", status=""), "orgs"),
        [("strict-field-required-in-delta", "orgs.csv", 3, 2)],
    ),
    (
        "no time of change in delta",
        BOTH,
        delta(row("orgs", "s", dateLastModified=""), "orgs"),
        [("strict-field-required-in-delta", "orgs.csv", 3, 3)],
    ),
    (
        "a status of OneRoster 1.0",
        BOTH,
        delta(row("orgs", "s", status="inactive"), "orgs"),
        [("strict-invalid-enum", "orgs.csv", 3, 2)],
    ),
    *[
        (
            f"the time {value}",
            BOTH,
            delta(row("orgs", "s", dateLastModified=value), "orgs"),
            [("strict-invalid-datetime", "orgs.csv", 3, 3)],
        )
        for value in ("2026-08-20", "2026-08-20T06:00:00Z", "2026-08-20T06:00:00.000+02:00", "2026-02-30T06:00:00.000Z")
    ],
    (
        "a sourcedId with a space",
        BOTH,
        row("categories", "new one", title="x"),
        [("strict-invalid-guid", "categories.csv", 3, 1)],
    ),
    (
        "a sourcedId too long",
        BOTH,
        row("categories", "x" * 256, title="x"),
        [("strict-invalid-guid", "categories.csv", 3, 1)],
    ),
    (
        "a list of sourcedIds with one that is none",
        BOTH,
        several(
            row("academicSessions", "ü", title="x", type="term", startDate="2026-08-20", endDate="2026-08-21"),
            row("academicSessions", "ü", schoolYear="2027"),
            row("classes", "c", termSourcedIds="t,ü"),
        ),
        [("strict-invalid-guid", "academicSessions.csv", 5, 1), ("strict-invalid-guid", "classes.csv", 2, 11)],
    ),
    *[
        (
            f"the boolean {value}",
            BOTH,
            row("enrollments", "e-1", primary=value),
            [("strict-invalid-boolean", "enrollments.csv", 2, 8)],
        )
        for value in ("TRUE", "1", "yes")
    ],
    *[
        (
            f"the date {value}",
            BOTH,
            row("enrollments", "e-1", beginDate=value),
            [("strict-invalid-date", "enrollments.csv", 2, 9)],
        )
        for value in ("8/27/2026", "2026-02-29", "2026-08-27T00:00:00.000Z", "٢٠٢٦-٠٨-٢٧")
    ],
    (
        "a birth date",
        BOTH,
        row("demographics", "u-2", birthDate="28.2.2015"),
        [("strict-invalid-date", "demographics.csv", 2, 4)],
    ),
    (
        "a school year of two",
        BOTH,
        row("academicSessions", "t", schoolYear="2026-27"),
        [("strict-invalid-year", "academicSessions.csv", 3, 9)],
    ),
    *[
        (f"the score {value}", BOTH, row("results", "r", score=value), [("strict-invalid-float", "results.csv", 2, 7)])
        for value in ("8,5", "NaN", "1e999", "B+")
    ],
    (
        "a weight with a point",
        NEW,
        row("categories", "cat", weight="12.5"),
        [("strict-invalid-integer", "categories.csv", 2, 5)],
    ),
    *[
        (
            f"the list {value!r}",
            BOTH,
            row("courses", "math", grades=value),
            [("strict-invalid-list", "courses.csv", 2, 7)],
        )
        for value in ("05,,06", "05, 06", ",05", '05,"06')
    ],
    *[
        (
            f"a userId without braces, {version}",
            (version,),
            row("users", "u-1", userIds="FED:1"),
            [("strict-invalid-list", "users.csv", 2, place)],
        )
        for version, place in (("1.1", 8), ("1.2", 6))
    ],
    (
        "subjects without a code",
        NEW,
        row("classes", "c", subjectCodes="a"),
        [("strict-invalid-list", "classes.csv", 2, 13)],
    ),
    ("the role Student", ("1.1",), row("users", "u-2", role="Student"), [("strict-invalid-enum", "users.csv", 3, 6)]),
    (
        "a role of 1.1 in 1.2",
        NEW,
        row("roles", "r-1", role="administrator"),
        [("strict-invalid-enum", "roles.csv", 2, 6)],
    ),
    ("an extension in 1.1", ("1.1",), row("orgs", "d", type="ext:trust"), [("strict-invalid-enum", "orgs.csv", 2, 5)]),
    (
        "an extension of a closed enumeration",
        NEW,
        row("roles", "r-3", roleType="ext:third"),
        [("strict-invalid-enum", "roles.csv", 4, 5)],
    ),
    (
        "a sex of 1.2 in 1.1",
        ("1.1",),
        row("demographics", "u-2", sex="other"),
        [("strict-invalid-enum", "demographics.csv", 2, 5)],
    ),
    (
        "an item of an enumeration's list",
        BOTH,
        row("resources", "book", roles="student,pupil"),
        [("strict-invalid-enum", "resources.csv", 2, 6)],
    ),
    (
        "a sourcedId twice",
        BOTH,
        lambda made: made.with_rows("categories", (*made.tables["categories"], *made.tables["categories"])),
        [("strict-duplicate-sourced-id", "categories.csv", 3, 1)],
    ),
    (
        "the file of a reference missing",
        BOTH,
        lambda made: made.without_file("categories.csv"),
        [("strict-missing-target-file", "lineItems.csv", 2, 9)],
    ),
    (
        "a reference to nobody",
        BOTH,
        row("orgs", "s", parentSourcedId="x"),
        [("strict-missing-target-record", "orgs.csv", 3, 7)],
    ),
    (
        "an item of a list that refers to nobody",
        BOTH,
        row("classes", "c", termSourcedIds="t,x"),
        [("strict-missing-target-record", "classes.csv", 2, 11)],
    ),
    (
        "demographics of nobody",
        BOTH,
        row("demographics", "u-9", sex="male"),
        [("strict-missing-target-record", "demographics.csv", 3, 1)],
    ),
    (
        "a reference in another case",
        BOTH,
        row("enrollments", "e-1", schoolSourcedId="S"),
        [("strict-missing-target-record", "enrollments.csv", 2, 5)],
    ),
    (
        "a course of no school year",
        BOTH,
        row("courses", "math", schoolYearSourcedId="t"),
        [("strict-academic-session-type-mismatch", "courses.csv", 2, 4)],
    ),
    (
        "a line item of no grading period",
        ("1.1",),
        row("lineItems", "li", gradingPeriodSourcedId="t"),
        [("strict-academic-session-type-mismatch", "lineItems.csv", 2, 10)],
    ),
    (
        "a line item of a whole school year",
        NEW,
        row("lineItems", "li", academicSessionSourcedId="y"),
        [("strict-academic-session-type-mismatch", "lineItems.csv", 2, 10)],
    ),
    *[
        (
            f"no school in {table}",
            versions,
            row(table, key, schoolSourcedId="d"),
            [("strict-org-type-mismatch", f"{table}.csv", 2, column)],
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
        row("roles", "r-3", roleType="primary"),
        [("strict-multiple-primary-roles-for-user-org", "roles.csv", 4, 5)],
    ),
    (
        "no role in the primary org",
        NEW,
        row("users", "u-1", primaryOrgSourcedId="d"),
        [("strict-primary-org-missing-role", "users.csv", 2, 21)],
    ),
    (
        "the profile of another",
        NEW,
        row("roles", "r-2", userProfileSourcedId="p"),
        [("strict-user-profile-user-mismatch", "roles.csv", 3, 10)],
    ),
    (
        "a range upside down",
        BOTH,
        row("lineItems", "li", resultValueMin="11"),
        [("strict-invalid-score-range", "lineItems.csv", 2, 11)],
    ),
    ("a score too low", BOTH, row("results", "r", score="-1"), [("strict-score-below-min", "results.csv", 2, 7)]),
    ("a score too high", BOTH, row("results", "r", score="10.51"), [("strict-score-above-max", "results.csv", 2, 7)]),
    (
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
    (
        "the result of somebody not enrolled",
        BOTH,
        several(
            lambda made: made.without("enrollments", ["e-1"]),
            row("results", "r", studentSourcedId="u-1"),
        ),
        [("strict-result-student-not-enrolled", "results.csv", 2, 5)],
    ),
    (
        "a scale without braces",
        NEW,
        row("scoreScales", "scale", scoreScaleValue="A:90"),
        [("strict-invalid-score-scale-mapping", "scoreScales.csv", 2, 9)],
    ),
    *[
        (
            f"an objective of {file}",
            NEW,
            row(file, key, source="case", learningObjectiveId=CASE.upper()),
            [("strict-invalid-case-learning-objective-id", f"{file}.csv", 2, 6)],
        )
        for file, key in (("lineItemLearningObjectiveIds", "lo"), ("resultLearningObjectiveIds", "ro"))
    ],
    (
        "a resource for others",
        NEW,
        row("resources", "book", roles="teacher,administrator"),
        [("strict-resource-role-mismatch", "userResources.csv", 2, 7)],
    ),
    (
        "a resource in another org",
        NEW,
        row("userResources", "ur", orgSourcedId="d"),
        [("strict-user-resource-class-org-mismatch", "userResources.csv", 2, 5)],
    ),
    (
        "a resource in a class of others",
        NEW,
        several(
            lambda made: made.without("enrollments", ["e-1"]),
            row("userResources", "ur", userSourcedId="u-1"),
        ),
        [("strict-user-resource-user-not-enrolled", "userResources.csv", 2, 4)],
    ),
]

EACH = [
    pytest.param(version, bend, found, id=f"{name}-{version}")
    for name, versions, bend, found in CASES
    for version in versions
]

#: Rules that no bend of a single bundle can show; tests of the archive do.
OF_THE_ARCHIVE = {"strict-duplicate-file", "strict-folder-in-archive"}


@pytest.mark.parametrize("version", BOTH)
def test_bundle_with_every_standard_file_has_no_deviation(version: str, tmp_path: Path) -> None:
    letter = hold(complete(version), tmp_path)
    assert (letter.version, letter.diagnostics, letter.counts, letter.has_errors) == (version, (), {}, False)


@pytest.mark.parametrize("version", BOTH)
def test_a_bundle_of_changes_alone_has_no_deviation(version: str, tmp_path: Path) -> None:
    made = complete(version)
    letter = hold(as_delta(made, *made.tables), tmp_path)
    assert letter.diagnostics == ()


@pytest.mark.parametrize(("version", "bend", "found"), EACH)
def test_deviation_is_reported_alone_at_its_place(version: str, bend: Bend, found: list[Found], tmp_path: Path) -> None:
    letter = hold(bend(complete(version)), tmp_path)
    assert places(letter.diagnostics) == found
    assert sum(letter.counts.values()) == len(found)
    for diagnostic in letter.diagnostics:
        rule = RULES[diagnostic.code]
        assert (diagnostic.severity, diagnostic.hint) == (rule.severity, rule.hint)


def test_every_rule_has_a_case() -> None:
    assert all(found for *_, found in CASES)
    assert {code for *_, found in CASES for code, *_ in found} | OF_THE_ARCHIVE == set(RULES)
