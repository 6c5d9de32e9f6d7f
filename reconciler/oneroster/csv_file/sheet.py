"""Reads one CSV file into a frame of text columns, with the physical line of each row."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error, build_info, build_warning
from reconciler.model.text_form import HIDDEN, describe_character, find_hidden_character, make_visible_column
from reconciler.oneroster.csv_file.header import read_header
from reconciler.oneroster.csv_file.lines import MOST_FIELD_LENGTH, TextRows, read_rows
from reconciler.oneroster.csv_file.text import check_text
from reconciler.oneroster.standard.tables import KIND_OF, UNWANTED_COLUMNS, Standard, Table, ValueType

#: Characters to strip around a value.
SPACES = " \t\r\n\u00a0\u200b\u200c\u200d\u2060\ufeff"
#: Fields that are kept as written: names of people and things, and sourcedIds, which are opaque.
FIELDS_AS_WRITTEN = frozenset({"given_name", "family_name", "middle_name", "name", "title", "orgs", "terms"})


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file as text columns."""

    table: Table
    #: Data rows as read, malformed ones included.
    row_count: int
    #: The columns in use under the snapshot's names, stripped, and `line`; null where missing or empty.
    frame: pl.DataFrame
    #: Position of each field in the file, from 1.
    places: Mapping[str, int]
    #: Malformed rows.
    quarantine: pl.DataFrame
    #: Values may contain a line break or a tab.
    may_have_breaks: bool
    diagnostics: tuple[Diagnostic, ...]
    #: Values that are inspected but not kept, by the standard's column; one for each row of `frame`.
    side_values: Mapping[str, pl.Series]
    #: The rows are changes only.
    delta: bool


def read_sheet(table: Table, data: bytes, standard: Standard, *, delta: bool = False) -> Sheet:
    """Read a file from its unpacked bytes; `delta` means that its rows are changes only.

    Raises Refusal if the file as a whole cannot be trusted."""
    data, text_diagnostics = check_text(table.file, data)
    header = read_header(table, data, standard)
    keyed = header.positions["sourcedId"] == 0 and table.name != "roles"
    body = read_rows(table.file, data, header.width, KIND_OF.get(table.name), key_first=keyed)
    positions = {
        column.field: header.positions[column.name]
        for column in table.columns_in_use
        if column.field is not None and column.name in header.positions
    }
    inspected = {
        name: header.positions[name] for name in table.list_inspected_columns(delta=delta) if name in header.positions
    }
    frame = _parse_columns(table, body, positions | inspected)
    side_values = {name: frame[name] for name in inspected}
    absent = [str(column.field) for column in table.columns_in_use if column.field not in positions]
    frame = frame.drop(list(inspected)).with_columns(pl.lit(None, dtype=pl.String).alias(field) for field in absent)
    diagnostics = [*text_diagnostics, *header.diagnostics, *_report_dropped_columns(table, body, header.positions)]
    if body.multiline or b" " in data or b"\t" in data or not data.isascii():
        frame, space_warnings = _strip_spaces(table, frame)
        diagnostics.extend(space_warnings)
    if not data.isascii():
        frame, hidden_warnings = _make_values_visible(table, frame)
        diagnostics.extend(hidden_warnings)
    diagnostics.extend(_check_values(table, frame, data))
    places = {field: position + 1 for field, position in positions.items()}
    may_have_breaks = body.multiline or b"\t" in data
    return Sheet(
        table, body.row_count, frame, places, body.quarantine, may_have_breaks, tuple(diagnostics), side_values, delta
    )


def _parse_columns(table: Table, body: TextRows, positions: Mapping[str, int]) -> pl.DataFrame:
    frame = body.input.parse_columns(positions)
    if frame is None:
        message = f"{table.file} cannot be read as CSV"
        raise Refusal([build_error("unreadable-csv", message, Span(table.file), "Export it again.")])
    return frame


def _report_dropped_columns(table: Table, body: TextRows, positions: Mapping[str, int]) -> Iterator[Diagnostic]:
    """Report the number of dropped values of each unwanted column; they never enter a snapshot."""
    for name in sorted(UNWANTED_COLUMNS & positions.keys()):
        count = _parse_columns(table, body, {name: positions[name]})[name].count()
        if count:
            yield build_info(
                "dropped-column",
                f"{count:,} values of column {name} were dropped unread; leave the column out of the export",
                Span(table.file, 1, positions[name] + 1),
            )


def _strip_spaces(table: Table, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Diagnostic]]:
    fields = [field for field in frame.columns if field != "line"]
    tidy = frame.with_columns(pl.col(fields).str.strip_chars(SPACES).replace("", None))
    changed = [field for field in fields if not frame[field].equals(tidy[field], null_equal=True)]
    if not changed:
        return frame, []
    spaced = frame.filter(pl.any_horizontal(*(frame[field].ne_missing(tidy[field]) for field in changed)))
    return tidy, [
        build_warning(
            "surrounding-spaces",
            f"{spaced.height:,} rows have spaces around a value, which are dropped (first line {spaced['line'][0]:,})",
            Span(table.file, spaced["line"][0]),
        )
    ]


def _make_values_visible(table: Table, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Diagnostic]]:
    """Return the rows with other values in their visible form, and a warning of characters that nobody sees."""
    fields = [
        str(column.field)
        for column in table.columns_in_use
        if column.value is not ValueType.REFERENCE and column.field not in FIELDS_AS_WRITTEN
    ]
    visible = frame.with_columns(make_visible_column(frame[field]).replace("", None) for field in fields)
    changed = [field for field in fields if not frame[field].equals(visible[field], null_equal=True)]
    if not changed:
        return frame, []
    rows = frame.filter(pl.any_horizontal(pl.col(changed).str.contains(HIDDEN)))
    if not rows.height:
        return visible, []
    line = rows["line"][0]
    values = [str(value) for value in rows.select(changed).row(0) if value is not None]
    first = next(value[place] for value in values if (place := find_hidden_character(value)) is not None)
    return visible, [
        build_warning(
            "invisible-character",
            f"{rows.height:,} rows have invisible characters or unusual spaces in values that are compared, which are "
            f"read without them (first line {line:,}: {describe_character(first)})",
            Span(table.file, line),
            "Remove them at their source; they come with pasted text.",
        )
    ]


def _check_values(table: Table, frame: pl.DataFrame, data: bytes) -> Iterator[Diagnostic]:
    """Refuse a value that is too long for any field, and warn of keys that a spreadsheet turned into numbers."""
    for field in frame.columns:
        if field != "line" and (frame[field].str.len_bytes() > MOST_FIELD_LENGTH).any():
            line = frame.filter(pl.col(field).str.len_bytes() > MOST_FIELD_LENGTH)["line"][0]
            raise Refusal(
                [
                    build_error(
                        "huge-field",
                        f"a value in line {line:,} is longer than {MOST_FIELD_LENGTH // 1024} KiB",
                        Span(table.file, line),
                        "Export it again; a quotation mark was probably not closed.",
                    )
                ]
            )
    keys = [
        column.field
        for column in table.columns_in_use
        if column.value in (ValueType.REFERENCE, ValueType.LIST) and column.field
    ]
    if b"+" not in data or b"E+" not in data or not keys:
        return
    mangled = frame.filter(pl.any_horizontal(pl.col(keys).str.contains(r"^\d(?:[.,]\d+)?E\+\d+$")))
    if mangled.height:
        line = mangled["line"][0]
        yield build_warning(
            "spreadsheet-number",
            f"{mangled.height:,} rows have a key like 1.23E+11, the first in line {line:,}",
            Span(table.file, line),
            "Send the original export; a spreadsheet has turned keys into numbers.",
        )
