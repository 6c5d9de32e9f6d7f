"""Holds changes during a season of the customer's calendar."""

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
    """Select rows that limits count, accounts that the roster unbinds, and people who lose a role without getting
    another. Rows that ended with their term leave in every season, and disabled people are suspended."""
    if kind is not Kind.USER:
        return is_leaving(kind)
    return is_leaving(kind) | (pl.col("before_bound") & ~pl.col("bound")).fill_null(False) | _match_role_entry_losses()


def _match_role_entry_losses() -> pl.Expr:
    """Select people who only lose roles: a half-finished roster may lack a school or one of a person's rows."""
    before, after = (pl.col(name).fill_null("").str.split(ROLE_SEPARATOR) for name in ("before_roles", "roles"))
    lost, won = before.list.set_difference(after).list.len(), after.list.set_difference(before).list.len()
    return (pl.col("action") == Action.UPDATE.value) & (lost > 0) & (won == 0)


def _describe_season(season: ActiveSeason) -> str:
    what = "no roster change is applied" if season.mode is SeasonMode.FREEZE else "nothing is removed"
    where = f" in {season.span.file}:{season.span.line}" if season.span else ""
    return f"Until {season.until}, {what} (calendar{where})."
