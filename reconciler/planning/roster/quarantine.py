"""Builds the quarantined rows that planning adds to those of the reader."""

import polars as pl

from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import QUARANTINE_SCHEMA
from reconciler.planning.frames.change_frame import CSV_FILES


def build_quarantine_rows(
    kind: Kind, rows: pl.DataFrame, key: str, code: str, message: pl.Expr, hint: str | pl.Expr
) -> pl.DataFrame:
    """Return rows of QUARANTINE_SCHEMA for `rows`, whose sourcedId is in the column `key`; people keep the values by
    which they can be matched."""
    values = {
        "kind": pl.lit(kind.value),
        "key": pl.col(key),
        "file": pl.lit(CSV_FILES[kind]),
        "line": pl.col("line"),
        "column": pl.lit(0),
        "code": pl.lit(code),
        "message": message,
        "hint": pl.lit(hint) if isinstance(hint, str) else hint,
    }
    if kind is Kind.USER:
        values |= {"identifier": pl.col("identifier"), "email": pl.col("email"), "username": pl.col("roster_username")}
    return rows.select(
        values.get(name, pl.lit(None)).cast(type_).alias(name) for name, type_ in QUARANTINE_SCHEMA.items()
    )
