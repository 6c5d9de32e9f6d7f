"""Keeps the removals of an earlier full roster held when a delta roster follows, in which absence means nothing."""

import polars as pl

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.reason import Reason
from reconciler.planning.holds.state import HoldState

#: Selects rows that leave only because the source does not have them.
LEAVES_BY_ABSENCE = pl.col("reason").is_in([Reason.ROSTER_ROW_MISSING.value, Reason.SESSION_ENDED.value])

#: Only the first kind that waits gets a sentence: dependent rows wait with their people.
SENTENCE_ORDER = (Kind.USER, Kind.CLASS, Kind.ORG, Kind.ENROLLMENT)


def hold_absent_in_delta(state: HoldState) -> HoldState:
    """Hold rows that leave by absence, of kinds that the source does not have in full."""
    waiting: dict[Kind, int] = {}
    for kind in ROSTER_KINDS:
        if kind not in state.inputs.full_kinds:
            waiting[kind] = state.changes[kind].filter(LEAVES_BY_ABSENCE).height
            state = state.hold_where(kind, LEAVES_BY_ABSENCE)
    sentences = [_describe_absent(kind, waiting[kind]) for kind in SENTENCE_ORDER if waiting.get(kind)]
    return state.add_causes(*sentences[:1])


def _describe_absent(kind: Kind, number: int) -> str:
    if kind is Kind.USER:
        who = "1 person" if number == 1 else f"{number:,} people"
    else:
        who = f"1 {kind.value}" if number == 1 else f"{number:,} {kind.plural}"
    were, them = ("was", "it") if number == 1 else ("were", "them")
    them = "them" if kind is Kind.USER else them
    return f"{who} {were} missing from the last full roster, and this delta roster does not mention {them}."
