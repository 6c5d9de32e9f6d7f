"""Rows of one file that have the same sourcedId: repetitions, contradictions, and keys that only look alike."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Span, warning
from reconciler.oneroster.aside import nothing_aside, set_aside, shown
from reconciler.oneroster.tables import KIND_OF, Table

#: So many lines of a contradiction are listed.
MOST_LINES = 10
#: Files whose keys people read and type, so that two of them should not look alike.
LOOKED_AT = frozenset({"orgs", "users", "classes"})


def without_duplicates(
    table: Table, frame: pl.DataFrame, aside: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, list[Diagnostic]]:
    """Good rows, rows set aside, remarks. aside: the file's malformed rows.

    The first of identical rows is kept, with a warning. Different rows with one sourcedId are all set aside, and so
    is a row whose sourcedId a malformed row has: which of them is right cannot be known.
    """
    remarks = list(_alike(table, frame)) if table.name in LOOKED_AT else []
    # The key of a malformed row of roles.csv cannot be told: its first field is the role's own sourcedId.
    malformed = aside.select(pl.col("key").alias("sourced_id"), "line").drop_nulls()
    if not malformed.height and not _repeats(frame["sourced_id"]):
        return frame, nothing_aside(), remarks
    every = pl.concat([frame.select("sourced_id", "line").drop_nulls(), malformed])
    lines = every.filter(pl.col("sourced_id").is_duplicated()).group_by("sourced_id").agg(pl.col("line").sort())
    rows = frame.join(lines.rename({"line": "lines"}), on="sourced_id", maintain_order="left")
    content = pl.struct(pl.exclude("line", "lines", "sourced_id")).n_unique().over("sourced_id")
    whole = ~pl.col("sourced_id").is_in(malformed["sourced_id"].implode())
    rows = rows.with_columns(((content == 1) & whole).alias("same"))
    surplus = rows.filter(pl.col("same") & ~pl.col("sourced_id").is_first_distinct())
    if surplus.height:
        line = surplus["line"][0]
        message = f"{surplus.height:,} rows repeat an earlier row word for word and are skipped (first line {line:,})"
        remarks.append(warning("repeated-row", message, Span(table.file, line)))
    different = rows.filter(~pl.col("same"))
    more = pl.when(pl.col("lines").list.len() > MOST_LINES).then(pl.lit(", ...")).otherwise(pl.lit(""))
    listed = pl.col("lines").list.head(MOST_LINES).cast(pl.List(pl.String)).list.join(", ") + more
    contradiction = set_aside(
        different.with_columns(listed.alias("listed")),
        kind=KIND_OF[table.name],
        file=table.file,
        key="user" if table.name == "roles" else "sourced_id",
        code="duplicate-sourced-id",
        message=pl.format("sourcedId {} stands in rows that differ: lines {}", shown("sourced_id"), "listed"),
        column=1,
        hint="keep the row that is right; until then what they name stays as it is",
    )
    gone = pl.concat([surplus.select("line"), different.select("line")])
    return frame.join(gone, on="line", how="anti", maintain_order="left"), contradiction, remarks


def _repeats(keys: pl.Series) -> bool:
    """Equal keys have equal hashes, and numbers are compared faster than text."""
    filled = keys.drop_nulls()
    return filled.hash().n_unique() != filled.len() and filled.n_unique() != filled.len()


def _alike(table: Table, frame: pl.DataFrame) -> Iterator[Diagnostic]:
    keys = frame.select("sourced_id", "line").drop_nulls().unique("sourced_id", keep="first", maintain_order=True)
    folded = keys["sourced_id"]
    if folded.str.len_bytes().sum() != folded.str.len_chars().sum():
        folded = folded.str.normalize("NFKC")
    folded = folded.str.to_lowercase()
    if not _repeats(folded):
        return
    alike = keys.filter(folded.is_duplicated())
    line = alike["line"][0]
    yield warning(
        "keys-alike",
        f"{alike.height:,} sourcedIds differ from another one only in case or form of letters (first line {line:,})",
        Span(table.file, line),
        "they are read as different; if they mean the same, give them one spelling",
    )
