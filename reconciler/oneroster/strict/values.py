"""The values of one file by the letter: required ones, types, and what bulk and delta ask of the first columns."""

from __future__ import annotations

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.sheet import StrictSheet
from reconciler.oneroster.strict.tables import StrictColumn, StrictType

# What one value must look like: for a column of text, which of its values do not. Null values are no deviation.

GUID = r"[0-9A-Za-z.\-_/@]{1,255}"
EXTENSION = r"ext:[a-zA-Z0-9.\-_]+"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
DATETIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$"
YEAR = r"^[0-9]{4}$"
FLOAT = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
INTEGER = r"^[+-]?[0-9]+$"
PAIR = r"\{[^{}:]+:[^{}]+\}"
#: An item of a list that holds a comma or a quotation mark of its own.
QUOTED_ITEM = r'"(?:[^"]|"")*"'
#: An item that is empty or has spaces around it, or a quotation mark that is not closed.
BAD_ITEM = r'^,|,,|,$|^\s|\s$|,\s|\s,|"'

CODES = {
    StrictType.GUID: "strict-invalid-guid",
    StrictType.DATE: "strict-invalid-date",
    StrictType.DATETIME: "strict-invalid-datetime",
    StrictType.YEAR: "strict-invalid-year",
    StrictType.BOOLEAN: "strict-invalid-boolean",
    StrictType.FLOAT: "strict-invalid-float",
    StrictType.INTEGER: "strict-invalid-integer",
    StrictType.PAIR: "strict-invalid-list",
    StrictType.ENUMERATION: "strict-invalid-enum",
}


def find_broken_lists(values: pl.Series) -> pl.Series:
    """Boolean: the value is no list that can be taken apart."""
    return values.str.replace_all(QUOTED_ITEM, "q").str.contains(BAD_ITEM).fill_null(False)


def find_invalid_values(values: pl.Series, column: StrictColumn) -> pl.Series:
    """Boolean: the value, or an item of the list, is not of the column's type."""
    match column.type:
        case StrictType.TEXT:
            return pl.repeat(False, values.len(), dtype=pl.Boolean, eager=True)
        case StrictType.GUID:
            return _find_mismatches(values, _build_pattern(GUID, column))
        case StrictType.PAIR:
            return _find_mismatches(values, _build_pattern(PAIR, column))
        case StrictType.ENUMERATION:
            words = "|".join(column.words)
            return _find_mismatches(
                values, _build_pattern(f"(?:{words}|{EXTENSION})" if column.extensible else f"(?:{words})", column)
            )
        case StrictType.BOOLEAN:
            return ~values.is_in(["true", "false"]).fill_null(True)
        case StrictType.YEAR:
            return _find_mismatches(values, YEAR)
        case StrictType.FLOAT:
            return values.is_not_null() & parse_numbers(values).is_null()
        case StrictType.INTEGER:
            return _find_mismatches(values, INTEGER) | (
                values.is_not_null() & values.cast(pl.Int64, strict=False).is_null()
            )
        case StrictType.DATE:
            return _find_mismatches(values, DATE) | _find_unreal_dates(values)
        case StrictType.DATETIME:
            return _find_mismatches(values, DATETIME) | _find_unreal_dates(values.str.head(10))


def parse_numbers(values: pl.Series) -> pl.Series:
    """As Float64; null where it is no finite decimal number."""
    frame = values.to_frame("text").with_columns(
        pl.col("text").str.strip_prefix("+").cast(pl.Float64, strict=False).alias("number")
    )
    good = pl.col("text").str.contains(FLOAT) & pl.col("number").is_finite()
    return frame.select(pl.when(good).then(pl.col("number"))).to_series()


def _build_pattern(pattern: str, column: StrictColumn) -> str:
    return f"^{pattern}(?:,{pattern})*$" if column.is_list else f"^{pattern}$"


def _find_mismatches(values: pl.Series, pattern: str) -> pl.Series:
    return ~values.str.contains(pattern).fill_null(True)


def _find_unreal_dates(values: pl.Series) -> pl.Series:
    """No day of the calendar. Looked at by distinct values, of which there are few."""
    distinct = values.unique().drop_nulls()
    unreal = distinct.filter(distinct.str.to_date("%Y-%m-%d", strict=False).is_null())
    return values.is_in(unreal.implode()).fill_null(False)


LIFECYCLE = ("status", "dateLastModified")
TYPE_DESCRIPTIONS = {
    StrictType.GUID: "no sourcedId",
    StrictType.DATE: "no date like 2026-08-31",
    StrictType.DATETIME: "no UTC time like 2026-08-31T06:00:00.000Z",
    StrictType.YEAR: "no year like 2027",
    StrictType.BOOLEAN: "neither true nor false",
    StrictType.FLOAT: "no decimal number",
    StrictType.INTEGER: "no whole number",
    StrictType.PAIR: "no list of {type:identifier}",
}


def check_values(sheet: StrictSheet, findings: Findings) -> None:
    """Every rule that needs one row alone. A column that is not there was told at the header."""
    for column in sheet.table.columns:
        if column.name not in sheet.places:
            continue
        values = sheet.frame[column.name]
        if column.required and values.null_count():
            message = f"{column.name} is empty"
            _report_rows(sheet, "strict-missing-required-value", message, values.is_null(), column, findings)
        if column.name in LIFECYCLE and not sheet.delta:
            message = f"{column.name} is filled in, in a bulk file"
            _report_rows(sheet, "strict-field-forbidden-in-bulk", message, values.is_not_null(), column, findings)
            continue
        if column.name in LIFECYCLE:
            message = f"{column.name} is empty, in a delta file"
            _report_rows(sheet, "strict-field-required-in-delta", message, values.is_null(), column, findings)
        _check_type(sheet, column, values, findings)
    _check_subjects(sheet, findings)


def _check_type(sheet: StrictSheet, column: StrictColumn, values: pl.Series, findings: Findings) -> None:
    if values.null_count() == values.len():
        return
    broken = None
    if column.is_list:
        broken = find_broken_lists(values)
        message = f"{column.name} is no list of items joined by commas"
        _report_rows(sheet, "strict-invalid-list", message, broken, column, findings)
    if column.type is StrictType.TEXT:
        return
    wrong = find_invalid_values(values, column)
    if broken is not None:
        wrong = wrong & ~broken
    _report_rows(sheet, CODES[column.type], _build_message(column), wrong, column, findings)


def _build_message(column: StrictColumn) -> str:
    if column.type is StrictType.ENUMERATION:
        words = ", ".join(column.words) + (", ext:..." if column.extensible else "")
        what = f"none of {words}"
    else:
        what = TYPE_DESCRIPTIONS[column.type]
    return f"an item of {column.name} is {what}" if column.is_list else f"{column.name} is {what}"


def _check_subjects(sheet: StrictSheet, findings: Findings) -> None:
    """1.2: each of subjects has its code, in the same order."""
    if sheet.table.version != "1.1" and sheet.has_columns("subjects", "subjectCodes"):
        counts = [
            sheet.frame[name].str.count_matches(",", literal=True).cast(pl.Int64).fill_null(-1)
            for name in ("subjects", "subjectCodes")
        ]
        quoted = pl.any_horizontal(pl.col("subjects", "subjectCodes").str.contains('"', literal=True)).fill_null(False)
        unlike = (counts[0] != counts[1]) & ~sheet.frame.select(quoted).to_series()
        message = "subjects and subjectCodes have not the same number of items"
        place = sheet.places["subjectCodes"]
        findings.add_rows("strict-invalid-list", message, sheet.table.file, sheet.frame.filter(unlike), place)


def _report_rows(
    sheet: StrictSheet, code: str, message: str, which: pl.Series, column: StrictColumn, findings: Findings
) -> None:
    if which.any():
        rows = sheet.frame.filter(which).select("line")
        findings.add_rows(code, message, sheet.table.file, rows, sheet.places[column.name])
