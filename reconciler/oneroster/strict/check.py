"""A bundle against the letter of the standard: everything that deviates, in every file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.diagnostic import Diagnostic, Refusal
from reconciler.oneroster.archive.shape import ShapeGuard
from reconciler.oneroster.standard.tables import MANIFEST
from reconciler.oneroster.strict.findings import MOST_LISTED, Findings
from reconciler.oneroster.strict.gradebook import check_gradebook, check_resources
from reconciler.oneroster.strict.manifest import StrictManifest, check_manifest
from reconciler.oneroster.strict.package import Package, open_package
from reconciler.oneroster.strict.references import check_references
from reconciler.oneroster.strict.semantics import check_semantics
from reconciler.oneroster.strict.sheet import StrictSheet, read_strict_sheet
from reconciler.oneroster.strict.tables import TABLES
from reconciler.oneroster.strict.values import check_values


@dataclass(frozen=True, slots=True)
class StrictReport:
    """version: of OneRoster that the bundle was held against, None where it could not be opened. counts: deviations
    by code, all of them. diagnostics: refusals of the archive or a file, then the deviations that are listed, by file
    and place. has_errors: a refusal, or a deviation that is an error."""

    version: str | None
    counts: Mapping[str, int]
    diagnostics: tuple[Diagnostic, ...]
    has_errors: bool


def check_against_standard(path: Path, *, name: str | None = None, most: int | None = MOST_LISTED) -> StrictReport:
    """Holds the archive at `path` against the standard. name: what people know it as. most: deviations of one rule to
    be listed, all of them with None.

    Raises OSError where the file cannot be read.
    """
    findings = Findings(most)
    with path.open("rb") as stream:
        package = open_package(stream, name or path.name, findings)
        version = _check_package(package, findings) if package is not None else None
    counts = dict(sorted(findings.counts.items()))
    return StrictReport(version, counts, findings.build_diagnostics(), findings.has_errors)


def _check_package(package: Package, findings: Findings) -> str:
    stems = package.names.keys() - {MANIFEST}
    # 1.2 has files that 1.1 does not have, roles.csv first of all.
    declared = StrictManifest("1.2" if stems - TABLES["1.1"].keys() else "1.1", {})
    data = _read_member(package, MANIFEST, findings)
    if data is not None or MANIFEST not in package.names:
        declared = check_manifest(data, stems, declared.version, findings)
    tables = TABLES[declared.version]
    for stem in sorted(stems - tables.keys()):
        written = package.names[stem]
        findings.add_finding("strict-unknown-file", f"{written} is no file of OneRoster {declared.version}", written)
    there = [stem for stem in tables if stem in stems and declared.modes.get(stem) != "absent"]
    sheets: dict[str, StrictSheet] = {}
    for stem in there:
        content = _read_member(package, stem, findings)
        if content is None:
            continue
        sheet = read_strict_sheet(tables[stem], content, declared.modes.get(stem) == "delta", findings)
        if sheet is not None:
            sheets[stem] = sheet
            check_values(sheet, findings)
    check_references(sheets, there, findings)
    for check in (check_semantics, check_gradebook, check_resources):
        check(sheets, findings)
    return declared.version


def _read_member(package: Package, stem: str, findings: Findings) -> bytes | None:
    """None where it is not there, damaged, unsafe or too large; the other files are still checked."""
    if stem not in package.members:
        return None
    try:
        return package.archive.read(package.members[stem], ShapeGuard(f"{stem}.csv").check_chunk)
    except Refusal as refusal:
        findings.add_refusals(refusal.diagnostics)
        return None
