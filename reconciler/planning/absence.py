"""Who and what left a roster, and what becomes of it.

Only what a roster manages can leave by a roster; never an administrator, never a protected sourcedId, never what a
row set aside names.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Diagnostic, Span, info, warning
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.model.roster import AccountStatus, Manager
from reconciler.planning.desired import Desired
from reconciler.planning.difference import disappearing, no_changes
from reconciler.planning.limits import countable_people


@dataclass(frozen=True, slots=True)
class Absent:
    """changes: what leaves. kept: sourcedIds of absent people who stay, with all that they have."""

    changes: pl.DataFrame
    kept: pl.Series
    diagnostics: tuple[Diagnostic, ...]


def _explained(gone: pl.DataFrame, desired: Desired, kind: Kind) -> pl.DataFrame:
    """`gone` with `reason` and `line`: marked to be deleted, or simply not in the file."""
    return gone.join(
        desired.marked[kind].unique("key", keep="first", maintain_order=True),
        left_on="sourced_id",
        right_on="key",
        how="left",
        maintain_order="left",
    ).with_columns(
        pl.when(pl.col("line").is_not_null())
        .then(pl.lit(Reason.ROSTER_TOBEDELETED.value))
        .otherwise(pl.lit(Reason.ROSTER_ROW_MISSING.value))
        .alias("reason"),
        pl.col("line").fill_null(0),
    )


def absent_rows(kind: Kind, desired: Desired, live: pl.DataFrame) -> pl.DataFrame:
    """Orgs or classes that left, as changes."""
    gone = (
        live.filter(~pl.col("tombstoned"))
        .join(desired.frames[kind], on="sourced_id", how="anti")
        .filter(~pl.col("sourced_id").is_in(desired.protected(kind).implode()))
    )
    return disappearing(kind, _explained(gone, desired, kind))


def absent_people(
    desired: Desired,
    live: pl.DataFrame,
    roles: pl.DataFrame,
    named: pl.Series,
    missing: str,
    protect: frozenset[str],
) -> Absent:
    """live: users with `roles`. named: ids of accounts that this roster has under another sourcedId now.
    missing: delete, suspend or keep. protect: sourcedIds that a roster never takes away."""
    gone = (
        live.filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null())
        .join(desired.frames[Kind.USER], on="sourced_id", how="anti")
        .filter(
            ~pl.col("sourced_id").is_in(desired.protected(Kind.USER).implode()) & ~pl.col("id").is_in(named.implode())
        )
    )
    managed = gone.filter(pl.col("managed_by") == Manager.ROSTER.value)
    removable = managed.join(countable_people(live, roles), on="id", how="semi")
    administrators = managed.join(removable, on="id", how="anti")
    shielded = removable.filter(pl.col("sourced_id").is_in(sorted(protect)))
    leaving = _explained(removable.join(shielded, on="id", how="anti"), desired, Kind.USER).with_columns(
        pl.when(pl.col("sourced_id").is_in(desired.elsewhere.implode()) & (pl.col("line") == 0))
        .then(pl.lit(Reason.SCOPE_NARROWED.value))
        .otherwise(pl.col("reason"))
        .alias("reason")
    )
    marked = leaving.filter(pl.col("reason") == Reason.ROSTER_TOBEDELETED.value)
    absent = leaving.filter(pl.col("reason") != Reason.ROSTER_TOBEDELETED.value)
    changes = [disappearing(Kind.USER, marked)]
    kept = gone.join(leaving, on="id", how="anti")["sourced_id"]
    if missing == "delete":
        changes.append(disappearing(Kind.USER, absent))
    else:
        kept = pl.concat([kept, absent["sourced_id"]])
        if missing == "suspend":
            active = absent.filter(pl.col("status") == AccountStatus.ACTIVE.value)
            changes.append(disappearing(Kind.USER, active, Action.SUSPEND))
    return Absent(
        pl.concat(changes),
        kept,
        _spared(administrators.height, shielded.height, gone.height - managed.height),
    )


def _spared(administrators: int, protected: int, unmanaged: int) -> tuple[Diagnostic, ...]:
    place = Span("users.csv")
    found: list[Diagnostic] = []
    if administrators:
        found.append(
            warning(
                "administrator-kept",
                f"{administrators:,} administrators are not in the roster; a roster never removes an administrator",
                place,
                "give them another role in the roster first, or remove them by hand",
            )
        )
    if protected:
        found.append(info("protected-kept", f"{protected:,} people are not in the roster and stay by `protect`", place))
    if unmanaged:
        found.append(
            info(
                "unmanaged-kept",
                f"{unmanaged:,} people are not in the roster and stay: their accounts are not managed by it",
                place,
            )
        )
    return tuple(found)


def absent_enrollments(
    desired: Desired,
    open_live: pl.DataFrame,
    leaving_people: pl.DataFrame,
    leaving_classes: pl.DataFrame,
    kept: pl.Series,
) -> pl.DataFrame:
    """Enrollments that left. open_live: live enrollments that the fingerprints left open.
    leaving_*: changes that take people and classes away. kept: absent people who keep what they have."""
    if not open_live.height:
        return no_changes(Kind.ENROLLMENT)
    gone = (
        open_live.filter(~pl.col("tombstoned"))
        .join(desired.frames[Kind.ENROLLMENT], on="sourced_id", how="anti")
        .filter(
            ~pl.col("sourced_id").is_in(desired.protected(Kind.ENROLLMENT).implode())
            & ~pl.col("user").is_in(kept.implode()).fill_null(False)
        )
    )
    taken = pl.col("action") == Action.DELETE.value
    people = leaving_people.filter(taken)["key"]
    classes = leaving_classes.filter(taken)["key"]
    parent_goes = pl.col("user").is_in(people.implode()) | pl.col("class").is_in(classes.implode())
    explained = _explained(gone, desired, Kind.ENROLLMENT).with_columns(
        pl.when(parent_goes.fill_null(False))
        .then(pl.lit(Reason.PARENT_REMOVED.value))
        .otherwise(pl.col("reason"))
        .alias("reason")
    )
    return disappearing(Kind.ENROLLMENT, explained)
