"""Holds both halves of a merge together, so that no account is merged by half."""

from dataclasses import replace

import polars as pl

from reconciler.model.kind import Kind
from reconciler.planning.holds.state import HoldState


def hold_merge_halves(state: HoldState) -> HoldState:
    """Hold a merged account, the account that stays and their enrollments together, and drop them together if one of
    the two accounts does not change. Of several accounts merged into one, all wait together."""
    users = state.changes[Kind.USER]
    halves = users.filter(pl.col("into").is_not_null()).select(pl.col("key").alias("other"), "into")
    if not halves.height:
        return state
    alone = halves.filter(~pl.col("into").is_in(users["key"].implode()))
    if alone.height:
        state = _drop_halves(state, alone)
        halves = halves.join(alone, on="other", how="anti")
    held = state.changes[Kind.USER].filter("held")["key"]
    while True:
        torn = halves.filter(pl.col("other").is_in(held.implode()) != pl.col("into").is_in(held.implode()))
        if not torn.height:
            break
        held = pl.concat([held, torn["other"], torn["into"].alias("other")]).unique()
    waiting = halves.filter(pl.col("into").is_in(held.implode()))
    keys = pl.concat([waiting["other"], waiting["into"].alias("other")])
    state = state.hold_where(Kind.USER, pl.col("key").is_in(keys.implode()))
    return state.hold_where(Kind.ENROLLMENT, _match_either_half(waiting))


def _drop_halves(state: HoldState, halves: pl.DataFrame) -> HoldState:
    users, enrollments = state.changes[Kind.USER], state.changes[Kind.ENROLLMENT]
    going = pl.col("into").is_not_null() & pl.col("key").is_in(halves["other"].implode())
    return replace(
        state,
        changes={
            **state.changes,
            Kind.USER: users.filter(~going),
            Kind.ENROLLMENT: enrollments.filter(~_match_either_half(halves)),
        },
    )


def _match_either_half(halves: pl.DataFrame) -> pl.Expr:
    """Select enrollments of people in `other` and `into`."""
    keys = pl.concat([halves["other"], halves["into"].alias("other")]).implode()
    return pl.col("user").is_in(keys).fill_null(False) | pl.col("before_user").is_in(keys).fill_null(False)
