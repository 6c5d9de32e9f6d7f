"""Computes one number per roster row, equal for rows with the same key and compared fields."""

import polars as pl
import polars_hash as plh

from reconciler.model.kind import Kind
from reconciler.model.roster import ROSTER_FIELDS

#: Control characters never reach a frame, so this cannot occur in a value.
FIELD_SEPARATOR = "\x1f"


def compute_fingerprint(kind: Kind) -> pl.Expr:
    """Return an Int64 expression over `sourced_id` and the kind's fields."""
    parts: list[pl.Expr] = [plh.col("sourced_id")]
    for field in ROSTER_FIELDS[kind]:
        column = plh.col(field.name)
        parts.append((column.cast(pl.String) if field.boolean else column).fill_null(""))
    row = plh.concat_str(*parts, separator=FIELD_SEPARATOR)
    hashed: pl.Expr = row.nchash.xxhash64().reinterpret(signed=True)
    return hashed.alias("fingerprint")
