"""Rows that name an org which is not there and does not come: they are wanted without it, until it is.

An apply could not write such a name, and every plan would want to again.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from reconciler.model.kind import Kind
from reconciler.planning.desired import ROLE_SEPARATOR, Desired
from reconciler.planning.fingerprint import fingerprint

#: the column of each kind that names an org by its sourcedId
_NAMING = {Kind.ORG: "parent", Kind.CLASS: "school"}


def without_lost_orgs(desired: Desired, live_orgs: pl.DataFrame) -> Desired:
    """live_orgs: `sourced_id`, `tombstoned`."""
    alive = live_orgs.filter(~pl.col("tombstoned"))["sourced_id"]
    there = pl.concat([desired.frames[Kind.ORG]["sourced_id"], alive]).unique()
    frames = dict(desired.frames)
    for kind, column in _NAMING.items():
        named = frames[kind][column].drop_nulls().unique()
        lost = named.filter(~named.is_in(there.implode()))
        if lost.len():
            kept = pl.when(~pl.col(column).is_in(lost.implode()).fill_null(False)).then(pl.col(column))
            frames[kind] = frames[kind].with_columns(kept.alias(column)).with_columns(fingerprint(kind))
    written = frames[Kind.USER].select("roles").unique().drop_nulls()
    # Many people share few combinations of roles, so these are looked at once each.
    entries = written.with_columns(pl.col("roles").str.split(ROLE_SEPARATOR).alias("entry")).explode("entry")
    lost_entries = entries.filter(~pl.col("entry").str.extract(r"^(.*)=", 1).is_in(there.implode()))
    if lost_entries.height:
        frames[Kind.USER] = _without_entries(frames[Kind.USER], entries, lost_entries)
    return replace(desired, frames=frames)


def _without_entries(users: pl.DataFrame, entries: pl.DataFrame, lost: pl.DataFrame) -> pl.DataFrame:
    left = (
        entries.join(lost, on=["roles", "entry"], how="anti", maintain_order="left")
        .group_by("roles", maintain_order=True)
        .agg(pl.col("entry").str.join(ROLE_SEPARATOR).alias("left"))
    )
    changed = lost.select("roles").unique().join(left, on="roles", how="left")
    return (
        users.join(changed.with_columns(pl.lit(True).alias("changed")), on="roles", how="left", maintain_order="left")
        .with_columns(pl.when(pl.col("changed").is_null()).then(pl.col("roles")).otherwise("left").alias("roles"))
        .drop("left", "changed")
        .with_columns(fingerprint(Kind.USER))
        .select(users.columns)
    )
