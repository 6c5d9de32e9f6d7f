"""Refuses a file that cannot be a roster's while it is unpacked, before all of it is in memory.

It checks only for endless rows, quotes and headers, and for the header of another file; all other checks follow once
the file is complete.
"""

import codecs
from collections.abc import Callable

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.oneroster.csv_file.header import read_header
from reconciler.oneroster.csv_file.text import BYTE_ORDER_MARKS
from reconciler.oneroster.standard.tables import Standard, Table

#: In bytes. No file of the standard has a longer header row or more columns, even with all extensions.
MOST_HEADER_LENGTH = 64 * 1024
MOST_COLUMNS = 500
#: Bytes from which a row or a quoted value counts as endless; detected for certain from twice as many.
ENDLESS = 1024**2

HeaderCheck = Callable[[bytes], object]


class ShapeGuard:
    """Checks the chunks of one file in order; the first must be longer than any header row.

    The header check raises Refusal for another file's header; it runs only for files of several chunks.
    """

    def __init__(self, file: str, header: HeaderCheck | None = None) -> None:
        self._file = file
        self._header = header
        self._first: bytes | None = None
        self._lines = 0
        self._row = 0
        self._quoted: int | None = None
        self._quoted_from = 1

    def check_chunk(self, piece: bytes) -> None:
        """Check the next chunk. Raises Refusal."""
        if self._first is None:
            self._first = _extract_header_row(piece)
            self._check_header_length(self._first)
        elif self._header is not None:
            self._header(self._first)
            self._header = None
        self._check_quotes(piece)
        self._check_rows(piece)
        self._lines += piece.count(b"\n")

    def _check_header_length(self, row: bytes) -> None:
        if len(row) > MOST_HEADER_LENGTH or row.count(b",") >= MOST_COLUMNS:
            raise Refusal(
                [
                    build_error(
                        "huge-header",
                        f"the header row is longer than {MOST_HEADER_LENGTH // 1024} KiB or has more than"
                        f" {MOST_COLUMNS} columns",
                        Span(self._file, 1),
                        "Export the file with the columns of the standard.",
                    )
                ]
            )

    def _check_quotes(self, piece: bytes) -> None:
        marks = piece.count(b'"')
        if self._quoted is not None:
            self._quoted += piece.find(b'"') if marks else len(piece)
            if self._quoted > ENDLESS:
                raise Refusal([self._make_endless_quote_error()])
        if marks and (self._quoted is None) == bool(marks % 2):
            last = piece.rfind(b'"')
            self._quoted = len(piece) - last - 1
            self._quoted_from = self._lines + piece.count(b"\n", 0, last) + 1
        elif marks:
            self._quoted = None

    def _check_rows(self, piece: bytes) -> None:
        first = max(piece.find(b"\n"), piece.find(b"\r"))
        self._row += len(piece) if first < 0 else first
        if self._row > ENDLESS:
            line = self._lines + 1
            raise Refusal(
                [
                    build_error(
                        "huge-row",
                        f"line {line:,} is longer than {ENDLESS // 1024**2} MiB",
                        Span(self._file, line),
                        "Export the file again; this is not a CSV file.",
                    )
                ]
            )
        if first >= 0:
            self._row = len(piece) - 1 - max(piece.rfind(b"\n"), piece.rfind(b"\r"))

    def _make_endless_quote_error(self) -> Diagnostic:
        return build_error(
            "unbalanced-quote",
            f"a quotation mark in line {self._quoted_from:,} is not closed within {ENDLESS // 1024**2} MiB",
            Span(self._file, self._quoted_from),
            "Quote the whole value, and double the quotation marks inside it.",
        )


def build_shape_guard(table: Table, standard: Standard) -> ShapeGuard:
    """Return the guard of a file of the standard, which also checks that the header is not another file's."""

    def header(row: bytes) -> None:
        if row:
            read_header(table, row, standard)

    return ShapeGuard(table.file, header)


def _extract_header_row(piece: bytes) -> bytes:
    """Return the header row, or nothing if the file's encoding is wrong, which `check_text` reports later."""
    if piece.startswith(tuple(mark for mark, _ in BYTE_ORDER_MARKS)):
        return b""
    ends = [end for end in (piece.find(b"\n"), piece.find(b"\r")) if end >= 0]
    return piece[: min(ends, default=len(piece))].removeprefix(codecs.BOM_UTF8)
