"""Strict rules of files, text, the manifest and headers: each reports its violation alone, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rosters.strict_bundles import with_text
from tests.support.rosters.strict_cases import (
    BOTH,
    MANIFEST,
    NEW,
    StrictCase,
    TextCase,
    check_deviation,
    columns,
    expand_text_cases,
    parametrize_cases,
    raw,
    several,
    text,
)

TEXT_CASES: list[TextCase] = [
    ("a byte order mark", BOTH, ("orgs.csv", "sourcedId", "\ufeffsourcedId"), ("strict-byte-order-mark", 1, 0)),
    (
        "a carriage return alone",
        BOTH,
        ("orgs.csv", "district,,\n", "district,,\r"),
        ("strict-bare-carriage-return", 2, 0),
    ),
    (
        "a quotation mark never closed",
        BOTH,
        ("categories.csv", "Homework", '"Homework'),
        ("strict-unclosed-quote", 2, 0),
    ),
    (
        "a quotation mark never closed in the header",
        BOTH,
        ("demographics.csv", "sourcedId", '"sourcedId'),
        ("strict-unclosed-quote", 1, 0),
    ),
    (
        "a quotation mark inside a value",
        BOTH,
        ("orgs.csv", "Example District", 'Example "big" District'),
        ("strict-stray-quote", 2, 4),
    ),
    ("something after a quotation", BOTH, ("orgs.csv", "First School", '"First" School'), ("strict-stray-quote", 3, 4)),
    (
        "a line break in a value",
        BOTH,
        ("orgs.csv", "Example District", '"Example\nDistrict"'),
        ("strict-line-break-in-value", 2, 4),
    ),
    (
        "another header in the manifest",
        BOTH,
        (MANIFEST, "propertyName,value", "PropertyName,value"),
        ("strict-manifest-header", 1, 0),
    ),
    (
        "a third field in the manifest",
        BOTH,
        (MANIFEST, "manifest.version,1.0", "manifest.version,1.0,"),
        ("strict-manifest-row-width", 2, 3),
    ),
    (
        "a property twice",
        BOTH,
        (MANIFEST, "file.academicSessions", "manifest.version,1.0\nfile.academicSessions"),
        ("strict-manifest-duplicate-property", 4, 1),
    ),
    (
        "a property of nobody",
        BOTH,
        (MANIFEST, "file.academicSessions", "file.pets,bulk\nfile.academicSessions"),
        ("strict-manifest-unknown-property", 4, 1),
    ),
    (
        "a property missing",
        BOTH,
        (MANIFEST, "file.academicSessions,bulk\n", ""),
        ("strict-manifest-missing-property", 0, 0),
    ),
    (
        "another manifest version",
        BOTH,
        (MANIFEST, "manifest.version,1.0", "manifest.version,1"),
        ("strict-manifest-version", 2, 2),
    ),
    (
        "the version of the document for that of the format",
        NEW,
        (MANIFEST, "oneroster.version,1.2", "oneroster.version,1.2.1"),
        ("strict-oneroster-version", 3, 2),
    ),
    (
        "a mode in another case",
        BOTH,
        (MANIFEST, "file.academicSessions,bulk", "file.academicSessions,Bulk"),
        ("strict-manifest-file-mode", 4, 2),
    ),
    (
        "a column name in another case",
        BOTH,
        ("demographics.csv", "sourcedId", "sourcedID"),
        ("strict-header-spelling", 1, 1),
    ),
    ("a row too long", BOTH, ("orgs.csv", "district,,", "district,,,"), ("strict-row-width", 2, 8)),
    ("a row too short", BOTH, ("orgs.csv", "district,,", "district"), ("strict-row-width", 2, 6)),
    ("a blank line", BOTH, ("orgs.csv", "district,,\n", "district,,\n\n"), ("strict-row-width", 3, 2)),
]

CASES = [
    *expand_text_cases(TEXT_CASES),
    StrictCase(
        "no manifest", BOTH, lambda made: made.without_manifest(), [("strict-missing-manifest", MANIFEST, 0, 0)]
    ),
    StrictCase("a file of nobody", BOTH, raw("notes.txt", b"x"), [("strict-unknown-file", "notes.txt", 0, 0)]),
    StrictCase(
        "a file of 1.2 in 1.1",
        ("1.1",),
        raw("userProfiles.csv", b"sourcedId\n"),
        [("strict-unknown-file", "userProfiles.csv", 0, 0)],
    ),
    StrictCase(
        "a file name in another case",
        BOTH,
        lambda made: made.without_file("orgs.csv").raw("Orgs.CSV", made.files()["orgs.csv"]).declaring(orgs="bulk"),
        [("strict-file-name-case", "Orgs.CSV", 0, 0)],
    ),
    StrictCase(
        "a byte that is not UTF-8",
        BOTH,
        lambda made: made.raw("orgs.csv", made.files()["orgs.csv"].replace(b"First", b"F\xefrst")),
        [("strict-not-utf-8", "orgs.csv", 3, 0)],
    ),
    StrictCase(
        "UTF-16",
        BOTH,
        lambda made: made.raw("demographics.csv", made.text("demographics").encode("utf-16")),
        [("strict-not-utf-8", "demographics.csv", 0, 0)],
    ),
    StrictCase(
        "a manifest longer than any is",
        BOTH,
        raw(MANIFEST, b"propertyName,value\n" + b"x,y\n" * 20_000),
        [("strict-unreadable-csv", MANIFEST, 0, 0)],
    ),
    StrictCase("an empty manifest", BOTH, raw(MANIFEST, b""), [("strict-manifest-missing-header", MANIFEST, 1, 0)]),
    StrictCase(
        "a declared file missing",
        BOTH,
        lambda made: made.without_file("demographics.csv").declaring(demographics="bulk"),
        [("strict-manifest-file-missing", MANIFEST, 10, 2)],
    ),
    StrictCase(
        "an absent file there",
        BOTH,
        lambda made: made.declaring(demographics="absent"),
        [("strict-manifest-file-unexpected", MANIFEST, 10, 2)],
    ),
    StrictCase(
        "a file of no bytes", BOTH, raw("demographics.csv", b""), [("strict-missing-header", "demographics.csv", 1, 0)]
    ),
    StrictCase(
        "a column without a name",
        BOTH,
        several(
            text("categories.csv", "title", "title,"),
            lambda made: with_text(made, "categories.csv", "Homework", "Homework,"),
        ),
        [("strict-empty-header-name", "categories.csv", 1, 5)],
    ),
    StrictCase(
        "a column twice",
        BOTH,
        several(text("categories.csv", "title", "title,title"), text("categories.csv", "Homework", "Homework,x")),
        [("strict-duplicate-header", "categories.csv", 1, 5)],
    ),
    StrictCase(
        "columns out of order",
        BOTH,
        columns("orgs", "sourcedId status dateLastModified type name identifier parentSourcedId"),
        [("strict-header-order", "orgs.csv", 1, 4)],
    ),
    StrictCase(
        "the last column first",
        BOTH,
        columns("orgs", "parentSourcedId sourcedId status dateLastModified name type identifier"),
        [("strict-header-order", "orgs.csv", 1, 1)],
    ),
    StrictCase(
        "a column missing",
        BOTH,
        columns("orgs", "sourcedId status dateLastModified name type parentSourcedId"),
        [("strict-missing-column", "orgs.csv", 1, 6)],
    ),
    StrictCase(
        "metadata before the standard's columns",
        BOTH,
        several(
            text("demographics.csv", "birthDate", "metadata.x,birthDate"),
            text("demographics.csv", "2015-02-28", "y,2015-02-28"),
        ),
        [("strict-metadata-column-position", "demographics.csv", 1, 4)],
    ),
    StrictCase(
        "a column of one's own",
        BOTH,
        several(
            text("orgs.csv", "parentSourcedId", "parentSourcedId,ext_x"),
            text("orgs.csv", "district,,", "district,,,"),
            text("orgs.csv", "school,,d", "school,,d,"),
        ),
        [("strict-invalid-metadata-header", "orgs.csv", 1, 8)],
    ),
    StrictCase(
        "metadata without a name",
        BOTH,
        several(
            text("orgs.csv", "parentSourcedId", "parentSourcedId,metadata."),
            text("orgs.csv", "district,,", "district,,,"),
            text("orgs.csv", "school,,d", "school,,d,"),
        ),
        [("strict-invalid-metadata-header", "orgs.csv", 1, 8)],
    ),
    StrictCase(
        "a header without rows",
        BOTH,
        lambda made: made.with_rows("demographics", ()),
        [("strict-missing-data-rows", "demographics.csv", 1, 0)],
    ),
]


@pytest.mark.parametrize(("version", "case"), parametrize_cases(CASES))
def test_deviation_of_a_file_is_reported_alone_at_its_place(version: str, case: StrictCase, tmp_path: Path) -> None:
    check_deviation(version, case, tmp_path)
