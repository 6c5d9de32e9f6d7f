"""Recognizes sourcedIds that look the same and have different code points, such as NFC and NFD of one letter.

A sourcedId is opaque: if one file has two that look alike, they are two records. But if a file has only one of them, it
means the record that another file, or an earlier roster, names in another form.
"""

import polars as pl

from reconciler.model.text_form import is_ascii_column, make_visible_column


def find_spellings(written: pl.Series, known: pl.Series) -> pl.DataFrame:
    """Return `written` and `known`: keys that look like a known key but have other code points, and that known key.

    Only a key that is not among the known ones, and whose visible form is unique on both sides, is returned.
    """
    if is_ascii_column(written) and is_ascii_column(known):
        return pl.DataFrame(schema={"written": pl.String, "known": pl.String})
    written, known = written.drop_nulls().unique(), known.drop_nulls().unique()
    sides = [
        pl.DataFrame({name: keys, "form": make_visible_column(keys)}).filter(~pl.col("form").is_duplicated())
        for name, keys in (("written", written), ("known", known))
    ]
    pairs = sides[0].join(sides[1], on="form").filter(pl.col("written") != pl.col("known"))
    return pairs.select("written", "known").sort("written")


def replace_spellings(frame: pl.DataFrame, column: str, spellings: pl.DataFrame) -> pl.DataFrame:
    """Return the frame with the written keys in a column replaced by the known ones."""
    if not spellings.height:
        return frame
    return frame.with_columns(pl.col(column).replace(spellings["written"], spellings["known"]))
