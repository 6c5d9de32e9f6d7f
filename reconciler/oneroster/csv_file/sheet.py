"""One CSV file as a frame of text columns, with the physical line of each row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_info, build_warning
from reconciler.oneroster.csv_file.header import read_header
from reconciler.oneroster.csv_file.lines import MOST_FIELD_LENGTH, TextRows, read_rows
from reconciler.oneroster.csv_file.text import check_text
from reconciler.oneroster.standard.tables import KIND_OF, UNWANTED_COLUMNS, Standard, Table, ValueType

#: Around a value none of these belongs to it.
SPACES = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff"


@dataclass(frozen=True, slots=True)
class Sheet:
    """rows: data rows as read, malformed ones included. frame: the columns in use under the snapshot's names, as
    text without spaces around it, and `line`; what the file lacks or leaves empty is null. places: field -> its
    position in the file, from 1. aside: malformed rows. broken: a value may hold a line break or a tab. beside: values
    that are looked at once, by the standard's column, one for each row of `frame` as it was read."""

    table: Table
    row_count: int
    frame: pl.DataFrame
    places: Mapping[str, int]
    quarantine: pl.DataFrame
    may_have_breaks: bool
    diagnostics: tuple[Diagnostic, ...]
    side_values: Mapping[str, pl.Series]
    delta: bool


def read_sheet(table: Table, data: bytes, standard: Standard, *, delta: bool = False) -> Sheet:
    """data: the file's bytes as packed. delta: its rows are changes, and not the whole.

    Raises Refusal where the file as a whole cannot be trusted."""
    data, remarks = check_text(table.file, data)
    header = read_header(table, data, standard)
    keyed = header.positions["sourcedId"] == 0 and table.name != "roles"
    body = read_rows(table.file, data, header.width, KIND_OF.get(table.name), key_first=keyed)
    positions = {
        column.field: header.positions[column.name]
        for column in table.columns_in_use
        if column.field is not None and column.name in header.positions
    }
    looked_at = {
        name: header.positions[name] for name in table.list_inspected_columns(delta=delta) if name in header.positions
    }
    frame = _parse_columns(table, body, positions | looked_at)
    beside = {name: frame[name] for name in looked_at}
    absent = [str(column.field) for column in table.columns_in_use if column.field not in positions]
    frame = frame.drop(list(looked_at)).with_columns(pl.lit(None, dtype=pl.String).alias(field) for field in absent)
    notes = [*remarks, *header.diagnostics, *_report_dropped_columns(table, body, header.positions)]
    if body.multiline or b" " in data or b"\t" in data or not data.isascii():
        frame, spaces = _strip_spaces(table, frame)
        notes.extend(spaces)
    frame, damage = _check_values(table, frame, data)
    notes.extend(damage)
    places = {field: position + 1 for field, position in positions.items()}
    broken = body.multiline or b"\t" in data
    return Sheet(table, body.row_count, frame, places, body.quarantine, broken, tuple(notes), beside, delta)


def _parse_columns(table: Table, body: TextRows, positions: Mapping[str, int]) -> pl.DataFrame:
    frame = body.input.parse_columns(positions)
    if frame is None:
        raise Refusal([_make_unreadable_error(table)])
    return frame


def _make_unreadable_error(table: Table) -> Diagnostic:
    return build_error("unreadable-csv", f"{table.file} cannot be read as CSV", Span(table.file), "export it again")


def _report_dropped_columns(table: Table, body: TextRows, positions: Mapping[str, int]) -> Iterator[Diagnostic]:
    """Says how many values of columns that nobody asked for were left behind; they never enter a snapshot."""
    for name in sorted(UNWANTED_COLUMNS & positions.keys()):
        count = _parse_columns(table, body, {name: positions[name]})[name].count()
        if count:
            yield build_info(
                "dropped-column",
                f"{count:,} values of column {name} were dropped unread; leave them out of the export",
                Span(table.file, 1, positions[name] + 1),
            )


def _strip_spaces(table: Table, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Diagnostic]]:
    fields = [field for field in frame.columns if field != "line"]
    tidy = frame.with_columns(pl.col(fields).str.strip_chars(SPACES).replace("", None))
    changed = [field for field in fields if not frame[field].equals(tidy[field], null_equal=True)]
    if not changed:
        return frame, []
    touched = frame.filter(pl.any_horizontal(*(frame[field].ne_missing(tidy[field]) for field in changed)))
    return tidy, [
        build_warning(
            "surrounding-spaces",
            f"{touched.height:,} rows have spaces around a value, which are not kept; the first is line"
            f" {touched['line'][0]:,}",
            Span(table.file, touched["line"][0]),
        )
    ]


def _check_values(table: Table, frame: pl.DataFrame, data: bytes) -> tuple[pl.DataFrame, list[Diagnostic]]:
    """Refuses a value that no field can hold; warns of keys that a spreadsheet has turned into numbers."""
    for field in frame.columns:
        if field != "line" and (frame[field].str.len_bytes() > MOST_FIELD_LENGTH).any():
            line = frame.filter(pl.col(field).str.len_bytes() > MOST_FIELD_LENGTH)["line"][0]
            raise Refusal(
                [
                    build_error(
                        "huge-field",
                        f"a value in line {line:,} is longer than {MOST_FIELD_LENGTH // 1024} KiB",
                        Span(table.file, line),
                        "a quotation mark was probably not closed; export it again",
                    )
                ]
            )
    keys = [
        column.field
        for column in table.columns_in_use
        if column.value in (ValueType.REFERENCE, ValueType.LIST) and column.field
    ]
    if b"+" not in data or b"E+" not in data or not keys:
        return frame, []
    mangled = frame.filter(pl.any_horizontal(pl.col(keys).str.contains(r"^\d(?:[.,]\d+)?E\+\d+$")))
    if not mangled.height:
        return frame, []
    return frame, [
        build_warning(
            "spreadsheet-number",
            f"{mangled.height:,} rows have a key like 1.23E+11, the first in line {mangled['line'][0]:,}",
            Span(table.file, mangled["line"][0]),
            "a spreadsheet has turned keys into numbers; send the export as it was made",
        )
    ]
