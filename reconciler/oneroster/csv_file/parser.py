"""Parses well-formed CSV rows into columns of text."""

import io
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class ParserInput:
    """Rows ready for a parser: all well-formed, without blank lines."""

    text: bytes
    #: Physical line of each row; the header is 1.
    lines: pl.Series
    #: Lines of `text` before the first row.
    skip: int
    has_quotes: bool

    def parse_columns(self, places: Mapping[str, int]) -> pl.DataFrame | None:
        """Return columns as text, null where empty, in the file's order, then `line`; None if the parser fails.

        `places` has each column's index, from 0.
        """
        lines = self.lines.cast(pl.Int64).alias("line")
        names = sorted(places, key=lambda name: places[name])
        if not names:
            return lines.to_frame()
        if not lines.len():
            return pl.DataFrame(schema=dict.fromkeys(names, pl.String)).with_columns(lines)
        frame = self._read_csv([places[name] for name in names])
        if frame is None or frame.height != lines.len():
            return None
        frame.columns = names
        return (frame.with_columns(pl.all().replace("", None)) if self.has_quotes else frame).with_columns(lines)

    def _read_csv(self, columns: list[int]) -> pl.DataFrame | None:
        try:
            return pl.read_csv(
                self.text,
                has_header=False,
                skip_lines=self.skip,
                columns=columns,
                infer_schema=False,
                quote_char='"' if self.has_quotes else None,
            )
        except pl.exceptions.PolarsError:
            # The exception quotes the file, and with it people's names, so it is not passed on.
            return None


def build_plain_input(data: bytes, bones: bytes, width: int) -> ParserInput | None:
    """Return a file unchanged if its skeleton shows one unquoted row per line, else None."""
    row = b"," * (width - 1) + b"\n"
    count = len(bones) // len(row)
    # In a file of one column, a blank line looks like a row.
    if width == 1 or bones != row * count:
        return None
    return ParserInput(data, pl.int_range(2, count + 1, eager=True), skip=1, has_quotes=False)


def build_row_input(rows: pl.DataFrame, text: str | pl.Expr) -> ParserInput:
    """Return rows as CSV, written from the column or expression `text`; `rows` also has `line`."""
    sink = io.BytesIO()
    rows.select(text).write_csv(sink, include_header=False, quote_style="never")
    return ParserInput(sink.getvalue(), rows["line"], skip=0, has_quotes=True)
