"""Joins the physical lines of a CSV file to rows and quarantines malformed rows.

Needed only for a file with quotes, blank lines, control characters or rows with too few or too many fields. It works
on columns; no row becomes a Python object.
"""

from dataclasses import dataclass

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, Span, build_error
from reconciler.model.kind import Kind
from reconciler.oneroster.csv_file.parser import ParserInput, build_plain_input, build_row_input
from reconciler.oneroster.csv_file.quarantine import RowFault, build_quarantine, create_empty_quarantine
from reconciler.oneroster.csv_file.text import extract_skeleton, has_control

#: In bytes. A longer value means that a quotation mark was never closed.
MOST_FIELD_LENGTH = 64 * 1024
#: Malformed rows to quarantine one by one; more refuse the file.
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
    #: Number of rows, malformed ones included.
    row_count: int
    #: Some rows span several physical lines.
    multiline: bool
    quarantine: pl.DataFrame


def read_rows(file: str, data: bytes, width: int, kind: Kind | None, *, key_first: bool = True) -> TextRows:
    """Return a file's rows, the malformed ones quarantined.

    The kind is None for a file whose rows are not roster entities; its malformed rows are dropped. `key_first` means
    that the first field is the row's key. Raises Refusal if the file is cut off, a quotation mark is not closed, or too
    many rows are malformed.
    """
    bones = extract_skeleton(data)
    plain = build_plain_input(data, bones, width)
    if plain is not None:
        return TextRows(plain, plain.lines.len(), False, create_empty_quarantine())
    control = has_control(bones)
    del bones
    lines = split_lines(data)
    well_formed = f"^{FIELD}(?:,{FIELD}){{{width - 1}}}$"
    # A line that is a well-formed row closes every quotation; if all lines are, no row spans several lines.
    if not control and lines["text"].str.contains(well_formed).all():
        quoted = ParserInput(data, lines["line"], skip=1, has_quotes=True)
        return TextRows(quoted, lines.height, False, create_empty_quarantine())
    ends_with_newline = data.endswith(b"\n")
    odd = mark_odd_quotes(lines)
    if odd.sum() % 2:
        raise Refusal([_make_unclosed_error(file, lines.filter(odd), lines.tail(1), width, ends_with_newline)])
    joined = bool(odd.any())
    rows = join_lines(lines, odd).select("line", "text")
    blank = rows["text"] == ""
    if blank.any():
        rows = rows.filter(~blank)
    if not ends_with_newline and rows.height:
        _check_file_end(file, rows, width)
    well = rows["text"].str.contains(well_formed)
    if control:
        well &= ~rows["text"].str.contains(CONTROL)
    if joined:
        _check_joined_rows(file, rows.with_columns(well.alias("well")), width)
    quarantine = create_empty_quarantine()
    if not well.all():
        quarantine = _collect_malformed_rows(file, rows.filter(~well), width, rows.height, kind, key_first)
    return TextRows(build_row_input(rows.filter(well), "text"), rows.height, joined, quarantine)


def split_lines(data: bytes) -> pl.DataFrame:
    """Return the physical lines below the header as `line` (the header is 1) and `text`."""
    lines = pl.read_lines(data, name="text", row_index_name="line", row_index_offset=1)
    return lines.with_columns(pl.col("line").cast(pl.Int64)).slice(1)


def mark_odd_quotes(lines: pl.DataFrame) -> pl.Series:
    """Return for each line whether it opens or closes a quotation that spans several lines."""
    return lines["text"].str.count_matches('"', literal=True) % 2 == 1


def join_lines(lines: pl.DataFrame, odd: pl.Series) -> pl.DataFrame:
    """Return rows as `line`, `text` and `joined` (it spans several lines): a line end inside quotes ends no row.

    `odd` is the result of `mark_odd_quotes`, with an even number of true values.
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
    """Return the number of fields of `text`; a comma inside quotes does not separate fields."""
    return pl.col("text").str.replace_all(QUOTED, "").str.count_matches(",", literal=True).cast(pl.Int64) + 1


def extract_first_field() -> pl.Expr:
    """Return the first field of `text` without surrounding quotes; null if it is malformed."""
    return pl.col("text").str.extract(FIRST_FIELD, 1).fill_null(pl.col("text").str.extract(FIRST_FIELD, 2))


def _make_unclosed_error(
    file: str, opening: pl.DataFrame, last: pl.DataFrame, width: int, ends_with_newline: bool
) -> Diagnostic:
    # The first line that opens a quotation is the likeliest culprit; if it is the last line, the file was cut off.
    first = opening["line"][0]
    if first == last["line"][0] and not ends_with_newline:
        fields = last.select(count_fields()).item()
        return _make_cut_off_error(file, first, f"{fields} of {width} fields, inside a quotation")
    return build_error(
        "unbalanced-quote",
        f"a quotation mark is never closed; check from line {first:,}",
        Span(file, first),
        "Quote the whole value, and double the quotation marks inside it.",
    )


def _check_file_end(file: str, rows: pl.DataFrame, width: int) -> None:
    # Without a line end and with too few fields, the last row shows that more was to follow.
    fields = rows.tail(1).select(count_fields()).item()
    if fields < width:
        raise Refusal([_make_cut_off_error(file, rows["line"][-1], f"{fields} of {width} fields")])


def _make_cut_off_error(file: str, line: int, how: str) -> Diagnostic:
    return build_error(
        "truncated-file",
        f"{file} ends in the middle of line {line:,} ({how})",
        Span(file, line),
        "Send the file again; the upload or the export was probably cut off.",
    )


def _check_joined_rows(file: str, rows: pl.DataFrame, width: int) -> None:
    """Refuse a row of several lines that may contain other rows, because their people would count as removed.

    Two stray quotation marks in two rows join them to one, which then has the commas of both.
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
                    f"a quotation that begins in line {line:,} spans several lines and may hide other rows",
                    Span(file, line),
                    "Quote the whole value, double the quotation marks inside it, and remove line breaks.",
                )
            ]
        )


def _collect_malformed_rows(
    file: str, rows: pl.DataFrame, width: int, total: int, kind: Kind | None, key_first: bool
) -> pl.DataFrame:
    control = rows["text"].str.contains(CONTROL)
    uneven = int((~control).sum())
    if uneven > max(MOST_MALFORMED, int(total * MOST_MALFORMED_SHARE)):
        first = rows.filter(~control)["line"][0]
        raise Refusal(
            [
                build_error(
                    "too-many-malformed-rows",
                    f"{uneven:,} of {total:,} rows do not have the header's {width} fields, "
                    f"the first in line {first:,}",
                    Span(file, first),
                    "Quote values that contain a comma or a quotation mark, and export the file again.",
                )
            ]
        )
    if kind is None:
        return create_empty_quarantine()
    key = _extract_key() if key_first else pl.lit(None, dtype=pl.String)
    marked = rows.with_columns(count_fields().alias("fields"), control.alias("control"), key.alias("key"))
    ragged = pl.col("fields") != width

    def quarantine(which: pl.Expr, code: str, message: str | pl.Expr, hint: str) -> pl.DataFrame:
        return build_quarantine(marked.filter(which), RowFault(code, message, hint), kind=kind, file=file, key="key")

    return pl.concat(
        [
            quarantine(
                pl.col("control"),
                "control-character",
                "the row contains NUL or another control character",
                "Remove it at its source, and export again.",
            ),
            quarantine(
                ~pl.col("control") & ragged,
                "ragged-row",
                pl.format(f"the row has {{}} fields, but the header has {width}", "fields"),
                "Quote values that contain a comma, or remove the extra fields.",
            ),
            quarantine(
                ~pl.col("control") & ~ragged,
                "stray-quote",
                "a quotation mark is in the middle of a value",
                "Quote the whole value, and double the quotation marks inside it.",
            ),
        ]
    )


def _extract_key() -> pl.Expr:
    """Return the sourcedId of a malformed row; null if it cannot be read for certain."""
    key = extract_first_field().str.replace_all('""', '"', literal=True).str.strip_chars()
    return pl.when((key != "") & ~key.str.contains(r"[\x00-\x1f\x7f]")).then(key)
