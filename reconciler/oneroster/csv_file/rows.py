"""Checks the rows of one file: each is good, or quarantined with all its problems.

An invalid optional value is dropped with a warning; an invalid value that is required or decides about permissions
quarantines its row. A quarantined row protects the records it names, so no row is lost silently.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.suggestion import find_intended_name
from reconciler.model.text_form import make_caseless_column
from reconciler.oneroster.csv_file.quarantine import (
    RowFault,
    build_quarantine,
    create_empty_quarantine,
    format_value,
    make_rows_warning,
    merge_row_faults,
)
from reconciler.oneroster.csv_file.sheet import Sheet
from reconciler.oneroster.snapshot import UNREADABLE, is_marked_deleted
from reconciler.oneroster.standard.tables import AGENTS, KIND_OF, Column, Table, ValueType
from reconciler.oneroster.standard.values import (
    LINE_BREAK,
    ColumnReading,
    read_boolean,
    read_date,
    read_enumeration,
    read_list,
)

#: Lines to list for rows that contradict each other.
MOST_LINES = 10
#: Files whose keys people read and type, so that keys should not look alike.
FILES_WITH_TYPED_KEYS = frozenset({"orgs", "users", "classes"})


def remove_duplicates(
    table: Table, frame: pl.DataFrame, quarantine: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, list[Diagnostic]]:
    """Return the good rows, the quarantined rows and warnings; `quarantine` has the file's malformed rows.

    Of identical rows, the first is kept, with a warning. Different rows with one sourcedId, and a row that shares its
    sourcedId with a malformed row, are all quarantined, because the correct one is unknown.
    """
    diagnostics = list(_check_similar_keys(table, frame)) if table.name in FILES_WITH_TYPED_KEYS else []
    # The person of a malformed row of roles.csv is unknown: its first field is the role's own sourcedId.
    malformed = quarantine.select(pl.col("key").alias("sourced_id"), "line").drop_nulls()
    if not malformed.height and not _has_repeats(frame["sourced_id"]):
        return frame, create_empty_quarantine(), diagnostics
    every = pl.concat([frame.select("sourced_id", "line").drop_nulls(), malformed])
    lines = every.filter(pl.col("sourced_id").is_duplicated()).group_by("sourced_id").agg(pl.col("line").sort())
    rows = frame.join(lines.rename({"line": "lines"}), on="sourced_id", maintain_order="left")
    content = pl.struct(pl.exclude("line", "lines", "sourced_id")).n_unique().over("sourced_id")
    well_formed = ~pl.col("sourced_id").is_in(malformed["sourced_id"].implode())
    rows = rows.with_columns(((content == 1) & well_formed).alias("same"))
    surplus = rows.filter(pl.col("same") & ~pl.col("sourced_id").is_first_distinct())
    if surplus.height:
        line = surplus["line"][0]
        message = f"{surplus.height:,} rows are identical to an earlier row and are skipped (first line {line:,})"
        diagnostics.append(build_warning("repeated-row", message, Span(table.file, line)))
    different = rows.filter(~pl.col("same"))
    more = pl.when(pl.col("lines").list.len() > MOST_LINES).then(pl.lit(", ...")).otherwise(pl.lit(""))
    listed = pl.col("lines").list.head(MOST_LINES).cast(pl.List(pl.String)).list.join(", ") + more
    contradiction = build_quarantine(
        different.with_columns(listed.alias("listed")),
        RowFault(
            "duplicate-sourced-id",
            pl.format("sourcedId {} has conflicting rows: lines {}", format_value("sourced_id"), "listed"),
            "Keep the correct row. Until then the record stays unchanged.",
            column=1,
        ),
        kind=KIND_OF[table.name],
        file=table.file,
        key="user" if table.name == "roles" else "sourced_id",
    )
    excluded = pl.concat([surplus.select("line"), different.select("line")])
    return frame.join(excluded, on="line", how="anti", maintain_order="left"), contradiction, diagnostics


def _has_repeats(keys: pl.Series) -> bool:
    # Equal keys have equal hashes, and numbers are compared faster than text.
    filled = keys.drop_nulls()
    return filled.hash().n_unique() != filled.len() and filled.n_unique() != filled.len()


def _check_similar_keys(table: Table, frame: pl.DataFrame) -> Iterator[Diagnostic]:
    keys = frame.select("sourced_id", "line").drop_nulls().unique("sourced_id", keep="first", maintain_order=True)
    folded = make_caseless_column(keys["sourced_id"])
    if not _has_repeats(folded):
        return
    similar = keys.filter(folded.is_duplicated())
    line = similar["line"][0]
    yield build_warning(
        "keys-alike",
        f"{similar.height:,} sourcedIds differ from another only in case or letter form (first line {line:,})",
        Span(table.file, line),
        "Use one spelling if they mean the same; they are read as different.",
    )


#: Distinct unknown values for which the nearest known one is suggested.
MOST_HINTS = 1_000

#: Guardians and relatives of one person. Six are many; more than this is probably a class list.
MOST_AGENTS = 10

DELETIONS_SCHEMA: dict[str, type[pl.DataType]] = {"sourced_id": pl.String, "status": pl.String, "line": pl.Int64}

#: Quarantined rows, or a diagnostic about rows that are kept.
RowFinding: TypeAlias = pl.DataFrame | Diagnostic


@dataclass(frozen=True, slots=True)
class FileRows:
    """The checked rows of one file."""

    #: Data rows as read.
    row_count: int
    #: Good rows.
    frame: pl.DataFrame
    #: The other rows, one entry for each (QUARANTINE_SCHEMA).
    quarantine: pl.DataFrame
    #: Position of each field in the file, from 1.
    places: Mapping[str, int]
    diagnostics: tuple[Diagnostic, ...]
    #: The rows are changes only.
    delta: bool = False
    #: `sourced_id`, `status` and `line` of quarantined rows that clearly delete their record.
    deletions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=DELETIONS_SCHEMA))


def check_rows(sheet: Sheet) -> FileRows:
    """Apply every rule that needs this file alone; references to other files are checked later."""
    findings: list[RowFinding] = [sheet.quarantine, *sheet.diagnostics, *_check_agents(sheet)]
    frame = _drop_empty_rows(sheet, findings)
    frame, duplicates, warnings = remove_duplicates(sheet.table, frame, sheet.quarantine)
    findings += [duplicates, *warnings]
    values: list[pl.Series] = []
    unreadable: list[pl.Series] = []
    for column in sheet.table.columns_in_use:
        reading = _normalize_values(frame[str(column.field)], column)
        findings += _check_empty_values(sheet, frame, column)
        findings += _check_line_breaks(sheet, frame, column)
        findings += (
            _report_spelling(sheet, frame.filter(reading.nonstandard), column) if reading.nonstandard.any() else []
        )
        findings += (
            _report_unknown_values(sheet, frame.filter(reading.unknown), column) if reading.unknown.any() else []
        )
        if reading.unknown.any():
            unreadable.append(reading.unknown.alias(str(column.field)))
        if column.name == "status":
            findings += _check_status(sheet, frame)
        values.append(reading.values)
    quarantine = merge_row_faults(finding for finding in findings if isinstance(finding, pl.DataFrame))
    frame = frame.with_columns(*values, _list_unreadable_fields(unreadable, frame.height))
    deletions = _find_clear_deletions(frame, duplicates, quarantine)
    frame = frame.with_columns(pl.col("status").fill_null("active"))
    if quarantine.height:
        frame = frame.join(quarantine.select("line"), on="line", how="anti", maintain_order="left")
    diagnostics = tuple(finding for finding in findings if isinstance(finding, Diagnostic))
    return FileRows(sheet.row_count, frame, quarantine, sheet.places, diagnostics, sheet.delta, deletions)


def _list_unreadable_fields(unknown: list[pl.Series], height: int) -> pl.Series:
    """Return the column UNREADABLE. `unknown` has for each field, as its name, the rows with an unknown value."""
    if not unknown:
        return pl.repeat(None, height, dtype=pl.String, eager=True).alias(UNREADABLE)
    names = [pl.when(each.name).then(pl.lit(each.name)) for each in unknown]
    joined = pl.concat_str(names, separator=",", ignore_nulls=True).replace("", None)
    return pl.DataFrame(unknown).select(joined.alias(UNREADABLE)).to_series()


def _drop_empty_rows(sheet: Sheet, findings: list[RowFinding]) -> pl.DataFrame:
    # Spreadsheets leave rows of nothing but commas, which name nobody.
    frame = sheet.frame
    if not frame["sourced_id"].null_count():
        return frame
    empty = frame.select(pl.all_horizontal(pl.exclude("line").is_null())).to_series()
    if not empty.any():
        return frame
    findings.append(make_rows_warning(sheet.table.file, frame.filter(empty), "empty-row", "empty rows are skipped"))
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
        yield _build_fault(
            sheet, rows, column, "missing-value", f"{column.name} is empty", "Add it; every row requires one."
        )
    elif column.warn_if_empty and column.field in sheet.places:
        # Of a deleted record, often nothing is left.
        kept = rows.filter(~is_marked_deleted().fill_null(False))
        if kept.height:
            yield make_rows_warning(sheet.table.file, kept, "missing-value", f"{column.name} is empty")


def _check_line_breaks(sheet: Sheet, frame: pl.DataFrame, column: Column) -> Iterator[RowFinding]:
    # Only keys are checked: titles and names may contain line breaks and tabs.
    if column.value not in (ValueType.REFERENCE, ValueType.LIST) or not sheet.may_have_breaks:
        return
    rows = frame.filter(pl.col(str(column.field)).str.contains(LINE_BREAK))
    if rows.height:
        key = pl.col(_get_key_field(sheet))
        rows = rows.with_columns(pl.when(~key.str.contains(LINE_BREAK)).then(key).alias(_get_key_field(sheet)))
        message = f"{column.name} contains a line break or a tab"
        yield _build_fault(
            sheet, rows, column, "control-character", message, "Remove it at its source, and export again."
        )


def _check_status(sheet: Sheet, frame: pl.DataFrame) -> Iterator[RowFinding]:
    file = sheet.table.file
    filled = frame.filter(pl.col("status").is_not_null())
    if sheet.delta and filled.height < frame.height:
        yield build_quarantine(
            frame.filter(pl.col("status").is_null()),
            RowFault(
                "missing-status",
                "status is empty, but a delta row must say if its record is active or deleted",
                "Write active or tobedeleted, or declare the file as bulk if it is complete.",
                sheet.places.get("status", 0),
            ),
            kind=KIND_OF[sheet.table.name],
            file=file,
            key=_get_key_field(sheet),
        )
    if filled.height:
        if not sheet.delta:
            yield make_rows_warning(file, filled, "status-in-bulk", "status must be blank in a bulk file")
        inactive = filled.filter(pl.col("status").str.to_lowercase() == "inactive")
        if inactive.height:
            yield make_rows_warning(
                file,
                inactive,
                "inactive-status",
                "status inactive of OneRoster 1.0 removes a record, as tobedeleted does",
            )


def _find_clear_deletions(frame: pl.DataFrame, duplicates: pl.DataFrame, quarantine: pl.DataFrame) -> pl.DataFrame:
    # A row that deletes its record need not be complete, but is unclear if another row names the same record.
    return frame.filter(
        is_marked_deleted()
        & pl.col("sourced_id").is_not_null()
        & pl.col("line").is_in(quarantine["line"].implode())
        & ~pl.col("line").is_in(duplicates["line"].implode())
    ).select(list(DELETIONS_SCHEMA))


def _check_agents(sheet: Sheet) -> Iterator[RowFinding]:
    # More guardians than anybody has: the column was probably filled by mistake.
    agents = sheet.side_values.get(AGENTS)
    if agents is None or agents.null_count() == agents.len():
        return
    many = sheet.frame.select("line").filter(agents.str.count_matches(",", literal=True) >= MOST_AGENTS)
    if many.height:
        yield make_rows_warning(sheet.table.file, many, "many-agents", f"{AGENTS} names more than {MOST_AGENTS} people")


def _report_spelling(sheet: Sheet, rows: pl.DataFrame, column: Column) -> Iterator[RowFinding]:
    yield make_rows_warning(
        sheet.table.file,
        rows,
        "value-spelling",
        f"{column.name} is not spelled as the standard requires, but is understood",
    )


def _report_unknown_values(sheet: Sheet, rows: pl.DataFrame, column: Column) -> Iterator[RowFinding]:
    hint = pl.lit(None, dtype=pl.String)
    match column.value:
        case ValueType.DATE:
            code, message = "invalid-date", f"{column.name} is not a date such as 2026-08-31"
        case ValueType.BOOLEAN:
            code, message = "invalid-boolean", f"{column.name} is neither true nor false"
        case _:
            code = f"unknown-{_format_hyphenated(column.name)}"
            message = f"{column.name} is not one of {', '.join(column.vocabulary)}"
            hint = _suggest_nearest(rows[str(column.field)], column)
    if not column.required and column.name != "status":
        yield make_rows_warning(
            sheet.table.file, rows, code, f"{message}; it is not used, and a known record keeps its value"
        )
        return
    text: str | pl.Expr = message
    if column.value is ValueType.ENUMERATION:
        text = pl.format(f"{column.name} {{}} is not a OneRoster {column.name}", format_value(str(column.field)))
    yield _build_fault(sheet, rows, column, code, text, hint)


def _format_hyphenated(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)


def _suggest_nearest(values: pl.Series, column: Column) -> pl.Expr:
    """Return a hint with the valid values and, if one is similar, the nearest."""
    valid = f"Use one of {', '.join(column.vocabulary)}."
    near = {
        word: f"Did you mean {meant}? {valid}"
        for word in values.unique().sort().head(MOST_HINTS).to_list()
        if (meant := find_intended_name(word[:100], column.vocabulary))
    }
    return pl.col(str(column.field)).replace_strict(near, default=valid, return_dtype=pl.String)


def _get_key_field(sheet: Sheet) -> str:
    """Return the field that identifies a bad row's record; a row of roles.csv belongs to its user."""
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
