"""Recognizes sourcedIds that look the same and have different code points, such as NFC and NFD of one letter.

A sourcedId is opaque: two of one file that look alike are two records. But a file that has only one of them means the
one that another file, or an earlier roster, has in another form.
"""

import polars as pl

from reconciler.model.text_form import is_ascii_column, make_visible_column


def find_spellings(written: pl.Series, known: pl.Series) -> pl.DataFrame:
    """Return `written` and `known` of keys that are written in another form than the known one that they look like.

    Only a key that is nowhere among the known ones, and whose visible form is unique on both sides, means another.
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
    """Return the frame with the known keys instead of the written ones in a column."""
    if not spellings.height:
        return frame
    return frame.with_columns(pl.col(column).replace(spellings["written"], spellings["known"]))
