"""Accounts that a run put together, or took apart: an undo does it to both or to neither."""

from __future__ import annotations

import polars as pl


def halves_of(touched: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    """`id` of every account that went into another in the run, or came back out of it, and `other`, that one's id.
    touched: people, `store.before_images.TOUCHED_COLUMNS`. users: all accounts as they are now."""
    none = pl.DataFrame(schema={"id": pl.Int64, "other": pl.Int64})
    images = touched.select("id", pl.col("was").struct.unnest())
    if "merged_into" not in images.columns or "merged_into" not in users.columns:
        return none
    both = images.select("id", pl.col("merged_into").alias("was")).join(
        users.select("id", pl.col("merged_into").alias("now")), on="id", how="inner", maintain_order="left"
    )
    turned = both.filter(pl.col("was").is_null() != pl.col("now").is_null())
    return turned.select("id", pl.coalesce("now", "was").alias("other"))


def torn(rows: pl.DataFrame, halves: pl.DataFrame) -> pl.Expr:
    """People among `rows` whose other half is not: with several accounts in one, whoever is tied to them."""
    lost = halves["id"].clear()
    while True:
        there = rows.filter(~pl.col("id").is_in(lost.implode()))["id"]
        alone = halves.filter(pl.col("id").is_in(there.implode()) != pl.col("other").is_in(there.implode()))
        if not alone.height:
            return pl.col("id").is_in(lost.implode())
        lost = pl.concat([lost, alone["id"], alone["other"].alias("id")])


def between_halves(rows: pl.DataFrame, halves: pl.DataFrame) -> pl.Expr:
    """Enrollments that would change hands between two accounts of which `rows` has none."""
    left = halves.filter(~pl.col("id").is_in(rows["id"].implode()))
    ids = pl.concat([left["id"], left["other"].alias("id")]).implode()
    return (
        (pl.col("account_id") != pl.col("was_user_id"))
        & pl.col("account_id").is_in(ids)
        & pl.col("was_user_id").is_in(ids)
    )


def with_other_half(rows: pl.DataFrame, halves: pl.DataFrame) -> pl.DataFrame:
    """`rows` with `into`: the sourcedId of the account that each goes into or comes out of."""
    names = halves.join(rows.select(pl.col("id").alias("other"), pl.col("key").alias("into")), on="other", how="inner")
    return rows.join(names.select("id", "into"), on="id", how="left", maintain_order="left")
