"""What differs between the rows a roster wants and the rows the store holds, as frames of changes.

Every frame has `CHANGE_COLUMNS`, the kind's fields as they are to be and as `before_NAME`. Nothing here knows of
limits: all changes come out unheld.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import polars_hash as plh

from reconciler.model.change import ACTION_ORDER, Action
from reconciler.model.kind import Kind
from reconciler.model.plan import CHANGE_COLUMNS
from reconciler.model.reason import Reason
from reconciler.model.roster import ROSTER_FIELDS, AccountStatus, list_field_names

CSV_FILES = {
    Kind.ORG: "orgs.csv",
    Kind.USER: "users.csv",
    Kind.CLASS: "classes.csv",
    Kind.ENROLLMENT: "enrollments.csv",
}

_COLUMN_TYPES: dict[str, type[pl.DataType]] = {
    "line": pl.Int64,
    "live_id": pl.Int64,
    "seen": pl.Int64,
    "fingerprint": pl.Int64,
    "held": pl.Boolean,
}


def build_change_schema(kind: Kind) -> dict[str, type[pl.DataType]]:
    """Columns and types of a kind's change frame."""
    fields = {each.name: pl.Boolean if each.boolean else pl.String for each in ROSTER_FIELDS[kind]}
    before = {f"before_{name}": type_ for name, type_ in fields.items()}
    return {**{name: _COLUMN_TYPES.get(name, pl.String) for name in CHANGE_COLUMNS}, **fields, **before}


def make_empty_changes(kind: Kind) -> pl.DataFrame:
    return pl.DataFrame(schema=build_change_schema(kind))


@dataclass(frozen=True, slots=True)
class RowDiff:
    """changes: in the order of reports. refresh: `live_id`, `fingerprint` of rows that are as they should be but
    whose fingerprint is not. unchanged: rows that stay as they are."""

    changes: pl.DataFrame
    refresh: pl.DataFrame
    unchanged: int


def build_label(kind: Kind) -> pl.Expr:
    """A name for people; the key where there is none."""
    if kind is Kind.USER:
        name = pl.concat_str("given_name", "family_name", separator=" ", ignore_nulls=True)
        return pl.when(name == "").then(pl.col("key")).otherwise(name).alias("label")
    if kind is Kind.ENROLLMENT:
        return pl.concat_str(pl.col("user"), pl.lit(" in "), pl.col("class"), ignore_nulls=True).alias("label")
    return pl.coalesce("name" if kind is Kind.ORG else "title", "key").alias("label")


def diff_rows(kind: Kind, matched: pl.DataFrame, live: pl.DataFrame) -> RowDiff:
    """Creates, updates, restores, rekeys, adopts, suspends and resumes.

    matched: desired rows with `id`, `match` and `former_key` (see `matching`). live: rows by `id`.
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
    plain = pl.col("match") == Action.UPDATE.value
    same_fingerprint = (pl.col("seen") == pl.col("fingerprint")).fill_null(False)
    candidates = known.filter(~(plain & same_fingerprint))
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
    refresh = equal.select(pl.col("id").alias("live_id"), "fingerprint")
    return RowDiff(sort_for_report(changes), refresh, known.height - differing.height)


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
    """Drift is told by the fingerprint: only a foreign write leaves a live row without one."""
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
    """Changes that take live rows away. gone: live rows with `reason` and `line` (0: nothing in the file)."""
    names = list_field_names(kind)
    after = {name: pl.col(name) for name in names}
    if action is Action.SUSPEND:
        after["status"] = pl.lit(AccountStatus.SUSPENDED.value)
    frame = gone.with_columns(
        pl.lit(action.value).alias("action"),
        pl.col("fingerprint").alias("seen"),
        *[pl.col(name).alias(f"before_{name}") for name in names],
    ).with_columns(
        *[expression.alias(name) for name, expression in after.items()],
        # 0 is no row's fingerprint, and not the null that tells of a foreign write
        pl.lit(0, dtype=pl.Int64).alias("fingerprint"),
        *([pl.col("managed_by").alias("manager")] if kind is Kind.USER else []),
    )
    return sort_for_report(_shape_changes(kind, frame))


def _shape_changes(kind: Kind, frame: pl.DataFrame) -> pl.DataFrame:
    """Exactly the columns of a change frame, in order."""
    schema = build_change_schema(kind)
    named = frame.with_columns(
        pl.col("sourced_id").alias("key"),
        pl.col("id").alias("live_id"),
        pl.lit(CSV_FILES[kind]).alias("file"),
        pl.lit(False).alias("held"),
    ).with_columns(build_label(kind))
    missing = [pl.lit(None, dtype=type_).alias(name) for name, type_ in schema.items() if name not in named.columns]
    return named.with_columns(missing).select(list(schema))


def sort_for_report(changes: pl.DataFrame) -> pl.DataFrame:
    """By action (what takes something away first), then key: the same whatever the order of the rows read."""
    order = pl.col("action").replace_strict(
        {action.value: place for action, place in ACTION_ORDER.items()}, return_dtype=pl.Int8
    )
    return changes.sort(order, "key")


# One number per roster row that is equal exactly where key and compared fields are equal.


#: Control characters never reach a frame, so this cannot occur in a value.
FIELD_SEPARATOR = "\x1f"


def compute_fingerprint(kind: Kind) -> pl.Expr:
    """An Int64 expression over `sourced_id` and the kind's fields."""
    parts: list[pl.Expr] = [plh.col("sourced_id")]
    for field in ROSTER_FIELDS[kind]:
        column = plh.col(field.name)
        parts.append((column.cast(pl.String) if field.boolean else column).fill_null(""))
    row = plh.concat_str(*parts, separator=FIELD_SEPARATOR)
    hashed: pl.Expr = row.nchash.xxhash64().reinterpret(signed=True)
    return hashed.alias("fingerprint")


# Which changes take something away.


#: Why somebody is not among those whom the roster wants; being disabled is another thing.
ABSENCE_REASONS = (Reason.ROSTER_ROW_MISSING.value, Reason.ROSTER_TOBEDELETED.value, Reason.SCOPE_NARROWED.value)


def is_leaving(kind: Kind) -> pl.Expr:
    """Rows that a limit counts: deletions, and suspensions because somebody is not in the roster any more."""
    deleted = pl.col("action") == Action.DELETE.value
    if kind is not Kind.USER:
        return deleted
    return deleted | ((pl.col("action") == Action.SUSPEND.value) & pl.col("reason").is_in(ABSENCE_REASONS))


def is_taken_away(kind: Kind) -> pl.Expr:
    """Rows that go because a source lacks or marks them: those that a limit counts, and accounts that somebody else
    keeps when their row has left. A source in doubt takes none of them."""
    if kind is Kind.ENROLLMENT:
        return is_leaving(kind) | is_given_away()
    return is_leaving(kind) | ~pl.col("bound").fill_null(True) if kind is Kind.USER else is_leaving(kind)


def is_given_away() -> pl.Expr:
    """Enrollments that would be another person's, or of another class: somebody loses theirs as if it were deleted. One
    that follows its person into another account is the same person's."""
    moved = pl.col("user").ne_missing(pl.col("before_user")) | pl.col("class").ne_missing(pl.col("before_class"))
    return (pl.col("action") == Action.UPDATE.value) & moved & (pl.col("reason") != Reason.MERGED.value)


def is_vanishing(kind: Kind) -> pl.Expr:
    """Rows that are not there any more afterwards: `taken`, and what ends with its term. That a term is over is known
    from its own days, so that no shorter file makes it doubtful; whose class it is may be."""
    return is_taken_away(kind) | (pl.col("action") == Action.CONCLUDE.value)
