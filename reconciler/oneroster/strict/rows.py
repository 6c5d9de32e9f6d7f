"""The values of one file by the letter: required ones, types, and what bulk and delta ask of the first columns."""

from __future__ import annotations

import polars as pl

from reconciler.oneroster.strict.cells import CODES, broken_list, invalid
from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.sheet import Sheet
from reconciler.oneroster.strict.tables import Column, Type

LIFECYCLE = ("status", "dateLastModified")
WHAT = {
    Type.GUID: "no sourcedId",
    Type.DATE: "no date like 2026-08-31",
    Type.DATETIME: "no UTC time like 2026-08-31T06:00:00.000Z",
    Type.YEAR: "no year like 2027",
    Type.BOOLEAN: "neither true nor false",
    Type.FLOAT: "no decimal number",
    Type.INTEGER: "no whole number",
    Type.PAIR: "no list of {type:identifier}",
}


def check_values(sheet: Sheet, findings: Findings) -> None:
    """Every rule that needs one row alone. A column that is not there was told at the header."""
    for column in sheet.table.columns:
        if column.name not in sheet.places:
            continue
        values = sheet.frame[column.name]
        if column.required and values.null_count():
            message = f"{column.name} is empty"
            _report(sheet, "strict-missing-required-value", message, values.is_null(), column, findings)
        if column.name in LIFECYCLE and not sheet.delta:
            message = f"{column.name} is filled in, in a bulk file"
            _report(sheet, "strict-field-forbidden-in-bulk", message, values.is_not_null(), column, findings)
            continue
        if column.name in LIFECYCLE:
            message = f"{column.name} is empty, in a delta file"
            _report(sheet, "strict-field-required-in-delta", message, values.is_null(), column, findings)
        _check_type(sheet, column, values, findings)
    _check_subjects(sheet, findings)


def _check_type(sheet: Sheet, column: Column, values: pl.Series, findings: Findings) -> None:
    if values.null_count() == values.len():
        return
    broken = None
    if column.listed:
        broken = broken_list(values)
        message = f"{column.name} is no list of items joined by commas"
        _report(sheet, "strict-invalid-list", message, broken, column, findings)
    if column.type is Type.TEXT:
        return
    wrong = invalid(values, column)
    if broken is not None:
        wrong = wrong & ~broken
    _report(sheet, CODES[column.type], _message(column), wrong, column, findings)


def _message(column: Column) -> str:
    if column.type is Type.ENUMERATION:
        words = ", ".join(column.words) + (", ext:..." if column.extensible else "")
        what = f"none of {words}"
    else:
        what = WHAT[column.type]
    return f"an item of {column.name} is {what}" if column.listed else f"{column.name} is {what}"


def _check_subjects(sheet: Sheet, findings: Findings) -> None:
    """1.2: each of subjects has its code, in the same order."""
    if sheet.table.version != "1.1" and sheet.has("subjects", "subjectCodes"):
        counts = [
            sheet.frame[name].str.count_matches(",", literal=True).cast(pl.Int64).fill_null(-1)
            for name in ("subjects", "subjectCodes")
        ]
        quoted = pl.any_horizontal(pl.col("subjects", "subjectCodes").str.contains('"', literal=True)).fill_null(False)
        unlike = (counts[0] != counts[1]) & ~sheet.frame.select(quoted).to_series()
        message = "subjects and subjectCodes have not the same number of items"
        place = sheet.places["subjectCodes"]
        findings.rows("strict-invalid-list", message, sheet.table.file, sheet.frame.filter(unlike), place)


def _report(sheet: Sheet, code: str, message: str, which: pl.Series, column: Column, findings: Findings) -> None:
    if which.any():
        rows = sheet.frame.filter(which).select("line")
        findings.rows(code, message, sheet.table.file, rows, sheet.places[column.name])
