"""The values of one column: enumerations, booleans, dates and lists brought to one spelling.

Each function decides on a column's distinct values, of which there are few, and touches the rows only where one
is not as the standard wants it. A value that means nothing known is never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

TRUTH = {"true": True, "false": False}
TOLERATED_TRUTH = TRUTH | {"1": True, "0": False, "yes": True, "no": False}
EXTENSION = r"^ext:[a-zA-Z0-9.\-_]+$"
DATE = r"^\d{4}-\d{2}-\d{2}(?:[T ].*)?$"
FIRST_YEAR, LAST_YEAR = 1950, 2100
LINE_BREAK = r"[\t\r\n]"


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """values: as they are to be, null where they mean nothing. unknown: the rows whose value means nothing.
    respelt: the rows whose value was read although it is not spelt as the standard wants."""

    values: pl.Series
    unknown: pl.Series
    nonstandard: pl.Series

    @classmethod
    def from_unchanged(cls, values: pl.Series) -> ColumnReading:
        no = pl.repeat(False, values.len(), dtype=pl.Boolean, eager=True)
        return cls(values, no, no)


def read_enumeration(values: pl.Series, vocabulary: Mapping[str, str], *, extensible: bool = False) -> ColumnReading:
    """allowed: the standard's word and ours. extensible: `ext:` words, of anybody's own, stay as they are."""
    words: dict[str, object] = dict(vocabulary)
    if extensible:
        added = values.filter(values.str.contains(EXTENSION).fill_null(False)).unique()
        words |= {word: word for word in added.to_list()}
    return _translate_words(values, words, {word.lower(): meaning for word, meaning in vocabulary.items()}, pl.String())


def read_boolean(values: pl.Series) -> ColumnReading:
    return _translate_words(values, TRUTH, TOLERATED_TRUTH, pl.Boolean())


def read_date(values: pl.Series) -> ColumnReading:
    """`YYYY-MM-DD`, or a time that begins with it, between the years 1950 and 2100. No other form: who reads
    1/5/2027 has to guess."""
    distinct = values.unique().drop_nulls()
    day = distinct.str.head(10)
    real = day.str.to_date("%Y-%m-%d", strict=False)
    good = (distinct.str.contains(DATE) & real.dt.year().is_between(FIRST_YEAR, LAST_YEAR)).fill_null(False)
    if good.all():
        return ColumnReading.from_unchanged(values if (day == distinct).all() else values.str.head(10))
    ours = values.replace_strict(distinct.filter(good), day.filter(good), default=None, return_dtype=pl.String)
    return ColumnReading(ours, values.is_not_null() & ours.is_null(), ColumnReading.from_unchanged(values).nonstandard)


def read_list(values: pl.Series) -> ColumnReading:
    """Items joined by commas without spaces around them."""
    if values.str.contains(", ", literal=True).any() or values.str.contains(" ,", literal=True).any():
        values = values.str.replace_all(r" *, *", ",")
    return ColumnReading.from_unchanged(values)


def _translate_words(
    values: pl.Series, exact: Mapping[str, object], folded: Mapping[str, object], meaning: pl.DataType
) -> ColumnReading:
    distinct = values.unique().drop_nulls()
    strange = distinct.filter(~distinct.is_in(list(exact)))
    if not strange.len() and all(word == ours for word, ours in exact.items()):
        return ColumnReading.from_unchanged(values)
    readable = strange.filter(strange.str.to_lowercase().is_in(list(folded)))
    words = dict(exact) | {word: folded[word.lower()] for word in readable.to_list()}
    ours = values.replace_strict(words, default=None, return_dtype=meaning)
    if not strange.len():
        return ColumnReading.from_unchanged(ours)
    return ColumnReading(ours, values.is_not_null() & ours.is_null(), values.is_in(readable.implode()).fill_null(False))
