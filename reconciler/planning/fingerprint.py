"""One number per roster row that is equal exactly where key and compared fields are equal.

A stored fingerprint lets a plan skip a row without reading its columns. It is no security measure: it only
has to be the same on every machine and in every version of polars, so it is xxHash64 by polars-hash.
Two different rows meet by chance once in 2^64 pairs.
"""

from __future__ import annotations

import polars as pl
import polars_hash as plh

from reconciler.model.kind import Kind
from reconciler.model.roster import FIELDS

#: Control characters never reach a frame, so this cannot occur in a value.
SEPARATOR = "\x1f"


def fingerprint(kind: Kind) -> pl.Expr:
    """An Int64 expression over `sourced_id` and the kind's fields."""
    parts: list[pl.Expr] = [plh.col("sourced_id")]
    for field in FIELDS[kind]:
        column = plh.col(field.name)
        parts.append((column.cast(pl.String) if field.boolean else column).fill_null(""))
    row = plh.concat_str(*parts, separator=SEPARATOR)
    hashed: pl.Expr = row.nchash.xxhash64().reinterpret(signed=True)
    return hashed.alias("fingerprint")
