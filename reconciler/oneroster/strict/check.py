"""Checks every file of a OneRoster ZIP for strict conformance to the standard."""

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
    """The result of a strict check."""

    #: The OneRoster version checked; None if the archive could not be opened.
    version: str | None
    #: Number of violations by code, unlisted ones included.
    counts: Mapping[str, int]
    #: Refusals of the archive or a file, then the listed violations by file and position.
    diagnostics: tuple[Diagnostic, ...]
    #: There is a refusal or a violation of severity error.
    has_errors: bool


def check_against_standard(path: Path, *, name: str | None = None, most: int | None = MOST_LISTED) -> StrictReport:
    """Check the archive at `path`, shown to people as `name`; list at most `most` violations of a rule (None: all).

    Raises OSError if the file cannot be read.
    """
    findings = Findings(most)
    with path.open("rb") as stream:
        package = open_package(stream, name or path.name, findings)
        version = _check_package(package, findings) if package is not None else None
    counts = dict(sorted(findings.counts.items()))
    return StrictReport(version, counts, findings.build_diagnostics(), findings.has_errors)


def _check_package(package: Package, findings: Findings) -> str:
    stems = package.names.keys() - {MANIFEST}
    # 1.2 has files that 1.1 does not have, above all roles.csv.
    manifest = StrictManifest("1.2" if stems - TABLES["1.1"].keys() else "1.1", {})
    data = _read_member(package, MANIFEST, findings)
    if data is not None or MANIFEST not in package.names:
        manifest = check_manifest(data, stems, manifest.version, findings)
    tables = TABLES[manifest.version]
    for stem in sorted(stems - tables.keys()):
        name = package.names[stem]
        findings.add_finding("strict-unknown-file", f"{name} is not a file of OneRoster {manifest.version}", name)
    present = [stem for stem in tables if stem in stems and manifest.modes.get(stem) != "absent"]
    sheets: dict[str, StrictSheet] = {}
    for stem in present:
        content = _read_member(package, stem, findings)
        if content is None:
            continue
        sheet = read_strict_sheet(tables[stem], content, manifest.modes.get(stem) == "delta", findings)
        if sheet is not None:
            sheets[stem] = sheet
            check_values(sheet, findings)
    check_references(sheets, present, findings)
    for check in (check_semantics, check_gradebook, check_resources):
        check(sheets, findings)
    return manifest.version


def _read_member(package: Package, stem: str, findings: Findings) -> bytes | None:
    """Return a member's bytes, or None if it is missing, damaged, unsafe or too large."""
    if stem not in package.members:
        return None
    try:
        return package.archive.read(package.members[stem], ShapeGuard(f"{stem}.csv").check_chunk)
    except Refusal as refusal:
        findings.add_refusals(refusal.diagnostics)
        return None
