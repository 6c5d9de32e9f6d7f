"""One file of the standard by the letter: text, header, rows, as a frame of the columns that are checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.header import check_header
from reconciler.oneroster.strict.lines import clean_text, read_records
from reconciler.oneroster.strict.tables import StrictTable


@dataclass(frozen=True, slots=True)
class StrictSheet:
    """delta: declared as delta, else bulk. frame: `line` and every checked column of the table as text; null where
    the value is empty or the column is not there. places: name -> its position in the file, from 1, of the columns
    that are there. loose: keys of malformed rows. whole: no row is malformed."""

    table: StrictTable
    delta: bool
    frame: pl.DataFrame
    places: Mapping[str, int]
    loose_keys: pl.Series
    is_complete: bool

    def has_columns(self, *names: str) -> bool:
        return all(name in self.places for name in names)


def read_strict_sheet(table: StrictTable, data: bytes, delta: bool, findings: Findings) -> StrictSheet | None:
    """None where the rows cannot be told, so that nothing can be said of what refers to them."""
    text = clean_text(table.file, data, findings)
    if not text:
        if text is not None:
            findings.add_finding("strict-missing-header", "the file has no header row", table.file, 1)
        return None
    header = check_header(table, text.partition(b"\n")[0].decode("utf-8"), findings)
    if header is None:
        return None
    checked = {column.name for column in table.columns if column.is_checked}
    columns = {name: place for name, place in header.positions.items() if name in checked}
    records = read_records(table.file, text, header.width, columns, findings)
    if records is None:
        return None
    if not records.row_count:
        findings.add_finding("strict-missing-data-rows", "the file has a header and no rows", table.file, 1)
    absent = [
        pl.lit(None, dtype=pl.String).alias(column.name)
        for column in table.columns
        if column.is_checked and column.name not in columns
    ]
    places = {name: place + 1 for name, place in columns.items()}
    loose = records.loose_keys if header.positions.get("sourcedId") == 0 else records.loose_keys.clear()
    return StrictSheet(table, delta, records.frame.with_columns(absent), places, loose, records.is_complete)
