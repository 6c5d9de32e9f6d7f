"""Reads manifest.csv: the OneRoster version of a ZIP and the mode of each file (bulk, delta or absent)."""

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_info, build_warning
from reconciler.oneroster.csv_file.text import check_text
from reconciler.oneroster.standard.tables import IN_USE, KIND_OF, MANIFEST_VERSIONS, MODES, STANDARDS, Standard

FILE = "manifest.csv"
MOST_LENGTH = 64 * 1024


@dataclass(frozen=True, slots=True)
class BundleManifest:
    """The version and file modes of a OneRoster ZIP."""

    standard: Standard
    #: Stems of files that are in the archive but declared absent; they are not used.
    absent: frozenset[str]
    #: Errors that refuse the archive.
    problems: tuple[Diagnostic, ...]
    #: Warnings and infos.
    diagnostics: tuple[Diagnostic, ...]
    #: Stems of roster files with changes only; if there are any, also of roster files that are missing.
    delta: frozenset[str] = frozenset()
    #: source.systemCode; None if not given.
    system: str | None = None


def read_manifest(data: bytes | None, present: Collection[str], fallback_version: str) -> BundleManifest:
    """Read a manifest; None stands for a missing one.

    `present` has the stems of the archive's CSV files. The fallback version, inferred from the columns, applies if the
    manifest gives none. Raises Refusal if the manifest is unreadable or its version unknown.
    """
    if data is None:
        return BundleManifest(
            STANDARDS[fallback_version],
            frozenset(),
            (),
            (
                build_warning(
                    "no-manifest",
                    f"{FILE} is missing; every file is read as full (bulk), "
                    f"OneRoster {fallback_version} by its columns",
                    Span(FILE),
                    "Add the manifest to the export.",
                ),
            ),
        )
    data, text_diagnostics = check_text(FILE, data)
    properties, lines = _parse_properties(data)
    standard = _resolve_standard(properties, lines, fallback_version)
    modes, blank, problems = _parse_modes(properties, lines, standard)
    delta = _find_delta_files(modes, present, standard)
    problems += _check_declared_files(modes, lines, present, standard, bool(delta))
    unused = frozenset(name for name, mode in modes.items() if mode == "absent" and name in present)
    used = standard.tables.keys() & present
    diagnostics = [
        *text_diagnostics,
        *_check_properties(properties, lines, fallback_version),
        *_warn_blank_modes(blank, lines),
        *_check_undeclared_files(modes, lines, used, delta),
    ]
    system = properties.get("source.systemcode") or None
    return BundleManifest(standard, unused, tuple(problems), tuple(diagnostics), delta, system)


def _parse_properties(data: bytes) -> tuple[dict[str, str], dict[str, int]]:
    """Return values and line numbers by lowercase property name. Raises Refusal."""
    if len(data) > MOST_LENGTH:
        raise Refusal([_make_invalid_error("the file is too long for a manifest", 0)])
    try:
        text = data.decode("utf-8")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as problem:
        raise Refusal([_make_invalid_error("the file is not valid CSV", 0)]) from problem
    if not rows or [cell.lower() for cell in rows[0][1][:2]] != ["propertyname", "value"]:
        raise Refusal([_make_invalid_error("the header must be propertyName,value", 1)])
    properties: dict[str, str] = {}
    lines: dict[str, int] = {}
    problems = []
    for line, row in rows[1:]:
        name, value = row[0].lower(), row[1] if len(row) > 1 else ""
        if name in properties and properties[name] != value:
            problems.append(_make_invalid_error(f"{_format_value(row[0])} has several different values", line))
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
                    f"OneRoster version {_format_value(version)} is not supported",
                    Span(FILE, lines["oneroster.version"]),
                    f"Export the roster as version {' or '.join(STANDARDS)}.",
                )
            ]
        )
    return STANDARDS[version]


def _parse_modes(
    properties: Mapping[str, str], lines: Mapping[str, int], standard: Standard
) -> tuple[dict[str, str], list[str], list[Diagnostic]]:
    """Return the mode of each file stem, the stems with a blank mode, and errors for invalid modes.

    A blank mode counts as absent if no roster depends on the file; one that does must be declared.
    """
    stems = {name.lower(): name for every in STANDARDS.values() for name in every.tables}
    modes: dict[str, str] = {}
    blank: list[str] = []
    problems: list[Diagnostic] = []
    for name, value in properties.items():
        if not name.startswith("file."):
            continue
        stem = stems.get(name.removeprefix("file."), name.removeprefix("file."))
        if value.lower() in MODES:
            modes[stem] = value.lower()
        elif not value and _is_dispensable(stem, standard):
            modes[stem] = "absent"
            blank.append(stem)
        else:
            problems.append(
                _make_invalid_error(
                    f"{name} must be one of {', '.join(MODES)} (got {_format_value(value) or 'nothing'})", lines[name]
                )
            )
    return modes, blank, problems


def _is_dispensable(stem: str, standard: Standard) -> bool:
    """Return whether no sync depends on the rows of a file: it holds no people, classes, schools or terms."""
    return stem not in standard.tables or (stem not in KIND_OF and stem != "academicSessions")


def _warn_blank_modes(blank: Collection[str], lines: Mapping[str, int]) -> Iterator[Diagnostic]:
    for stem in blank:
        yield build_warning(
            "blank-mode",
            f"file.{stem} has no mode; it is read as absent",
            Span(FILE, lines[f"file.{stem.lower()}"]),
            f"Write one of {', '.join(MODES)}.",
        )


def _find_delta_files(modes: Mapping[str, str], present: Collection[str], standard: Standard) -> frozenset[str]:
    # Once one roster file is a delta, a file that is missing or not declared bulk must not remove anything.
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
    """Check files that are declared bulk but missing, or declared absent but required.

    A missing required file is reported here only for a delta; `bundle` reports it otherwise."""
    required = () if has_delta else standard.required
    needed = ", ".join(f"{name}.csv" for name in standard.required)
    for name, mode in modes.items():
        where = Span(FILE, lines[f"file.{name.lower()}"])
        if mode == "bulk" and name not in present and name not in required:
            message = f"{name}.csv is declared as bulk but is not in the archive"
            yield build_error("missing-file", message, where, "Export the roster again; this export is incomplete.")
        elif mode == "absent" and name in present and name in required:
            message = f"{name}.csv is declared as absent, but it is required"
            yield build_error("missing-file", message, where, f"Declare {needed} as bulk.")


def _check_properties(
    properties: Mapping[str, str], lines: Mapping[str, int], fallback_version: str
) -> Iterator[Diagnostic]:
    version = properties.get("manifest.version", "")
    if version not in MANIFEST_VERSIONS:
        yield build_warning(
            "manifest-version",
            f"manifest.version is {_format_value(version) or 'not given'}; it is read as {MANIFEST_VERSIONS[0]}",
            Span(FILE, lines.get("manifest.version", 0)),
        )
    if not properties.get("oneroster.version"):
        yield build_warning(
            "manifest-version",
            f"oneroster.version is not given; the columns match {fallback_version}",
            Span(FILE),
        )
    known = ("manifest.version", "oneroster.version", "source.systemname", "source.systemcode")
    unknown = [name for name in properties if name not in known and not name.startswith("file.")]
    if unknown:
        listed = ", ".join(_format_value(name) for name in unknown[:10])
        yield build_info(
            "unknown-property", f"unknown properties are not read: {listed}", Span(FILE, lines[unknown[0]])
        )


def _check_undeclared_files(
    modes: Mapping[str, str], lines: Mapping[str, int], present: Collection[str], delta: Collection[str]
) -> Iterator[Diagnostic]:
    """Warn of harmless differences between the declared files and the archive."""
    for name in sorted(present):
        if modes.get(name) == "absent":
            line = lines[f"file.{name.lower()}"]
            yield build_warning(
                "undeclared-file", f"{name}.csv is declared as absent and is not used", Span(FILE, line)
            )
        elif name not in modes:
            mode = "delta, like other files" if name in delta else "bulk"
            yield build_warning("undeclared-file", f"{name}.csv is not declared; it is read as {mode}", Span(FILE))
    for name in sorted(modes.keys() - present):
        if modes[name] == "delta":
            yield build_warning(
                "declared-file-missing",
                f"{name}.csv is declared as delta but is not in the archive; its changes are unknown",
                Span(FILE, lines[f"file.{name.lower()}"]),
                "Declare it as absent if nothing changed. Otherwise export it again.",
            )


def _make_invalid_error(what: str, line: int) -> Diagnostic:
    return build_error("invalid-manifest", f"{FILE}: {what}", Span(FILE, line), "Export the manifest again.")


def _format_value(value: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in value[:40])
