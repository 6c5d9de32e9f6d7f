"""Expressions that select the rows of change frames by which people lose something."""

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason

#: Reasons for the removal of a person whom the roster no longer wants; a disabled person is still wanted.
ABSENCE_REASONS = (
    Reason.ROSTER_ROW_MISSING.value,
    Reason.ROSTER_TOBEDELETED.value,
    Reason.ROSTER_INACTIVE.value,
    Reason.SCOPE_NARROWED.value,
    Reason.ROLE_ENDED.value,
)


def is_leaving(kind: Kind) -> pl.Expr:
    """Select rows that a limit counts: deletions, and suspensions of people who are no longer in the roster. The
    deletion of an enrollment that another one repeats takes nothing from anybody."""
    deleted = pl.col("action") == Action.DELETE.value
    if kind is Kind.ENROLLMENT:
        return deleted & (pl.col("reason") != Reason.DUPLICATE.value)
    if kind is not Kind.USER:
        return deleted
    return deleted | ((pl.col("action") == Action.SUSPEND.value) & pl.col("reason").is_in(ABSENCE_REASONS))


def is_taken_away(kind: Kind) -> pl.Expr:
    """Select rows that leave because the source lacks them or marks them as deleted: those that a limit counts, and
    accounts of another manager that are only unbound. A source in doubt removes none of them."""
    if kind is Kind.ENROLLMENT:
        return is_leaving(kind) | is_given_away()
    return is_leaving(kind) | ~pl.col("bound").fill_null(True) if kind is Kind.USER else is_leaving(kind)


def is_given_away() -> pl.Expr:
    """Select enrollments that move to another person or class: the person who had one loses it as if it were deleted.
    An enrollment that follows its person into a merged account is no loss."""
    moved = pl.col("user").ne_missing(pl.col("before_user")) | pl.col("class").ne_missing(pl.col("before_class"))
    return (pl.col("action") == Action.UPDATE.value) & moved & (pl.col("reason") != Reason.MERGED.value)


def is_vanishing(kind: Kind) -> pl.Expr:
    """Select rows that are gone afterwards: those of `is_taken_away`, and those that end with their term. A shorter
    file casts no doubt on a term's dates, but may on the class's school."""
    return is_taken_away(kind) | (pl.col("action") == Action.CONCLUDE.value)
