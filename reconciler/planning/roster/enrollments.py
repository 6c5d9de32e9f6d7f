"""Keeps one live enrollment for each class, person and role.

Some exports make the sourcedIds of enrollments anew each time, and some repeat an enrollment. What an enrollment is, is
its class, person and role: a row that has those of a live enrollment whose own sourcedId is gone is that enrollment
under a new ID, and of several rows with the same ones only one counts.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Span, build_warning
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.planning.frames.live import OpenEnrollments, find_open_enrollments
from reconciler.planning.roster.desired import DesiredRoster

#: The columns that say which enrollment a row is, whatever its sourcedId.
PLACE_COLUMNS = ("class", "user", "role")


def open_enrollments(desired: DesiredRoster, index: pl.DataFrame) -> tuple[DesiredRoster, OpenEnrollments]:
    """Return the roster without repeated enrollments, and those that a comparison of fingerprints leaves open.

    `index` has `id`, `fingerprint` of the live enrollments. Rows that the store has already repeat no other one, so
    that only open rows are looked for.
    """
    frame = desired.frames[Kind.ENROLLMENT]
    found = find_open_enrollments(frame, index)
    repeated = _find_repeated_rows(frame, found.desired)
    if not repeated.height:
        return desired, found
    single = frame.join(repeated, on="sourced_id", how="anti", maintain_order="left")
    warning = build_warning(
        "repeated-enrollment",
        f"{repeated.height:,} enrollments repeat another row's class, person and role; the row that ends last counts",
        Span("enrollments.csv", int(repeated["line"].sort()[0])),
        "Export each enrollment once.",
    )
    settled = replace(
        desired,
        frames={**desired.frames, Kind.ENROLLMENT: single},
        diagnostics=(*desired.diagnostics, warning),
    )
    return settled, find_open_enrollments(single, index)


def _find_repeated_rows(frame: pl.DataFrame, open_rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of `frame` that another row with the same class, person and role makes needless. Only those in
    whose place one of `open_rows` is are looked at."""
    if not open_rows.height:
        return open_rows
    # Numbers compare several times faster than text; rows whose hashes are equal by accident are told apart below.
    place = (pl.col("class").hash(1) ^ pl.col("user").hash(2) ^ pl.col("role").hash(3)).alias("place")
    places = frame.select(place)["place"]
    opened = places if open_rows.height == frame.height else open_rows.select(place)["place"]
    if opened.len() < places.len():
        places = places.filter(places.is_in(opened.unique().implode()))
    if places.n_unique() == places.len():
        return frame.clear()
    alike = frame.filter(place.is_in(places.filter(places.is_duplicated()).unique().implode()))
    ordered = alike.sort(
        pl.col("end_date").is_not_null(),
        pl.col("end_date").fill_null(""),
        pl.col("begin_date").fill_null(""),
        ~pl.col("primary").fill_null(False),
        pl.col("sourced_id").is_in(open_rows["sourced_id"].implode()),
        "sourced_id",
        descending=[False, True, True, False, False, False],
    )
    counting = ordered.unique(PLACE_COLUMNS, keep="first", maintain_order=True)
    return alike.join(counting, on="sourced_id", how="anti", maintain_order="left")


def match_renamed_enrollments(matched: pl.DataFrame, live: pl.DataFrame, known_ids: pl.Series) -> pl.DataFrame:
    """Return the desired enrollments; those that no row of the store has are matched by class, person and role with
    live ones whose own sourcedId the file does not have.

    `matched` has `id`, `match` and `former_key`. `known_ids` are the sourcedIds of enrollments in the file,
    quarantined ones included.
    """
    gone = live.filter(~pl.col("tombstoned") & ~pl.col("sourced_id").is_in(known_ids.implode()))
    strangers = matched.filter(pl.col("id").is_null())
    if not gone.height or not strangers.height:
        return matched
    renamed = gone.sort("id").unique(PLACE_COLUMNS, keep="first", maintain_order=True)
    pairs = strangers.select("sourced_id", *PLACE_COLUMNS).join(
        renamed.select(*PLACE_COLUMNS, pl.col("id").alias("pair_id"), pl.col("sourced_id").alias("pair_key")),
        on=PLACE_COLUMNS,
        how="inner",
    )
    return (
        matched.join(
            pairs.select("sourced_id", "pair_id", "pair_key"), on="sourced_id", how="left", maintain_order="left"
        )
        .with_columns(
            pl.coalesce("id", "pair_id").alias("id"),
            pl.coalesce("pair_key", "former_key").alias("former_key"),
            pl.when(pl.col("pair_id").is_not_null()).then(pl.lit(Action.REKEY.value)).otherwise("match").alias("match"),
        )
        .drop("pair_id", "pair_key")
    )


def mark_repeated_removals(removals: pl.DataFrame, wanted: pl.DataFrame, aliases: pl.DataFrame) -> pl.DataFrame:
    """Return the removals of enrollments; those whose class, person and role a row of `wanted` has repeat that row.

    `aliases` has the `alias` and `canonical` of people who are merged into somebody else.
    """
    if not removals.height:
        return removals
    places = removals.select(
        pl.col("live_id"),
        pl.col("before_class").alias("class"),
        pl.col("before_user").replace(aliases["alias"], aliases["canonical"]).alias("user"),
        pl.col("before_role").alias("role"),
    )
    repeated = places.join(wanted, on=PLACE_COLUMNS, how="semi")["live_id"]
    is_repeated = (pl.col("action") == Action.DELETE.value) & pl.col("live_id").is_in(repeated.implode())
    reason = pl.when(is_repeated).then(pl.lit(Reason.DUPLICATE.value)).otherwise("reason").alias("reason")
    return removals.with_columns(reason)


def mark_repeated_moves(changes: pl.DataFrame, wanted: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the changes of enrollments; those that would follow a merged account to where it has a row already are
    removed instead. `pairs` has the `merge_key` of merged accounts."""
    merged = pl.col("before_user").is_in(pairs["merge_key"].implode()) & (pl.col("reason") == Reason.MERGED.value)
    moves = changes.filter(merged & (pl.col("action") == Action.UPDATE.value))
    if not moves.height:
        return changes
    unnamed = moves.join(wanted, left_on="key", right_on="sourced_id", how="anti")
    again = unnamed.sort("key").filter(~pl.struct(PLACE_COLUMNS).is_first_distinct())
    repeated = pl.concat([unnamed.join(wanted, on=PLACE_COLUMNS, how="semi"), again])["live_id"]
    is_repeated = pl.col("live_id").is_in(repeated.implode())
    removed = changes.filter(is_repeated).with_columns(
        pl.lit(Action.DELETE.value).alias("action"),
        pl.lit(Reason.DUPLICATE.value).alias("reason"),
        pl.lit(0, dtype=pl.Int64).alias("fingerprint"),
        pl.col("before_user").alias("user"),
    )
    return pl.concat([removed, changes.filter(~is_repeated)])
