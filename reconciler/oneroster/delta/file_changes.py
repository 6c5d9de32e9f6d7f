"""One file of changes (delta) laid over the rows that were sent of it before."""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from reconciler.oneroster.csv_file.rows import Checked
from reconciler.oneroster.roster.roster import FIELDS_OF
from reconciler.oneroster.snapshot import Snapshot
from reconciler.oneroster.standard.tables import Standard

EARLIER = " (in a file sent earlier)"


@dataclass(frozen=True, slots=True)
class Laid:
    """One file laid over its earlier rows. sent: of `checked.frame`, the rows that came along now; touched: keys that
    the delta names, in good rows or in bad ones."""

    checked: Checked
    sent: pl.DataFrame
    touched: pl.Series


def laid_file(base: Snapshot, checked: Checked | None, standard: Standard, stem: str) -> Laid:
    if checked is not None and not checked.delta:
        return Laid(checked, checked.frame, row_keys(checked.frame["sourced_id"], checked.aside))
    earlier = earlier_rows(base, stem)
    if checked is None:
        aside = carried(base, stem, earlier["sourced_id"].clear())
        empty = Checked(0, earlier, aside, places_of(standard, stem), (), delta=True)
        return Laid(empty, earlier.clear(), earlier["sourced_id"].clear())
    known = earlier["sourced_id"]
    marks = pl.concat(
        [checked.frame.filter(pl.col("status") == "tobedeleted").select("sourced_id", "line"), checked.gone]
    ).filter(pl.col("sourced_id").is_in(known.implode()))
    marked = pl.col("sourced_id").is_in(marks["sourced_id"].implode())
    sent = checked.frame.filter(~marked)
    stays = earlier.filter(~pl.col("sourced_id").is_in(sent["sourced_id"].implode()))
    stays = (
        stays.join(marks.rename({"line": "marked"}), on="sourced_id", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("marked").is_null()).then("status").otherwise(pl.lit("tobedeleted")).alias("status"),
            pl.coalesce("marked", "line").alias("line"),
        )
        .drop("marked")
    )
    aside = checked.aside.filter(~pl.col("key").is_in(marks["sourced_id"].implode()).fill_null(False))
    touched = row_keys(checked.frame["sourced_id"], checked.aside)
    frame = pl.concat([stays, sent], how="diagonal")
    aside = pl.concat([aside, carried(base, stem, touched)])
    return Laid(replace(checked, frame=frame, aside=aside), sent, touched)


def earlier_rows(base: Snapshot, stem: str) -> pl.DataFrame:
    frame = {"orgs": base.orgs, "users": base.users, "classes": base.classes, "enrollments": base.enrollments}[stem]
    waiting = base.waiting.get(stem)
    return pl.concat([each.select(FIELDS_OF[stem]) for each in (frame, waiting) if each is not None])


def carried(base: Snapshot, stem: str, touched: pl.Series) -> pl.DataFrame:
    """Rows set aside earlier that the delta does not name: they go on protecting. One without a key protected against
    absence, which means nothing here; one that waits is looked at anew."""
    key = "user" if stem == "roles" else "sourced_id"
    waiting = base.waiting[stem][key] if stem in base.waiting and stem != "roles" else touched.clear()
    kept = base.quarantine.filter(
        (pl.col("file") == f"{stem}.csv")
        & pl.col("key").is_not_null()
        & ~pl.col("key").is_in(pl.concat([touched.alias("key"), waiting.alias("key")]).implode())
        & ~((pl.col("file") == "roles.csv") & (pl.col("code") == "dangling-reference"))
    )
    return said_earlier(kept, pl.lit(True))


def said_earlier(aside: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    said = pl.col("message").str.ends_with(EARLIER)
    return aside.with_columns(
        pl.when(which & ~said).then(pl.col("message") + EARLIER).otherwise("message").alias("message")
    )


def row_keys(keys: pl.Series, aside: pl.DataFrame) -> pl.Series:
    """Of a file's rows, good or set aside."""
    return pl.concat([keys.drop_nulls().alias("key"), aside["key"].drop_nulls()]).unique(maintain_order=True)


def places_of(standard: Standard, stem: str) -> dict[str, int]:
    columns = standard.tables[stem].columns
    return {column.field: place for place, column in enumerate(columns, start=1) if column.field is not None}
