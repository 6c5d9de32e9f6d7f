"""manifest.csv: which version of OneRoster a bundle is, and which of its files are whole, which only changes."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_info, build_warning
from reconciler.oneroster.csv_file.text import check_text
from reconciler.oneroster.standard.tables import IN_USE, MANIFEST_VERSIONS, MODES, STANDARDS, Standard

FILE = "manifest.csv"
MOST_LENGTH = 64 * 1024


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """standard: of the version that the bundle has. absent: files (stems) that are in the archive but declared as
    not being there: they are not used. problems: errors, for which the bundle has to be refused.

    delta: stems of roster files that say only what changed, and, where there is any, of those that did not come along
    and so say nothing. system: source.systemCode.
    """

    standard: Standard
    absent: frozenset[str]
    problems: tuple[Diagnostic, ...]
    diagnostics: tuple[Diagnostic, ...]
    delta: frozenset[str] = frozenset()
    system: str | None = None


def read_manifest(data: bytes | None, present: Collection[str], fallback_version: str) -> BundleManifest:
    """data: the manifest's bytes, None where there is none. present: stems of the CSV files in the archive.
    looks_like: the version that the files themselves look like, for a manifest that does not say.

    Raises Refusal where the manifest cannot be read or its version is not known.
    """
    if data is None:
        return BundleManifest(
            STANDARDS[fallback_version],
            frozenset(),
            (),
            (
                build_warning(
                    "no-manifest",
                    f"there is no {FILE}: every file counts as whole (bulk), of OneRoster "
                    f"{fallback_version} by its columns",
                    Span(FILE),
                    "add the manifest to the export",
                ),
            ),
        )
    data, remarks = check_text(FILE, data)
    properties, lines = _parse_properties(data)
    standard = _resolve_standard(properties, lines, fallback_version)
    modes, problems = _parse_modes(properties, lines)
    delta = _find_delta_files(modes, present, standard)
    problems += _check_declared_files(modes, lines, present, standard, bool(delta))
    unused = frozenset(name for name, mode in modes.items() if mode == "absent" and name in present)
    there = standard.tables.keys() & present
    notes = [
        *remarks,
        *_check_properties(properties, lines, fallback_version),
        *_check_undeclared_files(modes, lines, there, delta),
    ]
    system = properties.get("source.systemcode") or None
    return BundleManifest(standard, unused, tuple(problems), tuple(notes), delta, system)


def _parse_properties(data: bytes) -> tuple[dict[str, str], dict[str, int]]:
    """Values and lines by property name in lower case."""
    if len(data) > MOST_LENGTH:
        raise Refusal([_make_invalid_error("it is longer than any manifest is", 0)])
    try:
        text = data.decode("utf-8")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as problem:
        raise Refusal([_make_invalid_error("it cannot be read as CSV", 0)]) from problem
    if not rows or [cell.lower() for cell in rows[0][1][:2]] != ["propertyname", "value"]:
        raise Refusal([_make_invalid_error("its header must be propertyName,value", 1)])
    properties: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems = []
    for line, row in rows[1:]:
        name, value = row[0].lower(), row[1] if len(row) > 1 else ""
        if name in properties and properties[name] != value:
            problems.append(
                _make_invalid_error(f"{_format_value(row[0])} stands in it twice with different values", line)
            )
        properties[name], lines[name] = value, line
    if problems:
        raise Refusal(problems)
    return properties, lines


def _resolve_standard(properties: Mapping[str, str], lines: Mapping[str, int], fallback_version: str) -> Standard:
    version = properties.get("oneroster.version") or fallback_version
    if version not in STANDARDS:
        raise Refusal(
            [
                build_error(
                    "unknown-version",
                    f"OneRoster version {_format_value(version)} is not known",
                    Span(FILE, lines["oneroster.version"]),
                    f"export the roster as one of {', '.join(STANDARDS)}",
                )
            ]
        )
    return STANDARDS[version]


def _parse_modes(properties: Mapping[str, str], lines: Mapping[str, int]) -> tuple[dict[str, str], list[Diagnostic]]:
    """Mode by file stem, and what is wrong with them."""
    stems = {name.lower(): name for every in STANDARDS.values() for name in every.tables}
    modes: dict[str, str] = {}
    problems: list[Diagnostic] = []
    for name, value in properties.items():
        if not name.startswith("file."):
            continue
        stem = stems.get(name.removeprefix("file."), name.removeprefix("file."))
        if value.lower() in MODES:
            modes[stem] = value.lower()
        else:
            problems.append(
                _make_invalid_error(
                    f"{name} must be one of {', '.join(MODES)} (got {_format_value(value) or 'nothing'})", lines[name]
                )
            )
    return modes, problems


def _find_delta_files(modes: Mapping[str, str], present: Collection[str], standard: Standard) -> frozenset[str]:
    """Where one roster file holds changes, one that is not there, or that nobody calls whole, takes nothing away."""
    used = IN_USE.keys() & standard.tables.keys()
    if not any(modes.get(stem) == "delta" for stem in used):
        return frozenset()
    return frozenset(stem for stem in used if modes.get(stem) != "bulk" or stem not in present)


def _check_declared_files(
    modes: Mapping[str, str],
    lines: Mapping[str, int],
    present: Collection[str],
    standard: Standard,
    has_delta: bool,
) -> Iterator[Diagnostic]:
    """Between what is declared and what is there; a required file that is not there at all is told here only in a
    bundle of changes, where it may be missing if it is not declared as whole."""
    required = () if has_delta else standard.required
    needed = ", ".join(f"{name}.csv" for name in standard.required)
    for name, mode in modes.items():
        where = Span(FILE, lines[f"file.{name.lower()}"])
        if mode == "bulk" and name not in present and name not in required:
            message = f"{name}.csv is declared as bulk but is not in the archive"
            yield build_error("missing-file", message, where, "the export is incomplete; export it again")
        elif mode == "absent" and name in present and name in required:
            message = f"{name}.csv is declared as absent, but a roster needs it"
            yield build_error("missing-file", message, where, f"declare {needed} as bulk")


def _check_properties(
    properties: Mapping[str, str], lines: Mapping[str, int], fallback_version: str
) -> Iterator[Diagnostic]:
    version = properties.get("manifest.version", "")
    if version not in MANIFEST_VERSIONS:
        yield build_warning(
            "manifest-version",
            f"manifest.version is {_format_value(version) or 'not given'}, read as {MANIFEST_VERSIONS[0]}",
            Span(FILE, lines.get("manifest.version", 0)),
        )
    if not properties.get("oneroster.version"):
        yield build_warning(
            "manifest-version",
            f"oneroster.version is not given; the columns are those of {fallback_version}",
            Span(FILE),
        )
    known = ("manifest.version", "oneroster.version", "source.systemname", "source.systemcode")
    unknown = [name for name in properties if name not in known and not name.startswith("file.")]
    if unknown:
        listed = ", ".join(_format_value(name) for name in unknown[:10])
        yield build_info("unknown-property", f"properties not read: {listed}", Span(FILE, lines[unknown[0]]))


def _check_undeclared_files(
    modes: Mapping[str, str], lines: Mapping[str, int], present: Collection[str], delta: Collection[str]
) -> Iterator[Diagnostic]:
    """Files of which the manifest says something else than what is there, and nothing wrong comes of it."""
    for name in sorted(present):
        if modes.get(name) == "absent":
            line = lines[f"file.{name.lower()}"]
            yield build_warning(
                "undeclared-file", f"{name}.csv is declared as absent and is not used", Span(FILE, line)
            )
        elif name not in modes:
            mode = "delta, as other files" if name in delta else "bulk"
            yield build_warning("undeclared-file", f"{name}.csv is not declared; it counts as {mode}", Span(FILE))
    for name in sorted(modes.keys() - present):
        if modes[name] == "delta":
            yield build_warning(
                "declared-file-missing",
                f"{name}.csv is declared as delta but is not in the archive: no change of it is known",
                Span(FILE, lines[f"file.{name.lower()}"]),
                "declare it as absent if nothing changed; else export it again",
            )


def _make_invalid_error(what: str, line: int) -> Diagnostic:
    return build_error("invalid-manifest", f"{FILE}: {what}", Span(FILE, line), "export the manifest again")


def _format_value(value: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in value[:40])
