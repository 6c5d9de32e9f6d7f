"""What deviates, collected: every finding is counted, and of each rule the first are kept to be listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_info, sort_diagnostics
from reconciler.oneroster.strict.rules import RULES

#: So many findings of one rule are listed unless all are asked for.
MOST_LISTED = 20

SCHEMA: dict[str, type[pl.DataType]] = {
    "file": pl.String,
    "line": pl.Int64,
    "column": pl.Int64,
    "code": pl.String,
    "message": pl.String,
}


class Findings:
    """counts: findings by code. refusals: what an archive or one of its files was refused for.

    A message never repeats a value of a row: what is wrong is said by its place.
    """

    def __init__(self, most: int | None = MOST_LISTED) -> None:
        """most: findings of one rule to be listed; all of them with None."""
        self._most = most
        self._kept: list[pl.DataFrame] = []
        self.counts: Counter[str] = Counter()
        self.refusals: list[Diagnostic] = []

    def add_finding(self, code: str, message: str, file: str, line: int = 0, column: int = 0) -> None:
        """One finding. line and column count from 1; 0 where there is none."""
        self.add_rows(code, message, file, pl.DataFrame({"line": [line]}), column)

    def add_rows(self, code: str, message: str | pl.Expr, file: str, rows: pl.DataFrame, column: int | pl.Expr) -> None:
        """One finding for each of `rows`, which has `line` and what the expressions need."""
        if not rows.height:
            return
        self.counts[code] += rows.height
        if self._most is not None:
            rows = rows.bottom_k(self._most, by="line")
        self._kept.append(
            rows.select(
                pl.lit(file).alias("file"),
                pl.col("line").cast(pl.Int64),
                (pl.lit(column) if isinstance(column, int) else column).cast(pl.Int64).alias("column"),
                pl.lit(code).alias("code"),
                (pl.lit(message) if isinstance(message, str) else message).alias("message"),
            )
        )

    def add_refusals(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.refusals.extend(diagnostics)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def has_errors(self) -> bool:
        return any(diagnostic.is_error for diagnostic in self.refusals) or any(
            RULES[code].severity == "error" for code in self.counts
        )

    def build_diagnostics(self) -> tuple[Diagnostic, ...]:
        """The refusals, then the findings by file and place, at last how many of which rule are not listed."""
        every = pl.concat([pl.DataFrame(schema=SCHEMA), *self._kept]).sort(list(SCHEMA))
        if self._most is not None:
            every = every.filter(pl.int_range(pl.len()).over("code") < self._most)
        listed = [
            Diagnostic(code, RULES[code].severity, message, Span(file, line, column), RULES[code].hint)
            for file, line, column, code, message in every.iter_rows()
        ]
        shown = Counter(diagnostic.code for diagnostic in listed)
        more = [
            build_info(code, f"and {count - shown[code]:,} more of the same rule, not listed")
            for code, count in sorted(self.counts.items())
            if count > shown[code]
        ]
        return (*sort_diagnostics(self.refusals), *listed, *more)
