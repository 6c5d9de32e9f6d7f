"""Adds to each change its cause, relative to a base in git: this pull request, an earlier merge, or drift."""

from collections.abc import Mapping
from dataclasses import replace

import polars as pl

from reconciler.model.cause import ChangeCause, choose_main_cause
from reconciler.model.change import Change, Create, Delete, Restore
from reconciler.model.kind import Kind
from reconciler.model.settings import DocumentsByKey
from reconciler.planning.documents.document_diff import collect_paths, diff_fields, is_overlapping_path
from reconciler.planning.frames.change_frame import CAUSE_COLUMN


def add_causes(changes: tuple[Change, ...], before: DocumentsByKey, now: DocumentsByKey) -> tuple[Change, ...]:
    """Return the document changes with their causes.

    `before` has the documents of the base and `now` those of the files, both by the IDs in the files, even where the
    base has a document under another ID. A value that is the same in both and has not drifted is pending: it was merged
    earlier and waits for an apply.
    """
    return tuple(_add_cause(change, before, now) for change in changes)


def _add_cause(change: Change, before: DocumentsByKey, now: DocumentsByKey) -> Change:
    key = (change.kind, change.key)
    earlier, later = before.get(key), now.get(key)
    if isinstance(change, Create | Delete | Restore) or earlier is None or later is None:
        came_or_went = (earlier is None) != (later is None) or _is_renamed(earlier, later)
        return replace(change, cause=ChangeCause.PR if came_or_went else change.cause or ChangeCause.PENDING)
    changed = collect_paths(diff_fields(earlier, later))
    fields = tuple(
        replace(
            field,
            cause=ChangeCause.PR if is_overlapping_path(field.path, changed) else field.cause or ChangeCause.PENDING,
        )
        for field in change.fields
    )
    return replace(change, fields=fields, cause=choose_main_cause(field.cause for field in fields))


def _is_renamed(earlier: Mapping[str, object] | None, later: Mapping[str, object] | None) -> bool:
    return earlier is not None and later is not None and earlier.get("id") != later.get("id")


def add_roster_causes(
    changes: Mapping[Kind, pl.DataFrame], by_base: Mapping[Kind, pl.DataFrame] | None
) -> dict[Kind, pl.DataFrame]:
    """Return the change frames with CAUSE_COLUMN.

    `by_base` has the changes that the same roster makes with the base's settings; None if the settings are the same.
    Rows that both make do not come from this pull request; rows that only these settings make, hold or release do.
    """
    caused = {}
    for kind, frame in changes.items():
        drift = (
            pl.when(pl.col("reason") == "drift")
            .then(pl.lit(ChangeCause.DRIFT.value))
            .otherwise(pl.lit(ChangeCause.PENDING.value))
        )
        earlier = None if by_base is None else by_base.get(kind, frame.clear())
        if earlier is None:
            caused[kind] = frame.with_columns(drift.alias(CAUSE_COLUMN))
            continue
        same = ["action", "reason", "key", "held"]
        known = earlier.select(*same, pl.lit(True).alias("by_base")).unique(same)
        caused[kind] = (
            frame.join(known, on=same, how="left", maintain_order="left")
            .with_columns(
                pl.when(pl.col("by_base").is_null())
                .then(pl.lit(ChangeCause.PR.value))
                .otherwise(drift)
                .alias(CAUSE_COLUMN)
            )
            .drop("by_base")
        )
    return caused
