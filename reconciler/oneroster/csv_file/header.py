"""The header row of a CSV file: which position holds which column of the standard."""

from __future__ import annotations

import csv
import difflib
import io
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, error, info, warning
from reconciler.oneroster.standard.tables import Standard, Table

OTHER_DELIMITERS = {";": '";"', "\t": "a tab", "|": '"|"'}
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060"
MOST_HEADER_LENGTH = 64 * 1024


@dataclass(frozen=True, slots=True)
class Header:
    """width: fields that each row must have. positions: the standard's column name -> index from 0."""

    width: int
    positions: Mapping[str, int]
    diagnostics: tuple[Diagnostic, ...]


def read_header(table: Table, data: bytes, standard: Standard) -> Header:
    """data: the file as checked UTF-8. Raises Refusal with everything that is wrong with the header."""
    file = table.file
    end = data.find(b"\n", 0, MOST_HEADER_LENGTH)
    line = data[: end if end >= 0 else MOST_HEADER_LENGTH].decode("utf-8", "replace").rstrip("\r\n")
    _check_line(file, line)
    written = next(csv.reader(io.StringIO(line)), [])
    known = {column.name.lower(): column.name for column in table.columns} | dict(table.aliases)
    cleaned = [_clean(name) for name in written]
    named = [known.get(name.lower(), name) for name in cleaned]
    problems = list(_problems(table, named, standard))
    if problems:
        raise Refusal(problems)
    positions = {name: place for place, name in enumerate(named) if name in known.values() and name}
    return Header(len(named), positions, tuple(_remarks(table, written, named)))


def _check_line(file: str, line: str) -> None:
    where = Span(file, 1)
    if any(unicodedata.category(character) == "Cc" and character != "\t" for character in line):
        raise Refusal(
            [
                error(
                    "control-character-in-header",
                    "the header row holds NUL or other control characters",
                    where,
                    "the file is probably UTF-16 or no text at all; export it as UTF-8 CSV",
                )
            ]
        )
    if line.count('"') % 2:
        raise Refusal(
            [error("unbalanced-quote", "a quotation mark in the header row is not closed", where, "export it again")]
        )
    delimiter, count = max(((mark, line.count(mark)) for mark in OTHER_DELIMITERS), key=lambda pair: pair[1])
    if count > line.count(","):
        raise Refusal(
            [
                error(
                    "wrong-delimiter",
                    f"the fields must be separated by commas; it looks like {OTHER_DELIMITERS[delimiter]}",
                    where,
                    "export it with commas",
                )
            ]
        )


def _clean(name: str) -> str:
    return "".join(character for character in name if character not in INVISIBLE).strip()


def _problems(table: Table, named: list[str], standard: Standard) -> Iterator[Diagnostic]:
    where = Span(table.file, 1)
    missing = [column.name for column in table.columns if column.needed and column.name not in named]
    other = _looks_like(table, named, standard) if missing else None
    if other is not None:
        yield error(
            "wrong-file-header",
            f"{table.file} has the header of {other.file}",
            where,
            "were two files swapped? Put each under its own name",
        )
        return
    twice = [name for name, count in Counter(name for name in named if name).items() if count > 1]
    if twice:
        yield error("duplicate-header", f"columns stand twice: {_listed(twice)}", where, "keep one of each")
    if missing:
        yield error(
            "missing-column", f"columns are missing: {_listed(missing)}", where, _missing_hint(table, named, standard)
        )
    absent = [column.name for column in table.used if not column.needed and column.name not in named]
    unknown = [name for name in _unknown(table, named) if not _is_extension(name)]
    for name in absent:
        near = difflib.get_close_matches(name.lower(), [other_name.lower() for other_name in unknown], 1, 0.8)
        if near:
            yield error(
                "renamed-column",
                f"column {name} is missing and {_listed(near)} is none of the standard's",
                where,
                f"name it {name}; otherwise every value of it would count as emptied",
            )


def _looks_like(table: Table, named: list[str], standard: Standard) -> Table | None:
    """The other file whose every required column stands in this header, the most telling one first."""
    present = frozenset(name.lower() for name in named)
    others = [other for other in standard.tables.values() if other is not table and len(other.distinctive) > 1]
    fitting = [other for other in others if other.distinctive <= present]
    return max(fitting, key=lambda other: len(other.distinctive), default=None)


def _missing_hint(table: Table, named: list[str], standard: Standard) -> str:
    if table.name == "users" and standard.version == "1.1" and "sourcedId" in named:
        lacking = {"orgSourcedIds", "role"} - set(named)
        if len(lacking) == 2:
            return "a OneRoster 1.2 export has no such columns: its manifest must say 1.2, and roles.csv come along"
    unknown = _unknown(table, named)
    if unknown:
        return f"names must be the standard's; the header also has {_listed(unknown)}"
    return "export the file with all columns of the standard"


def _unknown(table: Table, named: list[str]) -> list[str]:
    standard_names = {column.name for column in table.columns}
    return [name for name in named if name and name not in standard_names]


def _is_extension(name: str) -> bool:
    return name.lower().startswith(("metadata.", "ext_", "ext."))


def _remarks(table: Table, written: list[str], named: list[str]) -> Iterator[Diagnostic]:
    where = Span(table.file, 1)
    respelt = [name for raw, name in zip(written, named, strict=True) if raw != name]
    if respelt:
        yield warning("header-spelling", f"read as the standard spells them: {_listed(respelt)}", where)
    order = [column.name for column in table.columns if column.name in named]
    if [name for name in named if name in order] != order:
        yield warning("header-order", "the columns are not in the standard's order", where)
    absent = [column.name for column in table.used if not column.needed and column.name not in named]
    if absent:
        yield warning(
            "missing-column", f"columns are missing and count as empty: {_listed(absent)}", where, "export all columns"
        )
    if "" in named:
        yield warning("empty-header", f"{named.count('')} columns have no name and are not read", where)
    unknown = [name for name in _unknown(table, named) if not name.lower().startswith("metadata.")]
    if unknown:
        yield info("unknown-column", f"columns that the standard does not have are not read: {_listed(unknown)}", where)


def _listed(names: list[str]) -> str:
    shown = ", ".join(name if len(name) <= 40 else f"{name[:37]}..." for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
