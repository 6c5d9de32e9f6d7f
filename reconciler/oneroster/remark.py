"""One warning for many rows of a file."""

from __future__ import annotations

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, warning


def remark(file: str, rows: pl.DataFrame, code: str, message: str, hint: str | None = None) -> Diagnostic:
    """Says how many rows it is about, and where the first of them is. `rows` has `line`."""
    first = rows["line"].min()
    line = first if isinstance(first, int) else 0
    many = f"{rows.height:,} rows, first line {line:,}" if rows.height != 1 else f"line {line:,}"
    return warning(code, f"{message} ({many})", Span(file, line), hint)
