"""Checks that sourcedIds are unique in their file and exist in the file that they refer to."""

from collections.abc import Collection, Mapping

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.sheet import StrictSheet
from reconciler.oneroster.strict.tables import StrictColumn


def check_references(sheets: Mapping[str, StrictSheet], present_stems: Collection[str], findings: Findings) -> None:
    """Check the sheets, by stem; `present_stems` also has files that are unreadable but not declared absent.

    References from or to a delta file may point to records sent earlier, so they are not checked.
    """
    for sheet in sheets.values():
        _check_unique(sheet, findings)
        if sheet.delta:
            continue
        for column in sheet.table.columns:
            if column.target is None or column.name not in sheet.places:
                continue
            if column.target not in present_stems:
                message = f"{column.name} refers to {column.target}.csv, which is not in the archive"
                rows = sheet.frame.filter(pl.col(column.name).is_not_null())
                place = sheet.places[column.name]
                findings.add_rows("strict-missing-target-file", message, sheet.table.file, rows, place)
            elif column.target in sheets and not sheets[column.target].delta:
                _check_targets(sheet, column, sheets[column.target], findings)


def _check_unique(sheet: StrictSheet, findings: Findings) -> None:
    if not sheet.has_columns("sourcedId"):
        return
    keys = sheet.frame.select("line", "sourcedId").drop_nulls()
    if keys["sourcedId"].n_unique() == keys.height:
        return
    firsts = pl.col("line").first().over("sourcedId")
    again = keys.with_columns(firsts.alias("first")).filter(pl.col("line") != pl.col("first"))
    message = pl.format("the sourcedId of line {} is repeated", "first")
    findings.add_rows("strict-duplicate-sourced-id", message, sheet.table.file, again, sheet.places["sourcedId"])


def _check_targets(sheet: StrictSheet, column: StrictColumn, target: StrictSheet, findings: Findings) -> None:
    if not target.has_columns("sourcedId"):
        return
    references = sheet.frame.select("line", pl.col(column.name).alias("reference")).drop_nulls()
    if column.is_list:
        references = split_items(references)
    known = pl.concat([target.frame["sourcedId"].drop_nulls(), target.loose_keys.alias("sourcedId")]).unique()
    dangling = references.filter(~pl.col("reference").is_in(known.implode()))
    message = f"{column.name} refers to a row that is not in {target.table.file}"
    findings.add_rows("strict-missing-target-record", message, sheet.table.file, dangling, sheet.places[column.name])


def split_items(references: pl.DataFrame) -> pl.DataFrame:
    """Return `line` and `reference` of each list item, without empty items, which `check_values` reports."""
    return (
        references.with_columns(pl.col("reference").str.split(",").list.eval(pl.element().str.strip_chars()))
        .explode("reference")
        .filter(pl.col("reference") != "")
    )
