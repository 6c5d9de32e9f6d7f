"""Who is absent from a file of changes while an earlier roster's hold stands: they wait on.

Such a file names nobody of those who are held because the whole roster before it did not have them. Its silence is no
evidence that they left, and none that they are back: only a whole roster, or a row of theirs, lets the hold go.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.reason import Reason

#: Rows that leave for no other reason than that the source does not have them.
UNNAMED = pl.col("reason").is_in([Reason.ROSTER_ROW_MISSING.value, Reason.SESSION_ENDED.value])

#: Of more kinds than one the first is told: what depends on people waits with them.
TOLD = (Kind.USER, Kind.CLASS, Kind.ORG, Kind.ENROLLMENT)


def hold_unnamed(
    changes: Mapping[Kind, pl.DataFrame], whole: frozenset[Kind]
) -> tuple[dict[Kind, pl.DataFrame], tuple[str, ...]]:
    """`changes` with `held` set for what is absent where absence means nothing, and a plain sentence if there is any.
    whole: kinds whose absence from the source means something."""
    held = {
        kind: frame if kind in whole else frame.with_columns((pl.col("held") | UNNAMED).alias("held"))
        for kind, frame in changes.items()
    }
    waiting = {
        kind: changes[kind].filter(UNNAMED).height for kind in ROSTER_KINDS if kind in changes and kind not in whole
    }
    return held, tuple(_sentence(kind, waiting[kind]) for kind in TOLD if waiting.get(kind))[:1]


def _sentence(kind: Kind, number: int) -> str:
    """For people who are no programmers."""
    if kind is Kind.USER:
        who = "1 person" if number == 1 else f"{number:,} people"
    else:
        who = f"1 {kind.value}" if number == 1 else f"{number:,} {kind.plural}"
    were, them = ("was", "it") if number == 1 else ("were", "them")
    them = "them" if kind is Kind.USER else them
    return f"{who} {were} missing from the last whole roster, and the file of changes says nothing of {them}."
