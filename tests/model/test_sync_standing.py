"""What a sync says of how a customer stands."""

from __future__ import annotations

from itertools import pairwise

import pytest

from reconciler.model.sync import EventKind, SyncOutcome, SyncState, build_events, choose_lasting_outcome


@pytest.mark.parametrize("waits", [SyncOutcome.HELD, SyncOutcome.REFUSED, SyncOutcome.FAILED])
def test_a_freeze_neither_opens_nor_closes_a_notice(waits: SyncOutcome) -> None:
    stood = [waits]
    for came in (SyncOutcome.FROZEN, SyncOutcome.POSTPONED, waits, SyncOutcome.APPLIED):
        stood.append(choose_lasting_outcome(stood[-1], came) or waits)
    told = [
        each.kind
        for before, after in pairwise(stood)
        for each in build_events("a", SyncState(before), SyncState(after), "2026-11-24T12:00:00Z", ())
    ]
    assert told == [EventKind.RECOVERED]


def test_freeze_of_a_healthy_roster_is_recognized() -> None:
    assert choose_lasting_outcome(SyncOutcome.APPLIED, SyncOutcome.FROZEN) is SyncOutcome.FROZEN
    assert choose_lasting_outcome(None, SyncOutcome.POSTPONED) is None
