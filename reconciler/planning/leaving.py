"""Which changes take something away."""

from __future__ import annotations

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason

#: Why somebody is not among those whom the roster wants; being disabled is another thing.
ABSENT = (Reason.ROSTER_ROW_MISSING.value, Reason.ROSTER_TOBEDELETED.value, Reason.SCOPE_NARROWED.value)


def leaving(kind: Kind) -> pl.Expr:
    """Rows that a limit counts: deletions, and suspensions because somebody is not in the roster any more."""
    deleted = pl.col("action") == Action.DELETE.value
    if kind is not Kind.USER:
        return deleted
    return deleted | ((pl.col("action") == Action.SUSPEND.value) & pl.col("reason").is_in(ABSENT))


def taken(kind: Kind) -> pl.Expr:
    """Rows that go because a source lacks or marks them: those that a limit counts, and accounts that somebody else
    keeps when their row has left. A source in doubt takes none of them."""
    if kind is Kind.ENROLLMENT:
        return leaving(kind) | given_away()
    return leaving(kind) | ~pl.col("bound").fill_null(True) if kind is Kind.USER else leaving(kind)


def given_away() -> pl.Expr:
    """Enrollments that would be another person's, or of another class: somebody loses theirs as if it were deleted. One
    that follows its person into another account is the same person's."""
    moved = pl.col("user").ne_missing(pl.col("before_user")) | pl.col("class").ne_missing(pl.col("before_class"))
    return (pl.col("action") == Action.UPDATE.value) & moved & (pl.col("reason") != Reason.MERGED.value)


def vanishing(kind: Kind) -> pl.Expr:
    """Rows that are not there any more afterwards: `taken`, and what ends with its term. That a term is over is known
    from its own days, so that no shorter file makes it doubtful; whose class it is may be."""
    return taken(kind) | (pl.col("action") == Action.CONCLUDE.value)
