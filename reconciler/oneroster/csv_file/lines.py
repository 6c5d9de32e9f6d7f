"""The closer look at a CSV file: its physical lines put together to rows, and the rows that are malformed.

Needed only where a file's skeleton is not plain: it has quotes, blank lines, control characters or rows with too
few or too many fields. Everything is done by columns; no row becomes a Python object.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.model.kind import Kind
from reconciler.oneroster.csv_file.parser import ParserInput, build_plain_input, build_row_input
from reconciler.oneroster.csv_file.quarantine import RowFault, build_quarantine, create_empty_quarantine
from reconciler.oneroster.csv_file.text import extract_skeleton, has_control

#: A value longer than this is a quotation mark that was never closed.
MOST_FIELD_LENGTH = 64 * 1024
#: So many malformed rows are the rows' fault; more are the file's.
MOST_MALFORMED = 10
MOST_MALFORMED_SHARE = 0.01

FIELD = r'(?:[^",]*|"(?:[^"]|"")*")'
QUOTED = r'"(?:[^"]|"")*"'
FIRST_FIELD = r'^(?:"((?:[^"]|"")*)"|([^",]*))(?:,|$)'
CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"


@dataclass(frozen=True, slots=True)
class TextRows:
    """The rows of a file below its header."""

    #: Well-formed rows only.
    input: ParserInput
    #: Rows with the malformed ones.
    row_count: int
    #: Some rows take several physical lines.
    multiline: bool
    quarantine: pl.DataFrame


def read_rows(file: str, data: bytes, width: int, kind: Kind | None, *, key_first: bool = True) -> TextRows:
    """Return a file's rows, the malformed ones quarantined.

    kind: of a malformed row; None for a file whose rows are no roster entities. key_first: the first field names the
    row. Raises Refusal where the file is cut off, a quotation mark is not closed, or too much of it is malformed.
    """
    bones = extract_skeleton(data)
    plain = build_plain_input(data, bones, width)
    if plain is not None:
        return TextRows(plain, plain.lines.len(), False, create_empty_quarantine())
    control = has_control(bones)
    del bones
    lines = split_lines(data)
    well_formed = f"^{FIELD}(?:,{FIELD}){{{width - 1}}}$"
    # A line that is a whole row has closed every quotation it opened: if all are, no row takes several lines.
    if not control and lines["text"].str.contains(well_formed).all():
        whole = ParserInput(data, lines["line"], skip=1, has_quotes=True)
        return TextRows(whole, lines.height, False, create_empty_quarantine())
    whole_end = data.endswith(b"\n")
    odd = mark_odd_quotes(lines)
    if odd.sum() % 2:
        raise Refusal([_make_unclosed_error(file, lines.filter(odd), lines.tail(1), width, whole_end)])
    joined = bool(odd.any())
    rows = join_lines(lines, odd).select("line", "text")
    blank = rows["text"] == ""
    if blank.any():
        rows = rows.filter(~blank)
    if not whole_end and rows.height:
        _check_file_end(file, rows, width)
    well = rows["text"].str.contains(well_formed)
    if control:
        well &= ~rows["text"].str.contains(CONTROL)
    if joined:
        _check_joined_rows(file, rows.with_columns(well.alias("well")), width)
    aside = create_empty_quarantine()
    if not well.all():
        aside = _collect_malformed_rows(file, rows.filter(~well), width, rows.height, kind, key_first)
    return TextRows(build_row_input(rows.filter(well), "text"), rows.height, joined, aside)


def split_lines(data: bytes) -> pl.DataFrame:
    """Return the physical lines below the header as `line` (the header is 1) and `text`."""
    lines = pl.read_lines(data, name="text", row_index_name="line", row_index_offset=1)
    return lines.with_columns(pl.col("line").cast(pl.Int64)).slice(1)


def mark_odd_quotes(lines: pl.DataFrame) -> pl.Series:
    """Return for each line whether it opens a quotation without closing it, or closes one of a line above."""
    return lines["text"].str.count_matches('"', literal=True) % 2 == 1


def join_lines(lines: pl.DataFrame, odd: pl.Series) -> pl.DataFrame:
    """Return rows as `line`, `text` and `joined`: a line end inside quotes ends no row.

    odd: for each line, as `mark_odd_quotes` gives it; an even number of them.
    """
    if not odd.any():
        return lines.with_columns(pl.lit(False).alias("joined"))
    inside = (odd.cast(pl.Int64).cum_sum() - odd.cast(pl.Int64)) % 2 == 1
    starts = lines.select(
        pl.when(inside).then(None).otherwise(pl.col("line")).forward_fill().alias("line"),
        "text",
    ).with_columns(pl.col("line").is_duplicated().alias("joined"))
    several = starts.filter("joined").group_by("line", maintain_order=True)
    together = several.agg(pl.col("text").str.join("\n"), pl.col("joined").first())
    return pl.concat([starts.filter(~pl.col("joined")), together]).sort("line")


def count_fields() -> pl.Expr:
    """Return the number of fields of `text`; a comma inside quotes parts none."""
    return pl.col("text").str.replace_all(QUOTED, "").str.count_matches(",", literal=True).cast(pl.Int64) + 1


def extract_first_field() -> pl.Expr:
    """Return the first field of `text` without the quotes around it; null where it is malformed."""
    return pl.col("text").str.extract(FIRST_FIELD, 1).fill_null(pl.col("text").str.extract(FIRST_FIELD, 2))


def _make_unclosed_error(
    file: str, opening: pl.DataFrame, last: pl.DataFrame, width: int, ends_with_newline: bool
) -> Diagnostic:
    """The most likely start of the quotation that never ends: the first line that opens one; where only the file's
    last line does, the file was cut off."""
    first = opening["line"][0]
    if first == last["line"][0] and not ends_with_newline:
        fields = last.select(count_fields()).item()
        return _make_cut_off_error(file, first, f"{fields} of {width} fields, inside a quotation")
    return build_error(
        "unbalanced-quote",
        f"a quotation mark is never closed; the first line to look at is {first:,}",
        Span(file, first),
        "quote the whole value and double the quotation marks inside it",
    )


def _check_file_end(file: str, rows: pl.DataFrame, width: int) -> None:
    """A last row without a line end and with too few fields: what followed it is unknown."""
    fields = rows.tail(1).select(count_fields()).item()
    if fields < width:
        raise Refusal([_make_cut_off_error(file, rows["line"][-1], f"{fields} of {width} fields")])


def _make_cut_off_error(file: str, line: int, how: str) -> Diagnostic:
    return build_error(
        "truncated-file",
        f"{file} ends in the middle of line {line:,} ({how})",
        Span(file, line),
        "the upload or the export was probably cut off; send the file again",
    )


def _check_joined_rows(file: str, rows: pl.DataFrame, width: int) -> None:
    """A row of several lines must be sure to have swallowed no other row: those people would count as gone.

    Two stray quotation marks in two rows make one row of both, which then has the commas of two.
    """
    text = pl.col("text")
    suspect = rows.filter(
        text.str.contains("\n", literal=True)
        & (
            ~pl.col("well")
            | (text.str.count_matches(",", literal=True) >= 2 * (width - 1))
            | (text.str.len_bytes() > MOST_FIELD_LENGTH)
        )
    )
    if suspect.height:
        line = suspect["line"][0]
        raise Refusal(
            [
                build_error(
                    "unbalanced-quote",
                    f"a quotation that begins in line {line:,} goes on over its end and may hide other rows",
                    Span(file, line),
                    "quote the whole value, double the quotation marks inside it, and leave out line breaks",
                )
            ]
        )


def _collect_malformed_rows(
    file: str, rows: pl.DataFrame, width: int, total: int, kind: Kind | None, key_first: bool
) -> pl.DataFrame:
    control = rows["text"].str.contains(CONTROL)
    shape = int((~control).sum())
    if shape > max(MOST_MALFORMED, int(total * MOST_MALFORMED_SHARE)):
        first = rows.filter(~control)["line"][0]
        raise Refusal(
            [
                build_error(
                    "too-many-malformed-rows",
                    f"{shape:,} of {total:,} rows do not have the header's {width} fields, the first in line {first:,}",
                    Span(file, first),
                    "values that hold a comma or a quotation mark must be quoted; export it again",
                )
            ]
        )
    if kind is None:
        return create_empty_quarantine()
    key = _extract_key() if key_first else pl.lit(None, dtype=pl.String)
    marked = rows.with_columns(count_fields().alias("fields"), control.alias("control"), key.alias("key"))
    ragged = pl.col("fields") != width

    def aside(which: pl.Expr, code: str, message: str | pl.Expr, hint: str) -> pl.DataFrame:
        return build_quarantine(marked.filter(which), RowFault(code, message, hint), kind=kind, file=file, key="key")

    quote = "quote the whole value and double the quotation marks inside it"
    return pl.concat(
        [
            aside(
                pl.col("control"),
                "control-character",
                "the row holds NUL or another control character",
                "remove it at its source and export again",
            ),
            aside(
                ~pl.col("control") & ragged,
                "ragged-row",
                pl.format(f"the row has {{}} fields, the header {width}", "fields"),
                "quote values that hold a comma, or remove what is too much",
            ),
            aside(
                ~pl.col("control") & ~ragged, "stray-quote", "a quotation mark stands in the middle of a value", quote
            ),
        ]
    )


def _extract_key() -> pl.Expr:
    """Return the sourcedId of a malformed row; null where it cannot be read for sure."""
    key = extract_first_field().str.replace_all('""', '"', literal=True).str.strip_chars()
    return pl.when((key != "") & ~key.str.contains(r"[\x00-\x1f\x7f]")).then(key)
