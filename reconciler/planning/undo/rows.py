"""Builds the rows that a run touched with their values before it, their values now and the action that reverses it."""

from collections.abc import Mapping
from enum import StrEnum

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.model.roster import ROSTER_FIELDS, AccountStatus, list_field_names
from reconciler.planning.frames.change_frame import build_change_schema, build_label, fit_to_schema, sort_for_report
from reconciler.planning.frames.fingerprint import compute_fingerprint

#: Actions after which a row is no longer active.
ENDING_ACTIONS = (Action.DELETE.value, Action.CONCLUDE.value)


class SpareReason(StrEnum):
    """The reason why an undo skips a row that the run touched."""

    CHANGED_SINCE = "changed-since"
    TAKEN_SINCE = "taken-since"
    STILL_USED = "still-used"
    REFERENCE_GONE = "reference-gone"
    OTHER_HALF = "other-half"
    ERASED = "erased"
    NO_LONGER_KEPT = "no-longer-kept"


def is_ending() -> pl.Expr:
    """Select rows that are no longer active after their action."""
    return pl.col("action").is_in(ENDING_ACTIONS)


def add_live_state(
    kind: Kind, touched: pl.DataFrame, live: pl.DataFrame, references: Mapping[str, pl.DataFrame]
) -> pl.DataFrame:
    """Return touched rows with their values before the run (the fields, `was_*`) and now (`before_*`, `now_*`), and
    with references as sourcedIds. `references` has `id` and `sourced_id` by field."""
    was = touched.select(pl.exclude("was"), pl.col("was").struct.unnest()).rename(
        {
            "file": "now_file",
            "line": "now_line",
            "sourced_id": "was_key",
            "managed_by": "was_manager",
            "tombstoned_at": "was_tombstoned_at",
            "concluded_at": "was_concluded_at",
        }
    )
    for field in ROSTER_FIELDS[kind]:
        if field.boolean and field.name in was.columns:
            was = was.with_columns(pl.col(field.name).cast(pl.Boolean))
        if field.reference is not None:
            names = references[field.name].select(
                pl.col("id").alias(field.name), pl.col("sourced_id").alias(f"{field.name}_key")
            )
            was = (
                was.with_columns(pl.col(field.name).alias(f"was_{field.name}_id"))
                .join(names, on=field.name, how="left", maintain_order="left")
                .drop(field.name)
                .rename({f"{field.name}_key": field.name})
            )
    if kind is Kind.USER:
        was = was.with_columns(pl.col("was_key").is_not_null().alias("bound"))
    now = live.select(
        "id",
        pl.col("sourced_id").alias("now_key"),
        pl.col("fingerprint").alias("seen"),
        pl.col("tombstoned").alias("now_tombstoned"),
        *([pl.col("managed_by").alias("now_manager")] if kind is Kind.USER else []),
        *(["account_id", "class_id"] if kind is Kind.ENROLLMENT else []),
        *[pl.col(name).alias(f"before_{name}") for name in list_field_names(kind)],
    )
    return was.join(now, on="id", how="left", maintain_order="left")


def add_actions(kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
    """Add `action` (null: nothing to reverse), `key`, `former_key` and `why` (null: not skipped).

    Accounts that no roster ever bound are dropped: administrators follow their documents.
    """
    was_live = ~pl.col("made") & pl.col("was_tombstoned_at").is_null()
    now_live = pl.col("there") & ~pl.col("now_tombstoned").fill_null(True)
    rostered = pl.col("was_key").is_not_null() | pl.col("now_key").is_not_null()
    equal = was_live & now_live & _is_as_before(kind)
    action = (
        pl.when(now_live & ~was_live)
        .then(
            pl.when(pl.col("was_concluded_at").is_not_null())
            .then(pl.lit(Action.CONCLUDE.value))
            .otherwise(pl.lit(Action.DELETE.value))
        )
        .when(was_live & ~now_live)
        .then(pl.lit(Action.RESTORE.value))
        .when(was_live & now_live & ~equal)
        .then(_choose_staying_action(kind))
    )
    rows = rows.with_columns(pl.when(~pl.col("undone")).then(action).alias("action")).filter(rostered)
    key = pl.when(is_ending() | pl.col("was_key").is_null()).then("now_key").otherwise("was_key")
    rows = rows.with_columns(key.alias("key")).with_columns(
        pl.when(pl.col("now_key").is_not_null() & (pl.col("now_key") != pl.col("key")))
        .then("now_key")
        .alias("former_key")
    )
    # Only a write outside reconciler leaves a row without a fingerprint.
    why = (
        pl.when(pl.col("action").is_null())
        .then(None)
        .when(~pl.col("there"))
        .then(pl.lit(SpareReason.NO_LONGER_KEPT.value))
        .when(pl.col("later").is_not_null() | pl.col("seen").is_null())
        .then(pl.lit(SpareReason.CHANGED_SINCE.value))
    )
    return rows.with_columns(why.alias("why"))


def _is_as_before(kind: Kind) -> pl.Expr:
    """Select rows with the same values before the run and now; a person's new sourcedId changes no enrollment."""
    names = [name for name in list_field_names(kind) if not (kind is Kind.ENROLLMENT and name == "user")]
    same = [pl.col(name).eq_missing(pl.col(f"before_{name}")) for name in names]
    if kind is Kind.ENROLLMENT:
        same.append(pl.col("was_user_id").eq_missing(pl.col("account_id")))
    return pl.all_horizontal(pl.col("was_key").eq_missing(pl.col("now_key")), *same)


def _choose_staying_action(kind: Kind) -> pl.Expr:
    if kind is not Kind.USER:
        return pl.lit(Action.UPDATE.value)
    was, now = pl.col("was_key"), pl.col("now_key")
    status = pl.col("status").ne_missing(pl.col("before_status"))
    return (
        pl.when(was.is_not_null() & now.is_null())
        .then(pl.lit(Action.ADOPT.value))
        .when(was.is_not_null() & (was != now))
        .then(pl.lit(Action.REKEY.value))
        .when(status & (pl.col("status") == AccountStatus.SUSPENDED.value))
        .then(pl.lit(Action.SUSPEND.value))
        .when(status)
        .then(pl.lit(Action.RESUME.value))
        .otherwise(pl.lit(Action.UPDATE.value))
    )


def shape_changes(kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
    """Return a change frame in the order of reports."""
    ending = is_ending()
    shaped = rows.with_columns(
        # A row that leaves keeps its values.
        *[pl.when(ending).then(f"before_{name}").otherwise(name).alias(name) for name in list_field_names(kind)],
        pl.lit(Reason.UNDONE.value).alias("reason"),
        pl.col("key").alias("sourced_id"),
        pl.col("id").alias("live_id"),
        pl.when(~ending).then("origin_file").alias("file"),
        pl.when(~ending).then("origin_line").alias("line"),
        pl.lit(False).alias("held"),
        *(_restore_manager() if kind is Kind.USER else []),
    ).with_columns(build_label(kind), compute_fingerprint(kind))
    leaves = ending | pl.col("was_key").is_null() if kind is Kind.USER else ending
    shaped = shaped.with_columns(
        pl.when(leaves).then(pl.lit(0, dtype=pl.Int64)).otherwise("fingerprint").alias("fingerprint")
    )
    return sort_for_report(fit_to_schema(kind, shaped).cast(pl.Schema(build_change_schema(kind))))


def _restore_manager() -> list[pl.Expr]:
    """Give an account that is unbound from the roster its former manager."""
    return [pl.when(is_ending() | pl.col("bound")).then("now_manager").otherwise("was_manager").alias("manager")]
