"""The data rows of a CSV file by the letter: one physical line each, as wide as the header, quoted as RFC 4180 says.

Everything is done by columns; no row becomes a Python object.
"""

from __future__ import annotations

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

#: The fields before the one in which a row stops being CSV.
BEFORE = f"^((?:{FIELD},)*)"
CSV_ROW = f"^{FIELD}(?:,{FIELD})*$"


@dataclass(frozen=True, slots=True)
class Records:
    """frame: `line` and the columns asked for as text, null where empty; well-formed rows only. loose: the first
    field of each other row, as far as it can be read: what it names is not missing. rows: with the malformed ones."""

    frame: pl.DataFrame
    loose_keys: pl.Series
    row_count: int

    @property
    def is_complete(self) -> bool:
        """No row is malformed, so that what is not in the frame is not in the file."""
        return self.frame.height == self.row_count


def read_records(file: str, data: bytes, width: int, columns: Mapping[str, int], findings: Findings) -> Records | None:
    """Return the rows of a file as far as they are well-formed, or None where a parser fails.

    data: UTF-8 with LF line ends, the header included. columns: name -> index from 0.
    """
    plain = build_plain_input(data, extract_skeleton(data), width)
    if plain is not None:
        frame, loose, rows = plain.parse_columns(columns), pl.Series("loose", [], dtype=pl.String), plain.lines.len()
    else:
        well, loose, rows = _split_well_formed(file, data, width, findings)
        # With the line number before it no row is blank, and a file of one column reads as any other.
        numbered = build_row_input(well, pl.format("{},{}", "line", "text"))
        frame = numbered.parse_columns({name: place + 1 for name, place in columns.items()})
    if frame is None:
        findings.add_finding("strict-unreadable-csv", "the rows cannot be read as CSV", file)
        return None
    return Records(frame, loose, rows)


def _split_well_formed(file: str, data: bytes, width: int, findings: Findings) -> tuple[pl.DataFrame, pl.Series, int]:
    """Well-formed rows as `line` and `text`, the first fields of the others, and how many rows there are."""
    rows = _join_lines(file, split_lines(data), findings)
    text = pl.col("text")
    rows = rows.with_columns(text.str.contains(CSV_ROW).alias("csv"), count_fields().alias("fields"))
    stray = rows.filter(~pl.col("csv") & ~pl.col("open"))
    before = text.str.extract(BEFORE, 1).str.replace_all(QUOTED, "").str.count_matches(",", literal=True)
    findings.add_rows("strict-stray-quote", "a quotation mark stands in the middle of a value", file, stray, before + 1)
    ragged = rows.filter(pl.col("csv") & (pl.col("fields") != width))
    said = pl.format(f"the row has {{}} fields, the header {width}", "fields")
    first_wrong = pl.min_horizontal("fields", pl.lit(width)) + 1
    findings.add_rows("strict-row-width", said, file, ragged, first_wrong)
    good = pl.col("csv") & (pl.col("fields") == width)
    keys = rows.filter(~good).select(extract_first_field().alias("loose")).to_series()
    return rows.filter(good).select("line", "text"), keys.drop_nulls(), rows.height


def _join_lines(file: str, lines: pl.DataFrame, findings: Findings) -> pl.DataFrame:
    """Rows, as `line`, `text` and `open`: a line end inside quotation marks ends none. Where the marks do not come
    out even, it cannot be told which lines belong together: each stands for itself, those that leave one open too."""
    odd = mark_odd_quotes(lines)
    if odd.sum() % 2:
        message = "a quotation mark of this row is never closed, or that of a row above"
        findings.add_rows("strict-unclosed-quote", message, file, lines.filter(odd), 0)
        return lines.with_columns(odd.alias("open"))
    rows = join_lines(lines, odd)
    first = pl.col("text").str.extract("^([^\n]*)\n", 1).str.replace_all(QUOTED, "").str.replace('"[^"]*$', "")
    column = first.str.count_matches(",", literal=True) + 1
    message = "a value goes on in the next line"
    findings.add_rows("strict-line-break-in-value", message, file, rows.filter("joined"), column)
    return rows.with_columns(pl.lit(False).alias("open"))


# The bytes of a CSV file by the letter: UTF-8, no byte order mark, no carriage return alone.


#: What `bytes.translate` deletes to leave a file's line ends.
NO_END = bytes(byte for byte in range(256) if byte not in b"\r\n")


def clean_text(file: str, data: bytes, findings: Findings) -> bytes | None:
    """Valid UTF-8 whose lines end with LF; what could not be decoded stands in it as U+FFFD. None where the file is in
    another encoding altogether."""
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
    message = f"the byte 0x{data[offset]:02X} is not UTF-8; it is the first of the file that is not"
    findings.add_finding("strict-not-utf-8", message, file, line)
    return data.decode("utf-8", "replace").encode("utf-8")


def _replace_bare_returns(file: str, data: bytes, findings: Findings) -> bytes:
    """Taken as line ends, which they were on old machines; each line that ends so is a finding."""
    ends = data.translate(None, NO_END).replace(b"\r", b"r\n")
    marked = pl.read_lines(ends, name="end", row_index_name="line", row_index_offset=1).filter(pl.col("end") == "r")
    findings.add_rows("strict-bare-carriage-return", "the row ends with CR alone", file, marked, 0)
    return data.replace(b"\r", b"\n")
