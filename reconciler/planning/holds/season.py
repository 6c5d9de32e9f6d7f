"""Holds changes on dates on which the calendar lets a roster do less."""

from __future__ import annotations

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.roster import ROLE_SEPARATOR
from reconciler.planning.frames.losses import is_leaving
from reconciler.planning.holds.rules import ActiveSeason, SeasonMode
from reconciler.planning.holds.state import HoldState


def hold_for_season(state: HoldState) -> HoldState:
    """Hold every change in a freeze, and every loss in a season that only adds."""
    season = state.inputs.season
    if season is None:
        return state
    forbidden = {
        kind: pl.lit(True) if season.mode is SeasonMode.FREEZE else _match_removals(kind) for kind in ROSTER_KINDS
    }
    if not any(state.changes[kind].filter(forbidden[kind]).height for kind in ROSTER_KINDS):
        return state
    for kind in ROSTER_KINDS:
        state = state.hold_where(kind, forbidden[kind])
    return state.add_causes(_describe_season(season))


def _match_removals(kind: Kind) -> pl.Expr:
    """Select what limits count, accounts that the roster lets go of, and places at schools that somebody loses without
    getting another. What ended with its term goes in every season, and so does the sign-in of somebody whom the source
    itself calls not enabled."""
    if kind is not Kind.USER:
        return is_leaving(kind)
    return is_leaving(kind) | (pl.col("before_bound") & ~pl.col("bound")).fill_null(False) | _match_role_entry_losses()


def _match_role_entry_losses() -> pl.Expr:
    """Select rows that lack a school, or one of somebody's several rows: half made, as the whole roster may be."""
    before, after = (pl.col(name).fill_null("").str.split(ROLE_SEPARATOR) for name in ("before_roles", "roles"))
    lost, won = before.list.set_difference(after).list.len(), after.list.set_difference(before).list.len()
    return (pl.col("action") == Action.UPDATE.value) & (lost > 0) & (won == 0)


def _describe_season(season: ActiveSeason) -> str:
    what = "nothing of the roster is changed" if season.mode is SeasonMode.FREEZE else "nobody and nothing is removed"
    where = f" in {season.span.file}:{season.span.line}" if season.span else ""
    return f"Until {season.until} {what} (calendar{where})."
