"""Changes of people and of their roles laid over those before: two columns of users.csv in 1.1, roles.csv in 1.2."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from reconciler.oneroster.laid import Laid, carried, places_of, row_keys
from reconciler.oneroster.people import WAITING_FIELDS, entries_of_1_1
from reconciler.oneroster.rows import Checked
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.tables import Standard


def laid_roles(base: Snapshot, checked: Checked | None, standard: Standard) -> Laid:
    if checked is not None and not checked.delta:
        return Laid(checked, checked.frame, row_keys(checked.frame["user"], checked.aside))
    earlier = (
        _earlier_roles(base)
        .with_columns(
            pl.when(pl.col("primary")).then(pl.lit("primary")).otherwise(pl.lit("secondary")).alias("role_type")
        )
        .drop("primary")
    )
    if checked is None:
        aside = carried(base, "roles", earlier["user"].clear())
        empty = Checked(0, earlier, aside, places_of(standard, "roles"), (), delta=True)
        return Laid(empty, earlier.clear(), earlier["user"].clear())
    sent = checked.frame.filter(pl.col("status") == "active")
    deleted = pl.concat(
        [
            checked.frame.filter(pl.col("status") == "tobedeleted").select("sourced_id"),
            checked.gone.select("sourced_id"),
        ]
    )["sourced_id"]
    nameless = earlier.filter(pl.col("sourced_id").is_null()).join(sent, on=["user", "org"], how="semi")
    stays = earlier.join(nameless, on=["user", "org"], how="anti", maintain_order="left")
    stays = stays.filter(~pl.col("sourced_id").is_in(sent["sourced_id"].implode()).fill_null(False)).with_columns(
        pl.when(pl.col("sourced_id").is_in(deleted.implode()))
        .then(pl.lit("tobedeleted"))
        .otherwise("status")
        .alias("status")
    )
    known = earlier.filter(pl.col("sourced_id").is_in(checked.gone["sourced_id"].implode()))["sourced_id"]
    said = checked.gone.filter(pl.col("sourced_id").is_in(known.implode()))["line"]
    touched = row_keys(checked.frame["user"], checked.aside)
    frame = pl.concat([stays, sent.select(stays.columns)])
    aside = checked.aside.filter(~pl.col("line").is_in(said.implode()))
    aside = pl.concat([aside, carried(base, "roles", touched)])
    return Laid(replace(checked, frame=frame, aside=aside), sent, touched)


def _earlier_roles(base: Snapshot) -> pl.DataFrame:
    active = base.roles.with_columns(pl.lit("active").alias("status")).select(WAITING_FIELDS)
    rows = [active, base.waiting["roles"].select(WAITING_FIELDS)] if "roles" in base.waiting else [active]
    named = base.role_ids.unique(["user", "org", "role", "line"], keep="first", maintain_order=True)
    return pl.concat(rows).join(named, on=["user", "org", "role", "line"], how="left", maintain_order="left")


def of_known_people(roles: Laid, users: Checked | None) -> Laid:
    """A bad row of roles.csv sent earlier protects nobody who is not in a whole users.csv any more."""
    if users is None or users.delta or not roles.checked.delta:
        return roles
    known = row_keys(users.frame["sourced_id"], users.aside)
    known = pl.concat([known, roles.touched])
    aside = roles.checked.aside.filter(pl.col("key").is_null() | pl.col("key").is_in(known.implode()))
    return replace(roles, checked=replace(roles.checked, aside=aside))


def with_primary_org(base: Snapshot, users: Laid) -> Laid:
    """The org of a person's primary role stays what it was unless the delta names another."""
    frame = users.checked.frame
    if "primary_org" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("primary_org"))
    if users.checked.delta:
        before = base.roles.filter("primary").select(pl.col("user").alias("sourced_id"), pl.col("org").alias("before"))
        frame = (
            frame.join(before, on="sourced_id", how="left", maintain_order="left")
            .with_columns(pl.coalesce("primary_org", "before").alias("primary_org"))
            .drop("before")
        )
    return replace(users, checked=replace(users.checked, frame=frame))


def everybodys_entries(base: Snapshot, sent: pl.DataFrame) -> pl.DataFrame:
    """Everybody's roles in 1.1: of those whose row came along now, what it says; of the others, what was."""
    fields = ["user", "org", "role", "line"]
    before = _earlier_roles(base).sort(~pl.col("primary").fill_null(False), maintain_order=True)
    before = before.join(sent, left_on="user", right_on="sourced_id", how="anti", maintain_order="left").select(fields)
    if "orgs" not in sent.columns or not sent.height:
        return before
    return pl.concat([before, entries_of_1_1(sent).select(fields)])


def with_orgs(users: Laid, entries: pl.DataFrame) -> Laid:
    """`orgs` also of those whose row came earlier: a message may have to name them."""
    frame = users.checked.frame
    if "orgs" not in frame.columns:
        frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("orgs"))
    named = entries.group_by("user", maintain_order=True).agg(pl.col("org").str.join(",").alias("named"))
    frame = (
        frame.join(named, left_on="sourced_id", right_on="user", how="left", maintain_order="left")
        .with_columns(pl.coalesce("orgs", "named").alias("orgs"))
        .drop("named")
    )
    return replace(users, checked=replace(users.checked, frame=frame))
