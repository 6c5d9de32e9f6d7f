"""The rules for the rows of one file: each is good, or set aside with all that is wrong with it.

A value that is optional and means nothing is dropped with a warning; one that is required, or that decides what
somebody may do, sets its row aside. What is set aside protects what it names, so no row is lost here in silence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.oneroster.csv_file.quarantine import (
    RowFault,
    build_quarantine,
    create_empty_quarantine,
    format_value,
    make_rows_warning,
    merge_row_faults,
)
from reconciler.oneroster.csv_file.sheet import Sheet
from reconciler.oneroster.standard.tables import AGENTS, KIND_OF, Column, Table, ValueType
from reconciler.oneroster.standard.values import (
    LINE_BREAK,
    ColumnReading,
    read_boolean,
    read_date,
    read_enumeration,
    read_list,
)

# Rows of one file that have the same sourcedId: repetitions, contradictions, and keys that only look alike.


#: So many lines of a contradiction are listed.
MOST_LINES = 10
#: Files whose keys people read and type, so that two of them should not look alike.
FILES_WITH_TYPED_KEYS = frozenset({"orgs", "users", "classes"})


def remove_duplicates(
    table: Table, frame: pl.DataFrame, quarantine: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, list[Diagnostic]]:
    """Good rows, rows set aside, remarks. aside: the file's malformed rows.

    The first of identical rows is kept, with a warning. Different rows with one sourcedId are all set aside, and so
    is a row whose sourcedId a malformed row has: which of them is right cannot be known.
    """
    remarks = list(_check_similar_keys(table, frame)) if table.name in FILES_WITH_TYPED_KEYS else []
    # The key of a malformed row of roles.csv cannot be told: its first field is the role's own sourcedId.
    malformed = quarantine.select(pl.col("key").alias("sourced_id"), "line").drop_nulls()
    if not malformed.height and not _has_repeats(frame["sourced_id"]):
        return frame, create_empty_quarantine(), remarks
    every = pl.concat([frame.select("sourced_id", "line").drop_nulls(), malformed])
    lines = every.filter(pl.col("sourced_id").is_duplicated()).group_by("sourced_id").agg(pl.col("line").sort())
    rows = frame.join(lines.rename({"line": "lines"}), on="sourced_id", maintain_order="left")
    content = pl.struct(pl.exclude("line", "lines", "sourced_id")).n_unique().over("sourced_id")
    whole = ~pl.col("sourced_id").is_in(malformed["sourced_id"].implode())
    rows = rows.with_columns(((content == 1) & whole).alias("same"))
    surplus = rows.filter(pl.col("same") & ~pl.col("sourced_id").is_first_distinct())
    if surplus.height:
        line = surplus["line"][0]
        message = f"{surplus.height:,} rows repeat an earlier row word for word and are skipped (first line {line:,})"
        remarks.append(build_warning("repeated-row", message, Span(table.file, line)))
    different = rows.filter(~pl.col("same"))
    more = pl.when(pl.col("lines").list.len() > MOST_LINES).then(pl.lit(", ...")).otherwise(pl.lit(""))
    listed = pl.col("lines").list.head(MOST_LINES).cast(pl.List(pl.String)).list.join(", ") + more
    contradiction = build_quarantine(
        different.with_columns(listed.alias("listed")),
        RowFault(
            "duplicate-sourced-id",
            pl.format("sourcedId {} stands in rows that differ: lines {}", format_value("sourced_id"), "listed"),
            "keep the row that is right; until then what they name stays as it is",
            column=1,
        ),
        kind=KIND_OF[table.name],
        file=table.file,
        key="user" if table.name == "roles" else "sourced_id",
    )
    gone = pl.concat([surplus.select("line"), different.select("line")])
    return frame.join(gone, on="line", how="anti", maintain_order="left"), contradiction, remarks


def _has_repeats(keys: pl.Series) -> bool:
    """Equal keys have equal hashes, and numbers are compared faster than text."""
    filled = keys.drop_nulls()
    return filled.hash().n_unique() != filled.len() and filled.n_unique() != filled.len()


def _check_similar_keys(table: Table, frame: pl.DataFrame) -> Iterator[Diagnostic]:
    keys = frame.select("sourced_id", "line").drop_nulls().unique("sourced_id", keep="first", maintain_order=True)
    folded = keys["sourced_id"]
    if folded.str.len_bytes().sum() != folded.str.len_chars().sum():
        folded = folded.str.normalize("NFKC")
    folded = folded.str.to_lowercase()
    if not _has_repeats(folded):
        return
    alike = keys.filter(folded.is_duplicated())
    line = alike["line"][0]
    yield build_warning(
        "keys-alike",
        f"{alike.height:,} sourcedIds differ from another one only in case or form of letters (first line {line:,})",
        Span(table.file, line),
        "they are read as different; if they mean the same, give them one spelling",
    )


#: For so many distinct unknown values the nearest known one is looked for.
MOST_HINTS = 1_000

#: Guardians and relatives of one person. Six are many; a class list is a mistake.
MOST_AGENTS = 10

DELETIONS_SCHEMA: dict[str, type[pl.DataType]] = {"sourced_id": pl.String, "line": pl.Int64}

#: Rows that are set aside, or a remark about rows that are kept.
RowFinding: TypeAlias = pl.DataFrame | Diagnostic


@dataclass(frozen=True, slots=True)
class FileRows:
    """rows: data rows as read. frame: good rows. aside: the others, one entry per row. places: field -> its position
    in the file, from 1. diagnostics: about the file and its rows. delta: the rows are changes, and not the whole;
    gone: `sourced_id`, `line` of its rows that are set aside but say clearly that the record is to be deleted."""

    row_count: int
    frame: pl.DataFrame
    quarantine: pl.DataFrame
    places: Mapping[str, int]
    diagnostics: tuple[Diagnostic, ...]
    delta: bool = False
    deletions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DELETIONS_SCHEMA))


def check_rows(sheet: Sheet) -> FileRows:
    """Every rule that needs this file alone. References to other files are checked later."""
    findings: list[RowFinding] = [sheet.quarantine, *sheet.diagnostics, *_check_agents(sheet)]
    frame = _drop_empty_rows(sheet, findings)
    frame, twice, alike = remove_duplicates(sheet.table, frame, sheet.quarantine)
    findings += [twice, *alike]
    values: list[pl.Series] = []
    for column in sheet.table.columns_in_use:
        spelt = _normalize_values(frame[str(column.field)], column)
        findings += _check_empty_values(sheet, frame, column)
        findings += _check_line_breaks(sheet, frame, column)
        findings += _report_spelling(sheet, frame.filter(spelt.nonstandard), column) if spelt.nonstandard.any() else []
        findings += _report_unknown_values(sheet, frame.filter(spelt.unknown), column) if spelt.unknown.any() else []
        if column.name == "status":
            findings += _check_status(sheet, frame)
        values.append(spelt.values)
    aside = merge_row_faults(finding for finding in findings if isinstance(finding, pl.DataFrame))
    frame = frame.with_columns(values)
    gone = _find_clear_deletions(frame, twice, aside) if sheet.delta else pl.DataFrame(schema=DELETIONS_SCHEMA)
    frame = frame.with_columns(pl.col("status").fill_null("active"))
    if aside.height:
        frame = frame.join(aside.select("line"), on="line", how="anti", maintain_order="left")
    remarks = tuple(finding for finding in findings if isinstance(finding, Diagnostic))
    return FileRows(sheet.row_count, frame, aside, sheet.places, remarks, sheet.delta, gone)


def _drop_empty_rows(sheet: Sheet, findings: list[RowFinding]) -> pl.DataFrame:
    """A row of nothing but commas, as spreadsheets leave them, names nobody."""
    frame = sheet.frame
    if not frame["sourced_id"].null_count():
        return frame
    empty = frame.select(pl.all_horizontal(pl.exclude("line").is_null())).to_series()
    if not empty.any():
        return frame
    findings.append(
        make_rows_warning(sheet.table.file, frame.filter(empty), "empty-row", "rows without any value are skipped")
    )
    return frame.filter(~empty)


def _normalize_values(values: pl.Series, column: Column) -> ColumnReading:
    match column.value:
        case ValueType.BOOLEAN:
            return read_boolean(values)
        case ValueType.DATE:
            return read_date(values)
        case ValueType.LIST:
            return read_list(values)
        case ValueType.ENUMERATION:
            return read_enumeration(values, column.vocabulary, extensible=column.extensible)
        case ValueType.REFERENCE | ValueType.TEXT:
            return ColumnReading.from_unchanged(values)


def _check_empty_values(sheet: Sheet, frame: pl.DataFrame, column: Column) -> Iterator[RowFinding]:
    values = frame[str(column.field)]
    if not values.null_count():
        return
    rows = frame.filter(values.is_null())
    if column.required:
        yield _build_fault(sheet, rows, column, "missing-value", f"{column.name} is empty", "every row needs one")
    elif column.warn_if_empty and column.field in sheet.places:
        yield make_rows_warning(sheet.table.file, rows, "missing-value", f"{column.name} is empty")


def _check_line_breaks(sheet: Sheet, frame: pl.DataFrame, column: Column) -> Iterator[RowFinding]:
    """Keys hold no line breaks or tabs; titles and names may."""
    if column.value not in (ValueType.REFERENCE, ValueType.LIST) or not sheet.may_have_breaks:
        return
    rows = frame.filter(pl.col(str(column.field)).str.contains(LINE_BREAK))
    if rows.height:
        key = pl.col(_get_key_field(sheet))
        rows = rows.with_columns(pl.when(~key.str.contains(LINE_BREAK)).then(key).alias(_get_key_field(sheet)))
        message = f"{column.name} holds a line break or a tab"
        yield _build_fault(
            sheet, rows, column, "control-character", message, "remove it at its source and export again"
        )


def _check_status(sheet: Sheet, frame: pl.DataFrame) -> Iterator[RowFinding]:
    file = sheet.table.file
    filled = frame.filter(pl.col("status").is_not_null())
    if sheet.delta and filled.height < frame.height:
        yield build_quarantine(
            frame.filter(pl.col("status").is_null()),
            RowFault(
                "missing-status",
                "status is empty: a row of a file of changes (delta) must say what became of its record",
                "active or tobedeleted; or declare the file as bulk, if it is the whole",
                sheet.places.get("status", 0),
            ),
            kind=KIND_OF[sheet.table.name],
            file=file,
            key=_get_key_field(sheet),
        )
    if filled.height:
        if not sheet.delta:
            yield make_rows_warning(
                file, filled, "status-in-bulk", "status is filled in, which must be blank in a bulk file"
            )
        inactive = filled.filter(pl.col("status").str.to_lowercase() == "inactive")
        if inactive.height:
            yield make_rows_warning(
                file, inactive, "inactive-status", "status inactive of OneRoster 1.0 is read as tobedeleted"
            )


def _find_clear_deletions(frame: pl.DataFrame, duplicates: pl.DataFrame, quarantine: pl.DataFrame) -> pl.DataFrame:
    """Who deletes a record need not fill in all of it; but one that another row names as well is not clear."""
    return frame.filter(
        (pl.col("status") == "tobedeleted")
        & pl.col("sourced_id").is_not_null()
        & pl.col("line").is_in(quarantine["line"].implode())
        & ~pl.col("line").is_in(duplicates["line"].implode())
    ).select(list(DELETIONS_SCHEMA))


def _check_agents(sheet: Sheet) -> Iterator[RowFinding]:
    """People with more guardians than anybody has: a column was probably filled by mistake."""
    agents = sheet.side_values.get(AGENTS)
    if agents is None or agents.null_count() == agents.len():
        return
    many = sheet.frame.select("line").filter(agents.str.count_matches(",", literal=True) >= MOST_AGENTS)
    if many.height:
        yield make_rows_warning(sheet.table.file, many, "many-agents", f"{AGENTS} names more than {MOST_AGENTS} people")


def _report_spelling(sheet: Sheet, rows: pl.DataFrame, column: Column) -> Iterator[RowFinding]:
    yield make_rows_warning(
        sheet.table.file, rows, "value-spelling", f"{column.name} is not spelt as the standard wants it, but is clear"
    )


def _report_unknown_values(sheet: Sheet, rows: pl.DataFrame, column: Column) -> Iterator[RowFinding]:
    """A value that means nothing is never guessed."""
    hint = pl.lit(None, dtype=pl.String)
    match column.value:
        case ValueType.DATE:
            code, message = "invalid-date", f"{column.name} is no date like 2026-08-31"
        case ValueType.BOOLEAN:
            code, message = "invalid-boolean", f"{column.name} is neither true nor false"
        case _:
            code = f"unknown-{_format_hyphenated(column.name)}"
            message = f"{column.name} is none of {', '.join(column.vocabulary)}"
            hint = _suggest_nearest(rows[str(column.field)], column)
    if not column.required and column.name != "status":
        yield make_rows_warning(sheet.table.file, rows, code, f"{message}; the value is not kept")
        return
    said: str | pl.Expr = message
    if column.value is ValueType.ENUMERATION:
        said = pl.format(f"{column.name} {{}} is not a OneRoster {column.name}", format_value(str(column.field)))
    yield _build_fault(sheet, rows, column, code, said, hint)


def _format_hyphenated(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


def _suggest_nearest(values: pl.Series, column: Column) -> pl.Expr:
    """The known value that each unknown one resembles, or else all that are known."""
    every = f"it must be one of {', '.join(column.vocabulary)}"
    folded = {word.lower(): word for word in column.vocabulary}
    near = {
        word: f"did you mean {folded[matches[0]]}? {every}"
        for word in values.unique().sort().head(MOST_HINTS).to_list()
        if (matches := difflib.get_close_matches(word[:100].lower(), folded, 1, 0.6))
    }
    return pl.col(str(column.field)).replace_strict(near, default=every, return_dtype=pl.String)


def _get_key_field(sheet: Sheet) -> str:
    """The field that names what a bad row may have been: a row of roles.csv is a part of its user."""
    return "user" if sheet.table.name == "roles" else "sourced_id"


def _build_fault(
    sheet: Sheet, rows: pl.DataFrame, column: Column, code: str, message: str | pl.Expr, hint: str | pl.Expr | None
) -> pl.DataFrame:
    return build_quarantine(
        rows,
        RowFault(code, message, hint, sheet.places.get(str(column.field), 0)),
        kind=KIND_OF[sheet.table.name],
        file=sheet.table.file,
        key=_get_key_field(sheet),
    )
