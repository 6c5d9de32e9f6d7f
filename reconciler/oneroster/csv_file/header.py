"""Reads the header row of a CSV file: the position of each column of the standard."""

import csv
import difflib
import io
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_info, build_warning
from reconciler.oneroster.standard.tables import Standard, Table

OTHER_DELIMITERS = {";": '";"', "\t": "a tab", "|": '"|"'}
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"
MOST_HEADER_LENGTH = 64 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    """The checked header row of a file."""

    #: Number of fields of each row.
    width: int
    #: Index of each column of the standard, from 0.
    positions: Mapping[str, int]
    #: Warnings and infos.
    diagnostics: tuple[Diagnostic, ...]


def read_header(table: Table, data: bytes, standard: Standard) -> Header:
    """Read the header of a file, given as checked UTF-8. Raises Refusal with every problem of the header."""
    file = table.file
    end = data.find(b"\n", 0, MOST_HEADER_LENGTH)
    line = data[: end if end >= 0 else MOST_HEADER_LENGTH].decode("utf-8", "replace").rstrip("\r\n")
    _check_header_line(file, line)
    written = split_header(line)
    known = {column.name.lower(): column.name for column in table.columns} | dict(table.aliases)
    cleaned = [clean_name(name) for name in written]
    named = [known.get(name.lower(), name) for name in cleaned]
    problems = list(_find_problems(table, named, standard))
    if problems:
        raise Refusal(problems)
    positions = {name: place for place, name in enumerate(named) if name in known.values() and name}
    return Header(len(named), positions, tuple(_find_deviations(table, written, named)))


def _check_header_line(file: str, line: str) -> None:
    where = Span(file, 1)
    if any(unicodedata.category(character) == "Cc" and character != "\t" for character in line):
        raise Refusal(
            [
                build_error(
                    "control-character-in-header",
                    "the header row contains NUL or other control characters",
                    where,
                    "Export it as UTF-8 CSV; the file is probably UTF-16 or not text.",
                )
            ]
        )
    if line.count('"') % 2:
        raise Refusal(
            [
                build_error(
                    "unbalanced-quote", "a quotation mark in the header row is not closed", where, "Export it again."
                )
            ]
        )
    delimiter, count = max(((mark, line.count(mark)) for mark in OTHER_DELIMITERS), key=lambda pair: pair[1])
    if count > line.count(","):
        raise Refusal(
            [
                build_error(
                    "wrong-delimiter",
                    f"the columns must be separated by commas, not {OTHER_DELIMITERS[delimiter]}",
                    where,
                    "Export the file again as comma-separated CSV.",
                )
            ]
        )


def split_header(line: str) -> list[str]:
    """Return the names of a header row as written. Raises `csv.Error` if it is malformed."""
    return next(csv.reader(io.StringIO(line)), [])


def clean_name(name: str) -> str:
    """Return a column's name without surrounding spaces and invisible characters."""
    return "".join(character for character in name if character not in INVISIBLE).strip()


def _find_problems(table: Table, names: list[str], standard: Standard) -> Iterator[Diagnostic]:
    where = Span(table.file, 1)
    missing = [column.name for column in table.columns if column.must_exist and column.name not in names]
    other = _find_similar_table(table, names, standard) if missing else None
    if other is not None:
        yield build_error(
            "wrong-file-header",
            f"{table.file} has the header of {other.file}",
            where,
            "Check whether two files were swapped, and name each correctly.",
        )
        return
    duplicates = [name for name, count in Counter(name for name in names if name).items() if count > 1]
    if duplicates:
        yield build_error(
            "duplicate-header", f"duplicate columns: {_format_names(duplicates)}", where, "Keep one of each."
        )
    if missing:
        yield build_error(
            "missing-column",
            f"missing columns: {_format_names(missing)}",
            where,
            _build_missing_hint(table, names, standard),
        )
    absent = [column.name for column in table.columns_in_use if not column.must_exist and column.name not in names]
    unknown = [name for name in _find_unknown_columns(table, names) if not _is_extension(name)]
    for name in absent:
        near = difflib.get_close_matches(name.lower(), [other_name.lower() for other_name in unknown], 1, 0.8)
        if near:
            yield build_error(
                "renamed-column",
                f"column {name} is missing, and {_format_names(near)} is not in the standard",
                where,
                f"Rename it to {name}. Otherwise all its values would count as removed.",
            )


def _find_similar_table(table: Table, names: list[str], standard: Standard) -> Table | None:
    """Return the other file whose required columns are all in this header (the one with most of them), or None."""
    present = frozenset(name.lower() for name in names)
    others = [other for other in standard.tables.values() if other is not table and len(other.distinctive) > 1]
    fitting = [other for other in others if other.distinctive <= present]
    return max(fitting, key=lambda other: len(other.distinctive), default=None)


def _build_missing_hint(table: Table, names: list[str], standard: Standard) -> str:
    if table.name == "users" and standard.version == "1.1" and "sourcedId" in names:
        lacking = {"orgSourcedIds", "role"} - set(names)
        if len(lacking) == 2:
            return "For a OneRoster 1.2 export, add roles.csv and a manifest that gives version 1.2."
        if not lacking and "enabledUser" not in names and {"givenName", "familyName", "username"} <= set(names):
            return (
                "The file looks like OneRoster 1.0, which has no enabledUser. Export the roster as version 1.1 or 1.2."
            )
    unknown = _find_unknown_columns(table, names)
    if unknown:
        return f"Use the column names of the standard; the header also has {_format_names(unknown)}."
    return "Export the file with all columns of the standard."


def _find_unknown_columns(table: Table, names: list[str]) -> list[str]:
    standard_names = {column.name for column in table.columns}
    return [name for name in names if name and name not in standard_names]


def _is_extension(name: str) -> bool:
    return name.lower().startswith(("metadata.", "ext_", "ext."))


def _find_deviations(table: Table, raw_names: list[str], names: list[str]) -> Iterator[Diagnostic]:
    where = Span(table.file, 1)
    respelled = [name for raw, name in zip(raw_names, names, strict=True) if raw != name]
    if respelled:
        yield build_warning(
            "header-spelling", f"column names read with the standard's spelling: {_format_names(respelled)}", where
        )
    order = [column.name for column in table.columns if column.name in names]
    if [name for name in names if name in order] != order:
        yield build_warning("header-order", "the columns are not in the standard's order", where)
    absent = [column.name for column in table.columns_in_use if not column.must_exist and column.name not in names]
    if absent:
        yield build_warning(
            "missing-column",
            f"missing columns, read as empty: {_format_names(absent)}",
            where,
            "Export all columns.",
        )
    if "" in names:
        yield build_warning("empty-header", f"{names.count('')} columns have no name and are not read", where)
    unknown = [name for name in _find_unknown_columns(table, names) if not name.lower().startswith("metadata.")]
    if unknown:
        yield build_info("unknown-column", f"columns not in the standard are not read: {_format_names(unknown)}", where)


def _format_names(names: list[str]) -> str:
    shown = ", ".join(name if len(name) <= 40 else f"{name[:37]}..." for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
