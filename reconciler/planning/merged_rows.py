"""The rows of a plan by which one account goes into another: who goes, who gets what they had, never one half of it.

The account that goes is a deletion with `into`; the one that stays is an update, and has more sourcedIds than before.
The enrollments follow row by row. LMS links and assignments are no rows of a plan: they follow when it is applied.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.planning.difference import change_schema, disappearing
from reconciler.planning.fingerprint import fingerprint

Changes = Mapping[Kind, pl.DataFrame]

_MERGED = pl.lit(Reason.MERGED.value)


def with_merged(changes: Changes, pairs: pl.DataFrame, users: pl.DataFrame, enrollments: pl.DataFrame) -> Changes:
    """`changes` with what a merge does besides. pairs: `merging.PAIRS`. users: live ones with `roles`. enrollments:
    those live ones that the comparison left open; all of the accounts that go are among them."""
    if not pairs.height:
        return changes
    people = changes[Kind.USER]
    renewed = (pl.col("action") == Action.UPDATE.value) & (pl.col("reason") == Reason.FIELD_CHANGED.value)
    staying = renewed & pl.col("key").is_in(pairs["keep_key"].implode())
    told = pl.when(staying).then(_MERGED).otherwise("reason").alias("reason")
    return {
        **changes,
        Kind.USER: pl.concat([_going(pairs, users), people.with_columns(told)]),
        Kind.ENROLLMENT: _following(changes[Kind.ENROLLMENT], pairs, enrollments),
    }


def _going(pairs: pl.DataFrame, users: pl.DataFrame) -> pl.DataFrame:
    gone = users.join(pairs, left_on="id", right_on="merge_id", how="inner", maintain_order="left")
    rows = disappearing(Kind.USER, gone.with_columns(_MERGED.alias("reason")))
    places = pairs.select(
        pl.col("merge_id").alias("live_id"),
        pl.col("keep_key").alias("goes_into"),
        pl.col("file").alias("asked_in"),
        pl.col("line").alias("asked_at"),
    )
    return (
        rows.join(places, on="live_id", how="left", maintain_order="left")
        .with_columns(
            pl.col("goes_into").alias("into"),
            pl.coalesce("asked_in", "file").alias("file"),
            pl.col("asked_at").alias("line"),
        )
        .select(rows.columns)
    )


def _following(changes: pl.DataFrame, pairs: pl.DataFrame, enrollments: pl.DataFrame) -> pl.DataFrame:
    """Enrollments that the file has under the other sourcedId are updates already; the others, which nothing in the
    file speaks of, go over as they are."""
    into = pairs.select(pl.col("merge_key").alias("before_user"), pl.col("keep_key").alias("keeper"))
    told = (
        changes.join(into, on="before_user", how="left", maintain_order="left")
        .with_columns(
            pl.when((pl.col("action") == Action.UPDATE.value) & (pl.col("user") == pl.col("keeper")).fill_null(False))
            .then(_MERGED)
            .otherwise("reason")
            .alias("reason")
        )
        .select(changes.columns)
    )
    left = enrollments.filter(~pl.col("tombstoned")).join(into, left_on="user", right_on="before_user", how="inner")
    left = left.join(changes.select(pl.col("live_id").alias("id")).drop_nulls(), on="id", how="anti")
    if not left.height:
        return told
    rows = disappearing(
        Kind.ENROLLMENT,
        left.with_columns(_MERGED.alias("reason"), pl.lit(0, dtype=pl.Int64).alias("line")),
        Action.UPDATE,
    )
    carried = (
        rows.join(into, on="before_user", how="left", maintain_order="left")
        .with_columns(pl.col("keeper").alias("user"), pl.col("key").alias("sourced_id"))
        .with_columns(fingerprint(Kind.ENROLLMENT))
    )
    return pl.concat([told, carried.select(list(change_schema(Kind.ENROLLMENT)))])


def both_halves_or_none(changes: Changes) -> dict[Kind, pl.DataFrame]:
    """`changes` in which an account that goes into another, that other and the enrollments that follow are held
    together, and left out together where one of the two is not changed at all.

    Somebody may get several accounts: then all of them wait for one.
    """
    users, enrollments = changes[Kind.USER], changes[Kind.ENROLLMENT]
    halves = users.filter(pl.col("into").is_not_null()).select(pl.col("key").alias("other"), "into")
    if not halves.height:
        return dict(changes)
    alone = halves.filter(~pl.col("into").is_in(users["key"].implode()))
    if alone.height:
        users = users.filter(~(pl.col("into").is_not_null() & pl.col("key").is_in(alone["other"].implode())))
        enrollments = enrollments.filter(~_of_either(alone))
        halves = halves.join(alone, on="other", how="anti")
    held = users.filter("held")["key"]
    while True:
        torn = halves.filter(pl.col("other").is_in(held.implode()) != pl.col("into").is_in(held.implode()))
        if not torn.height:
            break
        held = pl.concat([held, torn["other"], torn["into"].alias("other")]).unique()
    waiting = halves.filter(pl.col("into").is_in(held.implode()))
    keys = pl.concat([waiting["other"], waiting["into"].alias("other")])
    return {
        **changes,
        Kind.USER: users.with_columns((pl.col("held") | pl.col("key").is_in(keys.implode())).alias("held")),
        Kind.ENROLLMENT: enrollments.with_columns((pl.col("held") | _of_either(waiting)).alias("held")),
    }


def _of_either(halves: pl.DataFrame) -> pl.Expr:
    """Enrollments of people in `other` and `into`."""
    keys = pl.concat([halves["other"], halves["into"].alias("other")]).implode()
    return pl.col("user").is_in(keys).fill_null(False) | pl.col("before_user").is_in(keys).fill_null(False)
