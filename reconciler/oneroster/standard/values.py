"""Normalizes the values of one column: enumerations, booleans, dates and lists.

Each function decides by the distinct values of a column, of which there are few, and changes rows only if a value
deviates from the standard. An unknown value is never guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import polars as pl

TRUTH = {"true": True, "false": False}
TOLERATED_TRUTH = TRUTH | {"1": True, "0": False, "yes": True, "no": False}
EXTENSION = r"^ext:[a-zA-Z0-9.\-_]+$"
DATE = r"^\d{4}-\d{2}-\d{2}(?:[T ].*)?$"
FIRST_YEAR, LAST_YEAR = 1950, 2100
LINE_BREAK = r"[\t\r\n]"


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """The normalized values of a column."""

    #: Normalized; null if unknown.
    values: pl.Series
    #: Rows with an unknown value.
    unknown: pl.Series
    #: Rows with a value that is understood but not spelled as the standard requires.
    nonstandard: pl.Series

    @classmethod
    def from_unchanged(cls, values: pl.Series) -> Self:
        """Return the reading of values that need no change."""
        no = pl.repeat(False, values.len(), dtype=pl.Boolean, eager=True)
        return cls(values, no, no)


def read_enumeration(values: pl.Series, vocabulary: Mapping[str, str], *, extensible: bool = False) -> ColumnReading:
    """Translate the standard's words to the snapshot's; with `extensible`, custom `ext:` words stay unchanged."""
    words: dict[str, object] = dict(vocabulary)
    if extensible:
        added = values.filter(values.str.contains(EXTENSION).fill_null(False)).unique()
        words |= {word: word for word in added.to_list()}
    return _translate_words(values, words, {word.lower(): meaning for word, meaning in vocabulary.items()}, pl.String())


def read_boolean(values: pl.Series) -> ColumnReading:
    """Read true and false, and tolerate 1, 0, yes and no."""
    return _translate_words(values, TRUTH, TOLERATED_TRUTH, pl.Boolean())


def read_date(values: pl.Series) -> ColumnReading:
    """Read `YYYY-MM-DD`, or a time that begins with it, from 1950 to 2100.

    No other form is accepted, because 1/5/2027 is ambiguous."""
    distinct = values.unique().drop_nulls()
    day = distinct.str.head(10)
    real = day.str.to_date("%Y-%m-%d", strict=False)
    good = (distinct.str.contains(DATE) & real.dt.year().is_between(FIRST_YEAR, LAST_YEAR)).fill_null(False)
    if good.all():
        return ColumnReading.from_unchanged(values if (day == distinct).all() else values.str.head(10))
    normalized = values.replace_strict(distinct.filter(good), day.filter(good), default=None, return_dtype=pl.String)
    return ColumnReading(
        normalized, values.is_not_null() & normalized.is_null(), ColumnReading.from_unchanged(values).nonstandard
    )


def read_list(values: pl.Series) -> ColumnReading:
    """Remove spaces around the items of comma-separated lists."""
    if values.str.contains(", ", literal=True).any() or values.str.contains(" ,", literal=True).any():
        values = values.str.replace_all(r" *, *", ",")
    return ColumnReading.from_unchanged(values)


def _translate_words(
    values: pl.Series, exact: Mapping[str, object], folded: Mapping[str, object], meaning: pl.DataType
) -> ColumnReading:
    distinct = values.unique().drop_nulls()
    strange = distinct.filter(~distinct.is_in(list(exact)))
    if not strange.len() and all(word == normalized for word, normalized in exact.items()):
        return ColumnReading.from_unchanged(values)
    readable = strange.filter(strange.str.to_lowercase().is_in(list(folded)))
    words = dict(exact) | {word: folded[word.lower()] for word in readable.to_list()}
    normalized = values.replace_strict(words, default=None, return_dtype=meaning)
    if not strange.len():
        return ColumnReading.from_unchanged(normalized)
    return ColumnReading(
        normalized, values.is_not_null() & normalized.is_null(), values.is_in(readable.implode()).fill_null(False)
    )
