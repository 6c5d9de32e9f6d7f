"""Reads one file of the standard into a frame of the checked columns, and checks its text, header and rows."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.header import check_header
from reconciler.oneroster.strict.lines import clean_text, read_records
from reconciler.oneroster.strict.tables import StrictTable


@dataclass(frozen=True, slots=True)
class StrictSheet:
    """The checked columns of one file."""

    table: StrictTable
    #: Declared as delta, else bulk.
    delta: bool
    #: `line` and every checked column as text, null where the value or the column is missing.
    frame: pl.DataFrame
    #: Position of each existing column, from 1.
    places: Mapping[str, int]
    #: Keys of malformed rows.
    loose_keys: pl.Series
    #: No row is malformed.
    is_complete: bool

    def has_columns(self, *names: str) -> bool:
        """Return whether the file has all these columns."""
        return all(name in self.places for name in names)


def read_strict_sheet(table: StrictTable, data: bytes, delta: bool, findings: Findings) -> StrictSheet | None:
    """Read and check a file, or return None if its rows are unreadable; references to it are then not checked."""
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
