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


def vanishing(kind: Kind) -> pl.Expr:
    """Rows that are not there any more afterwards: those that a limit counts, what ends with its term, which none does,
    and accounts that somebody else keeps when their row has left. A source in doubt takes nothing away."""
    gone = leaving(kind) | (pl.col("action") == Action.CONCLUDE.value)
    return gone | ~pl.col("bound").fill_null(True) if kind is Kind.USER else gone
