"""Days on which a roster may do less: what it would do besides is kept back until a person approves, or they are over.

Which season a day is in is told by whoever has a calendar; here is only what it means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import polars as pl

from reconciler.model.change import Action
from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.planning.desired import ROLE_SEPARATOR
from reconciler.planning.leaving import leaving


class Mode(StrEnum):
    """FREEZE: nothing of the roster is changed. ADDS_ONLY: nothing is taken away."""

    FREEZE = "freeze"
    ADDS_ONLY = "adds_only"


@dataclass(frozen=True, slots=True)
class Season:
    """until: its last day, YYYY-MM-DD. span: where it is written."""

    mode: Mode
    until: str
    span: Span | None = None


def hold_for_season(
    changes: Mapping[Kind, pl.DataFrame], season: Season | None
) -> tuple[dict[Kind, pl.DataFrame], str | None]:
    """`changes` with `held` set where the season forbids a row, and one plain sentence if there is such a row."""
    if season is None:
        return dict(changes), None
    held = {}
    anything = False
    for kind, frame in changes.items():
        forbidden = pl.lit(True) if season.mode is Mode.FREEZE else _taking_away(kind)
        held[kind] = frame.with_columns((pl.col("held") | forbidden).alias("held"))
        anything = anything or frame.filter(forbidden).height > 0
    return held, _sentence(season) if anything else None


def _taking_away(kind: Kind) -> pl.Expr:
    """What limits count, accounts that the roster lets go of, and places at schools that somebody loses for no other.
    What ended with its term goes in every season, and so does the sign-in of somebody whom the source itself calls not
    enabled."""
    if kind is not Kind.USER:
        return leaving(kind)
    return leaving(kind) | (pl.col("before_bound") & ~pl.col("bound")).fill_null(False) | _losing_a_place()


def _losing_a_place() -> pl.Expr:
    """A row that lacks a school, or one of somebody's several rows: half made, as the whole roster may be."""
    before, after = (pl.col(name).fill_null("").str.split(ROLE_SEPARATOR) for name in ("before_roles", "roles"))
    lost, won = before.list.set_difference(after).list.len(), after.list.set_difference(before).list.len()
    return (pl.col("action") == Action.UPDATE.value) & (lost > 0) & (won == 0)


def _sentence(season: Season) -> str:
    what = "nothing of the roster is changed" if season.mode is Mode.FREEZE else "nobody and nothing is removed"
    where = f" in {season.span.file}:{season.span.line}" if season.span else ""
    return f"Until {season.until} {what} (calendar{where})."
