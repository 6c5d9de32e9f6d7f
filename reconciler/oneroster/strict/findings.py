"""Collects violations: counts all of them and keeps the first of each rule for the list."""

from collections import Counter
from collections.abc import Iterable

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, build_info, sort_diagnostics
from reconciler.oneroster.strict.rules import RULES

#: Violations of one rule to list by default.
MOST_LISTED = 20

SCHEMA: dict[str, type[pl.DataType]] = {
    "file": pl.String,
    "line": pl.Int64,
    "column": pl.Int64,
    "code": pl.String,
    "message": pl.String,
}


class Findings:
    """Violations and refusals of one archive. No message repeats a value of a row; the position identifies it."""

    def __init__(self, most: int | None = MOST_LISTED) -> None:
        """List at most `most` violations of a rule; all with None."""
        self._most = most
        self._kept: list[pl.DataFrame] = []
        #: Number of violations by code.
        self.counts: Counter[str] = Counter()
        #: Errors for which the archive or a file was refused.
        self.refusals: list[Diagnostic] = []

    def add_finding(self, code: str, message: str, file: str, line: int = 0, column: int = 0) -> None:
        """Add one violation; line and column count from 1, and 0 means none."""
        self.add_rows(code, message, file, pl.DataFrame({"line": [line]}), column)

    def add_rows(self, code: str, message: str | pl.Expr, file: str, rows: pl.DataFrame, column: int | pl.Expr) -> None:
        """Add one violation for each of `rows`, which has `line` and the columns of the expressions."""
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
        """Add the diagnostics of a Refusal."""
        self.refusals.extend(diagnostics)

    @property
    def total(self) -> int:
        """Number of violations."""
        return sum(self.counts.values())

    @property
    def has_errors(self) -> bool:
        """Whether there is a refusal or a violation of severity error."""
        return any(diagnostic.is_error for diagnostic in self.refusals) or any(
            RULES[code].severity == "error" for code in self.counts
        )

    def build_diagnostics(self) -> tuple[Diagnostic, ...]:
        """Return the refusals, the violations by file and position, and the number of unlisted ones of each rule."""
        kept = pl.concat([pl.DataFrame(schema=SCHEMA), *self._kept]).sort(list(SCHEMA))
        if self._most is not None:
            kept = kept.filter(pl.int_range(pl.len()).over("code") < self._most)
        listed = [
            Diagnostic(code, RULES[code].severity, message, Span(file, line, column), RULES[code].hint)
            for file, line, column, code, message in kept.iter_rows()
        ]
        shown = Counter(diagnostic.code for diagnostic in listed)
        more = [
            build_info(code, f"{count - shown[code]:,} more violations of this rule are not listed")
            for code, count in sorted(self.counts.items())
            if count > shown[code]
        ]
        return (*sort_diagnostics(self.refusals), *listed, *more)
