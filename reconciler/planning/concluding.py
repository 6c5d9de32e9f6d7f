"""Which classes and enrollments ended with their term, so that they conclude instead of being deleted.

Only what is known to be over is over: a term that no academic session names, a day that is none, a class without
terms have not ended, and what leaves is then a deletion that the limits count.
"""

from __future__ import annotations

import polars as pl

from reconciler.oneroster.snapshot import SESSIONS_SCHEMA


def no_sessions() -> pl.DataFrame:
    return pl.DataFrame(schema=SESSIONS_SCHEMA)


def kept_sessions(sessions: pl.DataFrame, earlier: pl.DataFrame) -> pl.DataFrame:
    """The sessions to keep beside a roster: its own and those of earlier rosters, since the terms of last year are gone
    from this year's file when its classes are. Of a session whose end was moved, the later end is kept: a wrong day
    that came once ends nothing."""
    columns = list(SESSIONS_SCHEMA)
    return (
        pl.concat([sessions.select(columns), earlier.select(columns)])
        .sort("sourced_id", "end", descending=[False, True], nulls_last=True, maintain_order=True)
        .unique("sourced_id", keep="first", maintain_order=True)
    )


def ended_terms(sessions: pl.DataFrame, today: str | None) -> pl.Series:
    """sourcedIds of the sessions that are over on this day (YYYY-MM-DD; None: nothing is). A session's `end` is the
    first day after it. One that is there twice, as two rosters have it, is over where both say so."""
    over = _day("end") <= _today(today)
    plausible = (_day("start") < _day("end")).fill_null(pl.col("start").is_null())
    return (
        sessions.group_by("sourced_id")
        .agg((over & plausible).fill_null(False).all().alias("ended"))
        .filter("ended")["sourced_id"]
    )


def ended_classes(classes: pl.DataFrame, sessions: pl.DataFrame, today: str | None) -> pl.Series:
    """sourcedIds of the classes whose terms are all known and all over. classes: `sourced_id`, `terms` (sourcedIds
    joined by commas)."""
    ended = ended_terms(sessions, today)
    if not ended.len():
        return classes["sourced_id"].clear()
    terms = pl.col("terms").str.split(",").list.eval(pl.element().str.strip_chars().is_in(ended.implode()))
    return classes.filter(terms.list.all() & pl.col("terms").is_not_null())["sourced_id"]


def enrollment_ended(today: str | None) -> pl.Expr:
    """Whether an enrollment's own last day has passed, be `end_date` that day or the one after it."""
    return (_day("end_date") < _today(today)).fill_null(False)


def _today(today: str | None) -> pl.Expr:
    return pl.lit(today, dtype=pl.String).str.to_date("%Y-%m-%d", strict=True)


def _day(column: str) -> pl.Expr:
    return pl.col(column).str.to_date("%Y-%m-%d", strict=False)
