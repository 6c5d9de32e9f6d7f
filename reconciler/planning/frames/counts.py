"""Counts the changes of one customer's roster by kind and action."""

from collections.abc import Mapping

import polars as pl

from reconciler.model.change import Action
from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.model.plan import ActionCounts
from reconciler.planning.frames.live import LiveRoster

#: Actions on rows that are not active before.
_ARRIVALS = (Action.CREATE, Action.RESTORE, Action.ADOPT)


def count_changes(changes: Mapping[Kind, pl.DataFrame], live: LiveRoster) -> dict[Kind, ActionCounts]:
    """Return the counts of every roster kind; `unchanged` are active rows that stay exactly as they are."""
    counts = {}
    for kind in ROSTER_KINDS:
        active = live.enrollments_total
        if kind is not Kind.ENROLLMENT:
            active = live.get_frame(kind).filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null()).height
        actions: dict[Action, int] = {}
        held = 0
        if kind in changes:
            by_action = dict(changes[kind].group_by("action").len().iter_rows())
            actions = {action: by_action[action.value] for action in Action if action.value in by_action}
            held = int(changes[kind]["held"].sum())
        changed = sum(number for action, number in actions.items() if action not in _ARRIVALS)
        counts[kind] = ActionCounts(actions, unchanged=active - changed, held=held)
    return counts
