"""Frames of quarantined rows, with the problem, its position and a hint for each row."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_warning
from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA

#: Fields other than the sourcedId that may identify an account.
KNOWN_BY = ("identifier", "email", "username")
#: Characters of a value that a message repeats.
MOST_SHOWN = 40
#: Marks that change the text direction; a value with one can make a line look like another.
TURNING = r"[\x{061C}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2066}-\x{2069}\x{FEFF}]"


def create_empty_quarantine() -> pl.DataFrame:
    """Return a frame of QUARANTINE_SCHEMA without rows."""
    return pl.DataFrame(schema=QUARANTINE_SCHEMA)


@dataclass(frozen=True, slots=True)
class RowFault:
    """A reason to quarantine rows; expressions are evaluated for each row."""

    code: str
    message: str | pl.Expr
    hint: str | pl.Expr | None = None
    #: Position in the file, from 1; 0 for the row as a whole.
    column: int = 0


def build_quarantine(rows: pl.DataFrame, fault: RowFault, *, kind: Kind, file: str, key: str) -> pl.DataFrame:
    """Return one row of QUARANTINE_SCHEMA for each of `rows`, which has `line` and the column `key`."""
    message, hint = fault.message, fault.hint
    return rows.select(
        pl.lit(kind.value).alias("kind"),
        pl.col(key).cast(pl.String).alias("key"),
        pl.lit(file).alias("file"),
        pl.col("line").cast(pl.Int64),
        pl.lit(fault.column, dtype=pl.Int64).alias("column"),
        pl.lit(fault.code).alias("code"),
        (pl.lit(message) if isinstance(message, str) else message).alias("message"),
        (hint if isinstance(hint, pl.Expr) else pl.lit(hint, dtype=pl.String)).alias("hint"),
        *[
            pl.col(name) if kind is Kind.USER and name in rows.columns else pl.lit(None, dtype=pl.String).alias(name)
            for name in KNOWN_BY
        ],
    )


def merge_row_faults(faults: Iterable[pl.DataFrame]) -> pl.DataFrame:
    """Merge the faults of each row into one entry with the position of the first and all messages."""
    merged = pl.concat([create_empty_quarantine(), *faults]).sort("line", "column", maintain_order=True)
    if not merged["line"].is_duplicated().any():
        return merged
    return (
        merged.group_by("file", "line", maintain_order=True)
        .agg(
            pl.col("kind", "key", "column", "code", *KNOWN_BY).first(),
            pl.col("message").unique(maintain_order=True).str.join("; "),
            pl.col("hint").drop_nulls().first(),
        )
        .select(list(QUARANTINE_SCHEMA))
    )


def format_value(column: str) -> pl.Expr:
    """Return a value for a message: in quotes, without direction marks, shortened to MOST_SHOWN characters."""
    value = pl.col(column).str.replace_all(TURNING, "?")
    short = pl.when(value.str.len_chars() > MOST_SHOWN).then(value.str.head(MOST_SHOWN) + "...").otherwise(value)
    return pl.lit('"') + short + pl.lit('"')


def make_rows_warning(file: str, rows: pl.DataFrame, code: str, message: str, hint: str | None = None) -> Diagnostic:
    """Return one warning for many rows, with their number and the first line; `rows` has `line`."""
    first = rows["line"].min()
    line = first if isinstance(first, int) else 0
    many = f"{rows.height:,} rows, first line {line:,}" if rows.height != 1 else f"line {line:,}"
    return build_warning(code, f"{message} ({many})", Span(file, line), hint)
