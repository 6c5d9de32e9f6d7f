"""Compares the desired rows of a roster with those in the store and builds change frames, none held yet."""

from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.model.roster import ROSTER_FIELDS, AccountStatus, list_field_names
from reconciler.model.text_form import is_ascii_column
from reconciler.oneroster.snapshot import UNREADABLE
from reconciler.planning.frames.change_frame import (
    BEFORE_PREFIX,
    CSV_FILES,
    build_label,
    fit_to_schema,
    sort_for_report,
)
from reconciler.planning.frames.fingerprint import compute_fingerprint


@dataclass(frozen=True, slots=True)
class RowDiff:
    """The differences between the desired and the live rows of one kind."""

    #: in the order of reports
    changes: pl.DataFrame
    #: `live_id`, `fingerprint` of rows with the desired values but another fingerprint
    refresh: pl.DataFrame


def diff_rows(kind: Kind, matched: pl.DataFrame, live: pl.DataFrame) -> RowDiff:
    """Return the creates, updates, restores, rekeys, adopts, suspends and resumes.

    `matched` are desired rows with `id`, `match` and `former_key` (see `roster.matching`); `live` has the rows by `id`.
    """
    names = list_field_names(kind)
    created = matched.filter(pl.col("id").is_null())
    before = live.select(
        "id",
        pl.col("fingerprint").alias("seen"),
        *([pl.col("managed_by").alias("manager")] if kind is Kind.USER else []),
        *[pl.col(name).alias(f"before_{name}") for name in names],
    )
    known = matched.filter(pl.col("id").is_not_null()).join(before, on="id", how="inner", maintain_order="left")
    known = _keep_unreadable_values(kind, known)
    plain = pl.col("match") == Action.UPDATE.value
    same_fingerprint = (pl.col("seen") == pl.col("fingerprint")).fill_null(False)
    candidates = _keep_canonical_values(kind, known.filter(~(plain & same_fingerprint)))
    same_fields = pl.all_horizontal([pl.col(name).eq_missing(pl.col(f"before_{name}")) for name in names])
    equal = candidates.filter(plain & same_fields)
    differing = candidates.filter(~(plain & same_fields))
    changes = pl.concat(
        [
            _shape_changes(kind, differing.with_columns(_choose_action(kind), _choose_reason(kind))),
            _shape_changes(
                kind,
                created.with_columns(
                    pl.lit(Action.CREATE.value).alias("action"), pl.lit(Reason.NEW.value).alias("reason")
                ),
            ),
        ]
    )
    refresh = equal.filter(pl.col("seen").ne_missing(pl.col("fingerprint")))
    refresh = refresh.select(pl.col("id").alias("live_id"), "fingerprint")
    return RowDiff(sort_for_report(changes), refresh)


def _keep_unreadable_values(kind: Kind, known: pl.DataFrame) -> pl.DataFrame:
    """Replace values that could not be read by those of the store. `known` has the fields, also as before."""
    if UNREADABLE not in known.columns or known[UNREADABLE].null_count() == known.height:
        return known
    unreadable = pl.col(UNREADABLE).str.split(",")
    kept = known.with_columns(
        pl.when(unreadable.list.contains(name)).then(f"before_{name}").otherwise(name).alias(name)
        for name in list_field_names(kind)
    )
    is_kept = pl.col(UNREADABLE).is_not_null()
    return kept.with_columns(
        pl.when(is_kept).then(compute_fingerprint(kind)).otherwise("fingerprint").alias("fingerprint")
    )


def _keep_canonical_values(kind: Kind, known: pl.DataFrame) -> pl.DataFrame:
    """Replace texts by those of the store that differ in their Unicode form alone (NFC, NFD), which nobody sees.

    `known` has the fields, also as before; a text with other characters that nobody sees is a change."""
    kept: dict[str, pl.Series] = {}
    for field in ROSTER_FIELDS[kind]:
        if field.boolean or field.reference:
            continue
        value, before = known[field.name], known[f"{BEFORE_PREFIX}{field.name}"]
        if is_ascii_column(value) and is_ascii_column(before):
            continue
        same = (value != before) & (value.str.normalize("NFC") == before.str.normalize("NFC"))
        if same.any():
            kept[field.name] = same.fill_null(False)
    if not kept:
        return known
    any_kept = pl.any_horizontal(list(kept.values()))
    return known.with_columns(
        pl.when(same).then(f"{BEFORE_PREFIX}{name}").otherwise(name).alias(name) for name, same in kept.items()
    ).with_columns(pl.when(any_kept).then(compute_fingerprint(kind)).otherwise("fingerprint").alias("fingerprint"))


def _choose_action(kind: Kind) -> pl.Expr:
    if kind is not Kind.USER:
        return pl.col("match").alias("action")
    changed = pl.col("status").ne_missing(pl.col("before_status"))
    suspended = pl.col("status") == AccountStatus.SUSPENDED.value
    plain = pl.col("match") == Action.UPDATE.value
    return (
        pl.when(plain & changed & suspended)
        .then(pl.lit(Action.SUSPEND.value))
        .when(plain & changed)
        .then(pl.lit(Action.RESUME.value))
        .otherwise(pl.col("match"))
        .alias("action")
    )


def _choose_reason(kind: Kind) -> pl.Expr:
    """Return the reason by match and values; a live row without a fingerprint was changed outside reconciler."""
    match = pl.col("match")
    by_match = (
        pl.when(match == Action.RESTORE.value)
        .then(pl.lit(Reason.RETURNED.value))
        .when(match == Action.REKEY.value)
        .then(pl.lit(Reason.KEY_CHANGED.value))
        .when(match == Action.ADOPT.value)
        .then(pl.lit(Reason.ADOPTED.value))
        .when(pl.col("seen").is_null())
        .then(pl.lit(Reason.DRIFT.value))
    )
    if kind is Kind.USER:
        changed = pl.col("status").ne_missing(pl.col("before_status"))
        by_match = (
            by_match.when(changed & (pl.col("status") == AccountStatus.SUSPENDED.value))
            .then(pl.lit(Reason.ROSTER_DISABLED.value))
            .when(changed)
            .then(pl.lit(Reason.RETURNED.value))
            .when(pl.col("role").ne_missing(pl.col("before_role")))
            .then(pl.lit(Reason.ROLE_CHANGED.value))
        )
    return by_match.otherwise(pl.lit(Reason.FIELD_CHANGED.value)).alias("reason")


def build_removals(kind: Kind, gone: pl.DataFrame, action: Action = Action.DELETE) -> pl.DataFrame:
    """Return changes that remove live rows, which have `reason` and `line` (0: no row in the file)."""
    frame = gone.with_columns(
        pl.lit(action.value).alias("action"),
        pl.col("fingerprint").alias("seen"),
        *[pl.col(name).alias(f"before_{name}") for name in list_field_names(kind)],
    ).with_columns(
        # 0 is no row's fingerprint, and differs from the null that a write outside reconciler leaves.
        pl.lit(0, dtype=pl.Int64).alias("fingerprint"),
        *([pl.lit(AccountStatus.SUSPENDED.value).alias("status")] if action is Action.SUSPEND else []),
        *([pl.col("managed_by").alias("manager")] if kind is Kind.USER else []),
    )
    return sort_for_report(_shape_changes(kind, frame))


def _shape_changes(kind: Kind, frame: pl.DataFrame) -> pl.DataFrame:
    named = frame.with_columns(
        pl.col("sourced_id").alias("key"),
        pl.col("id").alias("live_id"),
        pl.lit(CSV_FILES[kind]).alias("file"),
        pl.lit(False).alias("held"),
    ).with_columns(build_label(kind))
    return fit_to_schema(kind, named)
