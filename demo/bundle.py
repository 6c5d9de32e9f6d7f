"""OneRoster 1.1 bundles: rows in, a ZIP out; the same rows always give the same bytes.

Says the standard's columns for itself and not by what `reconciler` reads, so that one can be wrong alone.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

Row = Mapping[str, str]

#: The files that we write, with the columns of OneRoster 1.1 in the standard's order.
COLUMNS: dict[str, tuple[str, ...]] = {
    file: ("sourcedId", "status", "dateLastModified", *columns.split())
    for file, columns in {
        "academicSessions": "title type startDate endDate parentSourcedId schoolYear",
        "classes": (
            "title grades courseSourcedId classCode classType location schoolSourcedId termSourcedIds subjects "
            "subjectCodes periods"
        ),
        "courses": "schoolYearSourcedId title courseCode grades orgSourcedId subjects subjectCodes",
        "enrollments": "classSourcedId schoolSourcedId userSourcedId role primary beginDate endDate",
        "orgs": "name type identifier parentSourcedId",
        "users": (
            "enabledUser orgSourcedIds role username userIds givenName familyName middleName identifier email sms "
            "phone agentSourcedIds grades password"
        ),
    }.items()
}

#: Every data file that a manifest of 1.1 speaks of, in the standard's order.
MANIFEST_FILES = (
    "academicSessions",
    "categories",
    "classes",
    "classResources",
    "courses",
    "courseResources",
    "demographics",
    "enrollments",
    "lineItems",
    "orgs",
    "resources",
    "results",
    "users",
)

# ZIP knows no time before 1980; any fixed one will do.
A_FIXED_TIME = (2026, 8, 24, 0, 0, 0)


def render_table(file: str, rows: Iterable[Row]) -> bytes:
    """One data file. A column that a row does not name stays blank, as bulk wants status and dateLastModified."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS[file], restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def render_manifest(files: Iterable[str]) -> bytes:
    """manifest.csv of a bulk bundle that holds just these files."""
    here = frozenset(files)
    lines = ["propertyName,value", "manifest.version,1.0", "oneroster.version,1.1"]
    lines += [f"file.{file},{'bulk' if file in here else 'absent'}" for file in MANIFEST_FILES]
    lines += ["source.systemName,Made-up School System", "source.systemCode,demo"]
    return "".join(f"{line}\r\n" for line in lines).encode()


def write_bundle(
    path: Path,
    tables: Mapping[str, bytes],
    *,
    level: int = 6,
    manifest: bytes | None = None,
    timestamp: tuple[int, int, int, int, int, int] = A_FIXED_TIME,
) -> None:
    """Writes the tables, by file name without `.csv`, and their manifest. An older file at `path` is replaced.

    declared: a manifest other than that of a bulk bundle. at: when its system made it.
    """
    members = {"manifest": manifest or render_manifest(tables), **tables}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(f"{name}.csv", timestamp)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # else the platform's own, and other bytes elsewhere
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, compresslevel=level)
