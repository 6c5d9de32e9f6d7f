"""sourcedIds by the letter: unique in their file, and found in the file that they refer to."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import polars as pl

from reconciler.oneroster.strict.findings import Findings
from reconciler.oneroster.strict.sheet import StrictSheet
from reconciler.oneroster.strict.tables import StrictColumn


def check_references(sheets: Mapping[str, StrictSheet], present_stems: Collection[str], findings: Findings) -> None:
    """sheets: by stem, of files whose rows could be told. there: stems of all files that are in the archive and not
    declared as absent.

    Rows of a delta file may refer to records that were sent earlier, and what a bulk file refers to may have been
    sent earlier if its file is a delta: neither is missing.
    """
    for sheet in sheets.values():
        _check_unique(sheet, findings)
        if sheet.delta:
            continue
        for column in sheet.table.columns:
            if column.target is None or column.name not in sheet.places:
                continue
            if column.target not in present_stems:
                message = f"{column.name} refers to {column.target}.csv, which the archive does not have"
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
    message = pl.format("the sourcedId of line {} stands here again", "first")
    findings.add_rows("strict-duplicate-sourced-id", message, sheet.table.file, again, sheet.places["sourcedId"])


def _check_targets(sheet: StrictSheet, column: StrictColumn, target: StrictSheet, findings: Findings) -> None:
    if not target.has_columns("sourcedId"):
        return
    references = sheet.frame.select("line", pl.col(column.name).alias("reference")).drop_nulls()
    if column.is_list:
        references = split_items(references)
    known = pl.concat([target.frame["sourcedId"].drop_nulls(), target.loose_keys.alias("sourcedId")]).unique()
    dangling = references.filter(~pl.col("reference").is_in(known.implode()))
    message = f"{column.name} refers to a row that {target.table.file} does not have"
    findings.add_rows("strict-missing-target-record", message, sheet.table.file, dangling, sheet.places[column.name])


def split_items(references: pl.DataFrame) -> pl.DataFrame:
    """`line` and `reference` of each item of lists; without empty items, which are told elsewhere."""
    return (
        references.with_columns(pl.col("reference").str.split(",").list.eval(pl.element().str.strip_chars()))
        .explode("reference")
        .filter(pl.col("reference") != "")
    )
