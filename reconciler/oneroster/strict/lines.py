"""Checks the text and data rows of a CSV file: UTF-8, one line a row, as wide as the header, quoted by RFC 4180.

It works on columns; no row becomes a Python object.
"""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.oneroster.csv_file.lines import (
    FIELD,
    QUOTED,
    count_fields,
    extract_first_field,
    join_lines,
    mark_odd_quotes,
    split_lines,
)
from reconciler.oneroster.csv_file.parser import build_plain_input, build_row_input
from reconciler.oneroster.csv_file.text import BYTE_ORDER_MARKS, extract_skeleton, find_invalid_byte
from reconciler.oneroster.strict.findings import Findings

#: The fields before the first malformed field of a row.
BEFORE = f"^((?:{FIELD},)*)"
CSV_ROW = f"^{FIELD}(?:,{FIELD})*$"


@dataclass(frozen=True, slots=True)
class Records:
    """The rows of a file."""

    #: `line` and the requested columns of well-formed rows as text, null where empty.
    frame: pl.DataFrame
    #: The readable first fields of malformed rows: these records are not missing.
    loose_keys: pl.Series
    #: Number of rows, malformed ones included.
    row_count: int

    @property
    def is_complete(self) -> bool:
        """Whether no row is malformed, so that a row missing from the frame is missing from the file."""
        return self.frame.height == self.row_count


def read_records(file: str, data: bytes, width: int, columns: Mapping[str, int], findings: Findings) -> Records | None:
    """Return the rows of a file with its malformed rows reported, or None if a parser fails.

    The data is UTF-8 with LF line ends, header included; `columns` has the index of each column, from 0.
    """
    plain = build_plain_input(data, extract_skeleton(data), width)
    if plain is not None:
        frame, loose, rows = plain.parse_columns(columns), pl.Series("loose", [], dtype=pl.String), plain.lines.len()
    else:
        well, loose, rows = _split_well_formed(file, data, width, findings)
        # With the line number as first field no row is blank, even in a file of one column.
        numbered = build_row_input(well, pl.format("{},{}", "line", "text"))
        frame = numbered.parse_columns({name: place + 1 for name, place in columns.items()})
    if frame is None:
        findings.add_finding("strict-unreadable-csv", "the rows cannot be read as CSV", file)
        return None
    return Records(frame, loose, rows)


def _split_well_formed(file: str, data: bytes, width: int, findings: Findings) -> tuple[pl.DataFrame, pl.Series, int]:
    """Return well-formed rows as `line` and `text`, the first fields of the others, and the number of all rows."""
    rows = _join_lines(file, split_lines(data), findings)
    text = pl.col("text")
    rows = rows.with_columns(text.str.contains(CSV_ROW).alias("csv"), count_fields().alias("fields"))
    stray = rows.filter(~pl.col("csv") & ~pl.col("open"))
    before = text.str.extract(BEFORE, 1).str.replace_all(QUOTED, "").str.count_matches(",", literal=True)
    findings.add_rows("strict-stray-quote", "a quotation mark is in the middle of a value", file, stray, before + 1)
    ragged = rows.filter(pl.col("csv") & (pl.col("fields") != width))
    message = pl.format(f"the row has {{}} fields, but the header has {width}", "fields")
    first_wrong = pl.min_horizontal("fields", pl.lit(width)) + 1
    findings.add_rows("strict-row-width", message, file, ragged, first_wrong)
    good = pl.col("csv") & (pl.col("fields") == width)
    keys = rows.filter(~good).select(extract_first_field().alias("loose")).to_series()
    return rows.filter(good).select("line", "text"), keys.drop_nulls(), rows.height


def _join_lines(file: str, lines: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Return rows as `line`, `text` and `open` (it leaves a quotation open), joining lines inside quotation marks.

    With an odd number of marks, the lines of a row are unknown, so each line is a row."""
    odd = mark_odd_quotes(lines)
    if odd.sum() % 2:
        message = "a quotation mark of this row or of a row above is never closed"
        findings.add_rows("strict-unclosed-quote", message, file, lines.filter(odd), 0)
        return lines.with_columns(odd.alias("open"))
    rows = join_lines(lines, odd)
    first = pl.col("text").str.extract("^([^\n]*)\n", 1).str.replace_all(QUOTED, "").str.replace('"[^"]*$', "")
    column = first.str.count_matches(",", literal=True) + 1
    message = "a value continues on the next line"
    findings.add_rows("strict-line-break-in-value", message, file, rows.filter("joined"), column)
    return rows.with_columns(pl.lit(False).alias("open"))


#: What `bytes.translate` deletes to leave a file's line ends.
NO_END = bytes(byte for byte in range(256) if byte not in b"\r\n")


def clean_text(file: str, data: bytes, findings: Findings) -> bytes | None:
    """Return the file as UTF-8 with LF line ends and U+FFFD for invalid bytes, or None if it is UTF-16 or UTF-32."""
    if data.startswith(codecs.BOM_UTF8):
        findings.add_finding("strict-byte-order-mark", "the file begins with a byte order mark", file, 1)
        data = data[len(codecs.BOM_UTF8) :]
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            findings.add_finding("strict-not-utf-8", f"the file is {encoding}; it was not read", file)
            return None
    if not data.isascii():
        data = _replace_invalid_bytes(file, data, findings)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
        if b"\r" in data:
            data = _replace_bare_returns(file, data, findings)
    return data


def _replace_invalid_bytes(file: str, data: bytes, findings: Findings) -> bytes:
    offset = find_invalid_byte(data)
    if offset is None:
        return data
    line = data.count(b"\n", 0, offset) + 1
    message = f"the byte 0x{data[offset]:02X} is the first that is not UTF-8"
    findings.add_finding("strict-not-utf-8", message, file, line)
    return data.decode("utf-8", "replace").encode("utf-8")


def _replace_bare_returns(file: str, data: bytes, findings: Findings) -> bytes:
    """Report each line that ends with CR alone, and replace the CR by LF."""
    ends = data.translate(None, NO_END).replace(b"\r", b"r\n")
    marked = pl.read_lines(ends, name="end", row_index_name="line", row_index_offset=1).filter(pl.col("end") == "r")
    findings.add_rows("strict-bare-carriage-return", "the row ends with CR alone", file, marked, 0)
    return data.replace(b"\r", b"\n")
