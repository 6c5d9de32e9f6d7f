"""Checks manifest.csv: its form, its properties, and the declared files against the archive."""

import csv
import io
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reconciler.oneroster.archive.manifest import MOST_LENGTH
from reconciler.oneroster.standard.tables import MANIFEST_VERSIONS, MODES
from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.lines import clean_text
from reconciler.oneroster.strict.tables import TABLES

FILE = "manifest.csv"
HEADER = ["propertyName", "value"]
VERSIONS = ("manifest.version", "oneroster.version")
OPTIONAL = ("source.systemName", "source.systemCode")


@dataclass(frozen=True, slots=True)
class Property:
    """A property as written."""

    name: str
    value: str
    #: The physical line.
    line: int


@dataclass(frozen=True, slots=True)
class StrictManifest:
    """The version and file modes of an archive."""

    #: A key of TABLES.
    version: str
    #: `absent`, `bulk` or `delta` by stem, for declared files.
    modes: Mapping[str, str]


def check_manifest(
    data: bytes | None, present: Collection[str], fallback_version: str, findings: Findings
) -> StrictManifest:
    """Check a manifest; None stands for a missing one.

    `present` has the stems of the files; the fallback version applies if the manifest gives no valid one."""
    if data is None:
        findings.add_finding("strict-missing-manifest", "the archive has no manifest.csv", FILE)
        return StrictManifest(fallback_version, {})
    properties = _parse_properties(data, findings)
    if properties is None:
        return StrictManifest(fallback_version, {})
    version = _resolve_version(properties, fallback_version, findings)
    known = {name.lower(): name for name in (*VERSIONS, *OPTIONAL, *(f"file.{stem}" for stem in TABLES[version]))}
    for each in properties.values():
        if each.name not in known.values():
            message = f"{_format_property(each.name, known)} is not a property of a OneRoster {version} manifest"
            findings.add_finding("strict-manifest-unknown-property", message, FILE, each.line, 1)
    for name in known.values():
        if name not in OPTIONAL and name not in properties:
            findings.add_finding("strict-manifest-missing-property", f"{name} is missing", FILE)
    modes = _parse_modes(version, properties, findings)
    _compare_files(modes, properties, present, findings)
    return StrictManifest(version, modes)


def _parse_properties(data: bytes, findings: Findings) -> dict[str, Property] | None:
    """Return the first property of each name as written, or None if the file is unreadable."""
    if len(data) > MOST_LENGTH:
        findings.add_finding("strict-unreadable-csv", "the file is too long for a manifest", FILE)
        return None
    text = clean_text(FILE, data, findings)
    if text is None:
        return None
    rows = _parse_rows(text, findings)
    if not rows:
        findings.add_finding("strict-manifest-missing-header", "the file has no header row", FILE, 1)
        return None
    line, header = rows[0]
    if header != HEADER:
        findings.add_finding("strict-manifest-header", "the header must be propertyName,value", FILE, line)
    properties: dict[str, Property] = {}
    for line, row in rows if _is_property(header) else rows[1:]:
        if len(row) != len(HEADER):
            message = f"the row has {len(row)} fields instead of {len(HEADER)}"
            findings.add_finding("strict-manifest-row-width", message, FILE, line, min(len(row), len(HEADER)) + 1)
        name = row[0] if row else ""
        if name in properties:
            message = f"the property of line {properties[name].line} is repeated"
            findings.add_finding("strict-manifest-duplicate-property", message, FILE, line, 1)
        elif name:
            properties[name] = Property(name, row[1] if len(row) > 1 else "", line)
    return properties


def _parse_rows(text: bytes, findings: Findings) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text.decode("utf-8"), newline=""), strict=True)
    rows: list[tuple[int, list[str]]] = []
    line = 0
    try:
        for row in reader:
            if any("\n" in cell for cell in row):
                message = "a value continues on the next line"
                findings.add_finding("strict-line-break-in-value", message, FILE, line + 1)
            rows.append((line + 1, row))
            line = reader.line_num
    except csv.Error:
        message = "a quotation mark is in the middle of a value, or is not closed"
        findings.add_finding("strict-stray-quote", message, FILE, line + 1)
    return rows


def _is_property(row: list[str]) -> bool:
    return bool(row) and row[0].lower().startswith(("manifest.", "oneroster.", "file."))


def _resolve_version(properties: Mapping[str, Property], fallback_version: str, findings: Findings) -> str:
    manifest = properties.get("manifest.version")
    if manifest is not None and manifest.value not in MANIFEST_VERSIONS:
        findings.add_finding("strict-manifest-version", "manifest.version is not 1.0", FILE, manifest.line, 2)
    version = properties.get("oneroster.version")
    if version is None:
        return fallback_version
    if version.value not in TABLES:
        message = f"oneroster.version is not {' or '.join(TABLES)}; it is read as {fallback_version}"
        findings.add_finding("strict-oneroster-version", message, FILE, version.line, 2)
        return fallback_version
    return version.value


def _parse_modes(version: str, properties: Mapping[str, Property], findings: Findings) -> dict[str, str]:
    """Parse the modes; names and modes in another case count, because they are already reported."""
    stems = {f"file.{stem}".lower(): stem for stem in TABLES[version]}
    modes: dict[str, str] = {}
    for each in properties.values():
        stem = stems.get(each.name.lower())
        if stem is None:
            continue
        if each.value not in MODES:
            message = f"the mode of {stem}.csv is not one of {', '.join(MODES)}"
            findings.add_finding("strict-manifest-file-mode", message, FILE, each.line, 2)
        mode = each.value.strip().lower()
        if mode in MODES and (stem not in modes or each.name == f"file.{stem}"):
            modes[stem] = mode
    return modes


def _compare_files(
    modes: Mapping[str, str], properties: Mapping[str, Property], present: Collection[str], findings: Findings
) -> None:
    lines = {each.name.lower(): each.line for each in properties.values()}
    for stem, mode in modes.items():
        line = lines[f"file.{stem}".lower()]
        if mode == "absent" and stem in present:
            message = f"{stem}.csv is declared as absent, but is in the archive"
            findings.add_finding("strict-manifest-file-unexpected", message, FILE, line, 2)
        elif mode != "absent" and stem not in present:
            message = f"{stem}.csv is declared as {mode}, but is not in the archive"
            findings.add_finding("strict-manifest-file-missing", message, FILE, line, 2)


def _format_property(name: str, known: Mapping[str, str]) -> str:
    # Only names that must be properties are repeated: the file may be another one, with people's names.
    if name.lower() in known:
        return f"{name} (spelled {known[name.lower()]})"
    return name if name.isascii() and name.isprintable() and _is_property([name]) and len(name) <= 40 else "this"
