"""Overlays one delta file on the rows sent before."""

from dataclasses import dataclass, replace

import polars as pl

from reconciler.oneroster.csv_file.rows import DELETIONS_SCHEMA, FileRows
from reconciler.oneroster.roster.roster import FIELDS_OF
from reconciler.oneroster.snapshot import UNREADABLE, Snapshot, is_marked_deleted
from reconciler.oneroster.spelling import find_spellings, replace_spellings
from reconciler.oneroster.standard.tables import Standard

EARLIER = " (in a file sent earlier)"


@dataclass(frozen=True, slots=True)
class FileOverlay:
    """One file overlaid on its earlier rows."""

    file_rows: FileRows
    #: The rows of `file_rows.frame` that this delta sent.
    new_rows: pl.DataFrame
    #: Keys in the delta's rows, good or bad.
    delta_keys: pl.Series


def overlay_file(base: Snapshot, file_rows: FileRows | None, standard: Standard, stem: str) -> FileOverlay:
    """Overlay a file on its earlier rows; None stands for a missing file. A bulk file replaces them."""
    if file_rows is not None and not file_rows.delta:
        return FileOverlay(
            file_rows, file_rows.frame, collect_row_keys(file_rows.frame["sourced_id"], file_rows.quarantine)
        )
    earlier = collect_earlier_rows(base, stem)
    if file_rows is None:
        quarantine = select_carried_quarantine(base, stem, earlier["sourced_id"].clear())
        empty = FileRows(0, earlier, quarantine, map_field_places(standard, stem), (), delta=True)
        return FileOverlay(empty, earlier.clear(), earlier["sourced_id"].clear())
    known = earlier["sourced_id"]
    file_rows = _spell_as_earlier(file_rows, collect_row_keys(known, _select_quarantine_of(base, stem)))
    deletions = pl.concat(
        [file_rows.frame.filter(is_marked_deleted()).select(list(DELETIONS_SCHEMA)), file_rows.deletions]
    ).filter(pl.col("sourced_id").is_in(known.implode()))
    is_deleted = pl.col("sourced_id").is_in(deletions["sourced_id"].implode())
    new_rows = file_rows.frame.filter(~is_deleted)
    remaining = earlier.filter(~pl.col("sourced_id").is_in(new_rows["sourced_id"].implode()))
    remaining = (
        remaining.join(
            deletions.rename({"line": "marked", "status": "marked_status"}),
            on="sourced_id",
            how="left",
            maintain_order="left",
        )
        .with_columns(
            pl.coalesce("marked_status", "status").alias("status"),
            pl.coalesce("marked", "line").alias("line"),
        )
        .drop("marked", "marked_status")
    )
    quarantine = file_rows.quarantine.filter(~pl.col("key").is_in(deletions["sourced_id"].implode()).fill_null(False))
    delta_keys = collect_row_keys(file_rows.frame["sourced_id"], file_rows.quarantine)
    frame = pl.concat([remaining, new_rows], how="diagonal")
    quarantine = pl.concat([quarantine, select_carried_quarantine(base, stem, delta_keys)])
    return FileOverlay(replace(file_rows, frame=frame, quarantine=quarantine), new_rows, delta_keys)


def _spell_as_earlier(file_rows: FileRows, earlier: pl.Series) -> FileRows:
    """Return the rows of a delta with the earlier sourcedIds that theirs look like."""
    keys = collect_row_keys(file_rows.frame["sourced_id"], file_rows.quarantine)
    spellings = find_spellings(keys, earlier)
    if not spellings.height:
        return file_rows
    return replace(
        file_rows,
        frame=replace_spellings(file_rows.frame, "sourced_id", spellings),
        quarantine=replace_spellings(file_rows.quarantine, "key", spellings),
        deletions=replace_spellings(file_rows.deletions, "sourced_id", spellings),
    )


def _select_quarantine_of(base: Snapshot, stem: str) -> pl.DataFrame:
    return base.quarantine.filter(pl.col("file") == f"{stem}.csv")


def collect_earlier_rows(base: Snapshot, stem: str) -> pl.DataFrame:
    """Return the earlier rows of a file, waiting ones included."""
    frame = {"orgs": base.orgs, "users": base.users, "classes": base.classes, "enrollments": base.enrollments}[stem]
    waiting = base.waiting.get(stem)
    return pl.concat([_add_unreadable(each).select(FIELDS_OF[stem]) for each in (frame, waiting) if each is not None])


def _add_unreadable(frame: pl.DataFrame) -> pl.DataFrame:
    """Add the column UNREADABLE to rows that were saved without it."""
    return frame if UNREADABLE in frame.columns else frame.with_columns(pl.lit(None, dtype=pl.String).alias(UNREADABLE))


def select_carried_quarantine(base: Snapshot, stem: str, delta_keys: pl.Series) -> pl.DataFrame:
    """Return earlier quarantined rows that the delta does not name, which still protect their records.

    A row without a key is dropped, because it protected only against absence, except of roles.csv: it may be the next
    role of somebody whose role has ended. A waiting row is checked anew."""
    key = "user" if stem == "roles" else "sourced_id"
    waiting = base.waiting[stem][key] if stem in base.waiting and stem != "roles" else delta_keys.clear()
    carried = base.quarantine.filter(
        (pl.col("file") == f"{stem}.csv")
        & (pl.col("key").is_not_null() | (pl.col("file") == "roles.csv"))
        & ~pl.col("key").is_in(pl.concat([delta_keys.alias("key"), waiting.alias("key")]).implode()).fill_null(False)
        & ~((pl.col("file") == "roles.csv") & (pl.col("code") == "dangling-reference"))
    )
    return mark_as_earlier(carried, pl.lit(True))


def mark_as_earlier(quarantine: pl.DataFrame, which: pl.Expr) -> pl.DataFrame:
    """Add EARLIER to the messages of the rows that `which` selects."""
    is_marked = pl.col("message").str.ends_with(EARLIER)
    return quarantine.with_columns(
        pl.when(which & ~is_marked).then(pl.col("message") + EARLIER).otherwise("message").alias("message")
    )


def collect_row_keys(keys: pl.Series, quarantine: pl.DataFrame) -> pl.Series:
    """Return the keys of a file's rows, good or quarantined."""
    return pl.concat([keys.drop_nulls().alias("key"), quarantine["key"].drop_nulls()]).unique(maintain_order=True)


def map_field_places(standard: Standard, stem: str) -> dict[str, int]:
    """Return the position of each field in the standard's order, from 1."""
    columns = standard.tables[stem].columns
    return {column.field: place for place, column in enumerate(columns, start=1) if column.field is not None}
