"""Checks the values of one file: required values, types, and status and dateLastModified by mode."""

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.sheet import StrictSheet
from reconciler.oneroster.strict.tables import StrictColumn, StrictType

GUID = r"[0-9A-Za-z.\-_/@]{1,255}"
EXTENSION = r"ext:[a-zA-Z0-9.\-_]+"
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
DATETIME = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$"
YEAR = r"^[0-9]{4}$"
FLOAT = r"^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$"
INTEGER = r"^[+-]?[0-9]+$"
PAIR = r"\{[^{}:]+:[^{}]+\}"
#: A list item that contains a comma or a quotation mark.
QUOTED_ITEM = r'"(?:[^"]|"")*"'
#: An empty list item, an item with surrounding spaces, or an unclosed quotation mark.
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
    """Return whether each value is a malformed list; false for null."""
    return values.str.replace_all(QUOTED_ITEM, "q").str.contains(BAD_ITEM).fill_null(False)


def find_invalid_values(values: pl.Series, column: StrictColumn) -> pl.Series:
    """Return whether each value, or an item of its list, is not of the column's type; false for null."""
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
    """Return values as Float64, null if not a finite decimal number."""
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
    # By distinct values, of which there are few.
    distinct = values.unique().drop_nulls()
    unreal = distinct.filter(distinct.str.to_date("%Y-%m-%d", strict=False).is_null())
    return values.is_in(unreal.implode()).fill_null(False)


LIFECYCLE = ("status", "dateLastModified")
TYPE_DESCRIPTIONS = {
    StrictType.GUID: "not a sourcedId",
    StrictType.DATE: "not a date such as 2026-08-31",
    StrictType.DATETIME: "not a UTC time such as 2026-08-31T06:00:00.000Z",
    StrictType.YEAR: "not a year such as 2027",
    StrictType.BOOLEAN: "not true or false",
    StrictType.FLOAT: "not a decimal number",
    StrictType.INTEGER: "not a whole number",
    StrictType.PAIR: "not a list of {type:identifier}",
}


def check_values(sheet: StrictSheet, findings: Findings) -> None:
    """Check every rule that needs one row alone. `check_header` reports missing columns."""
    for column in sheet.table.columns:
        if column.name not in sheet.places:
            continue
        values = sheet.frame[column.name]
        if column.required and values.null_count():
            message = f"{column.name} is empty"
            _report_rows(sheet, "strict-missing-required-value", message, values.is_null(), column, findings)
        if column.name in LIFECYCLE and not sheet.delta:
            message = f"{column.name} must be blank in a bulk file"
            _report_rows(sheet, "strict-field-forbidden-in-bulk", message, values.is_not_null(), column, findings)
            continue
        if column.name in LIFECYCLE:
            message = f"{column.name} is empty in a delta file"
            _report_rows(sheet, "strict-field-required-in-delta", message, values.is_null(), column, findings)
        _check_type(sheet, column, values, findings)
    _check_subjects(sheet, findings)


def _check_type(sheet: StrictSheet, column: StrictColumn, values: pl.Series, findings: Findings) -> None:
    if values.null_count() == values.len():
        return
    broken = None
    if column.is_list:
        broken = find_broken_lists(values)
        message = f"{column.name} is not a list of comma-separated items"
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
        what = f"not one of {words}"
    else:
        what = TYPE_DESCRIPTIONS[column.type]
    return f"an item of {column.name} is {what}" if column.is_list else f"{column.name} is {what}"


def _check_subjects(sheet: StrictSheet, findings: Findings) -> None:
    """Check that each subject has a code in the same order (1.2)."""
    if sheet.table.version != "1.1" and sheet.has_columns("subjects", "subjectCodes"):
        counts = [
            sheet.frame[name].str.count_matches(",", literal=True).cast(pl.Int64).fill_null(-1)
            for name in ("subjects", "subjectCodes")
        ]
        quoted = pl.any_horizontal(pl.col("subjects", "subjectCodes").str.contains('"', literal=True)).fill_null(False)
        differs = (counts[0] != counts[1]) & ~sheet.frame.select(quoted).to_series()
        message = "subjects and subjectCodes have different numbers of items"
        place = sheet.places["subjectCodes"]
        findings.add_rows("strict-invalid-list", message, sheet.table.file, sheet.frame.filter(differs), place)


def _report_rows(
    sheet: StrictSheet, code: str, message: str, which: pl.Series, column: StrictColumn, findings: Findings
) -> None:
    if which.any():
        rows = sheet.frame.filter(which).select("line")
        findings.add_rows(code, message, sheet.table.file, rows, sheet.places[column.name])
