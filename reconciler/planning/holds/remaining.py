"""Holds what enrollments that stay stand on: their classes and the other half of a move.

An enrollment stays if no change of it goes ahead: its change is held, or a quarantined row keeps it.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.planning.frames.losses import is_vanishing
from reconciler.planning.holds.state import HoldState
from reconciler.planning.roster.enrollments import PLACE_COLUMNS
from reconciler.planning.roster.quarantine import build_quarantine_rows

_IS_ENDING = pl.col("action").is_in([Action.DELETE.value, Action.CONCLUDE.value])
_IS_RETURNING = pl.col("action").is_in([Action.CREATE.value, Action.RESTORE.value])
_IS_MOVING = ~_IS_ENDING & pl.any_horizontal(
    [pl.col(name).ne_missing(pl.col(f"before_{name}")) for name in PLACE_COLUMNS]
)
#: Rows that put a person into a class, or into a role there.
_IS_ARRIVING = _IS_RETURNING | _IS_MOVING
#: Rows that free the place in which an enrollment is.
_IS_FREEING = _IS_ENDING | (_IS_MOVING & ~_IS_RETURNING)


def hold_other_halves(state: HoldState) -> HoldState:
    """Hold the losses of people who have an enrollment that waits: nobody leaves a class before the next one may come,
    whether the roster moves one row or writes two."""
    enrollments = state.changes[Kind.ENROLLMENT]
    waiting = enrollments.filter(pl.col("held") & _IS_ARRIVING)["user"].drop_nulls().unique()
    if not waiting.len():
        return state
    return state.hold_where(Kind.ENROLLMENT, _IS_FREEING & pl.col("before_user").is_in(waiting.implode()))


def settle_places(state: HoldState) -> HoldState:
    """Hold enrollments that would get the class, person and role of one that stays until it leaves; quarantine those of
    one that no approval lets leave."""
    enrollments = state.changes[Kind.ENROLLMENT]
    remaining = _find_remaining(state)
    arriving = enrollments.filter(~pl.col("held") & _IS_ARRIVING)
    if not remaining.height or not arriving.height:
        return state
    taken = arriving.join(remaining, on=PLACE_COLUMNS, how="inner").filter(pl.col("id").ne_missing(pl.col("live_id")))
    if not taken.height:
        return state
    held_ids = enrollments.filter(pl.col("held") & _IS_FREEING)["live_id"]
    refused = taken.filter(~pl.col("id").is_in(held_ids.implode())).unique("key", maintain_order=True)
    state = state.hold_where(Kind.ENROLLMENT, _IS_ARRIVING & pl.col("key").is_in(taken["key"].implode()))
    if not refused.height:
        return state
    quarantined = build_quarantine_rows(
        Kind.ENROLLMENT,
        refused,
        "key",
        "enrollment-taken",
        pl.lit("another enrollment that stays has the same class, person and role"),
        "Correct or remove the row of the other one.",
    )
    kept = state.changes[Kind.ENROLLMENT].filter(~(_IS_ARRIVING & pl.col("key").is_in(refused["key"].implode())))
    return replace(
        state,
        changes={**state.changes, Kind.ENROLLMENT: kept},
        quarantine=pl.concat([state.quarantine, quarantined]),
    )


def hold_classes_in_use(state: HoldState) -> HoldState:
    """Hold the removal of classes in which somebody is enrolled afterwards."""
    leaving = state.changes[Kind.CLASS].filter(~pl.col("held") & is_vanishing(Kind.CLASS))["key"]
    if not leaving.len():
        return state
    remaining = _find_remaining(state)
    arriving = state.changes[Kind.ENROLLMENT].filter(~pl.col("held") & _IS_ARRIVING)
    used = pl.concat([remaining["class"], arriving["class"]]).drop_nulls().unique()
    state = state.hold_where(Kind.CLASS, is_vanishing(Kind.CLASS) & pl.col("key").is_in(used.implode()))
    waiting = state.changes[Kind.ENROLLMENT].filter("held")
    unexplained = remaining.join(waiting, left_on="id", right_on="live_id", how="anti")["class"]
    if leaving.filter(leaving.is_in(unexplained.implode())).len():
        return state.add_causes("A class would be removed while people are still enrolled in it.")
    return state


def hold_empty_classes(state: HoldState) -> HoldState:
    """Hold new classes if every enrollment in them waits, so that the whole move is approved at once."""
    arriving = state.changes[Kind.ENROLLMENT].filter(_IS_ARRIVING)
    waiting, coming = arriving.filter("held")["class"].unique(), arriving.filter(~pl.col("held"))["class"].unique()
    empty = waiting.filter(~waiting.is_in(coming.implode()))
    if not empty.len():
        return state
    return state.hold_where(Kind.CLASS, _IS_RETURNING & pl.col("key").is_in(empty.implode()))


def _find_remaining(state: HoldState) -> pl.DataFrame:
    """Return `id`, `class`, `user`, `role` of the open live enrollments that stay where they are."""
    enrollments = state.changes[Kind.ENROLLMENT]
    freed = enrollments.filter(~pl.col("held") & _IS_FREEING & pl.col("live_id").is_not_null())["live_id"]
    active = state.inputs.live.enrollments.filter(~pl.col("tombstoned"))
    return active.filter(~pl.col("id").is_in(freed.implode())).select("id", *PLACE_COLUMNS)
