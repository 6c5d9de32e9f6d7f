"""What must be true after an apply, whatever is held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.oneroster.snapshot import Snapshot
from reconciler.planning.decision import roster_decision
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.holds.order import hold_changes
from reconciler.planning.holds.state import HoldInputs, HoldState
from tests.support.rosters.snapshots import decide, district, live_of, person

SCHOOLS = ("s-1", "s-2")
CLASSES = ("c-1", "c-2", "c-3")
ROWS = ("class", "user", "role")

#: (number of the person, school), then (name of the row, person, class)
people = st.lists(st.tuples(st.integers(0, 4), st.sampled_from(SCHOOLS)), unique_by=lambda each: each[0], min_size=3)
enrolled = st.lists(
    st.tuples(st.integers(0, 14), st.integers(0, 4), st.sampled_from(CLASSES)),
    unique_by=lambda each: each[0],
    min_size=6,
    max_size=15,
)
days = st.tuples(people, st.sets(st.sampled_from(CLASSES), min_size=2), enrolled, st.booleans())


def roster(day: tuple[list, set, list, bool]) -> Snapshot:  # type: ignore[type-arg]
    """A roster of these people and classes; enrollments that name others are left out. The last of `day`: usernames
    are handed on from one to the next."""
    rows, classes, enrollments, shifted = day
    known = {f"u-{number:03}" for number, _ in rows}
    made = district(
        [
            person(number, school, **({"username": f"user{number + 1:03}"} if shifted else {}))
            for number, school in rows
        ],
        schools=SCHOOLS,
        classes=sorted(classes),
    )
    entries = [
        {"sourced_id": f"e-{key}", "status": "active", "class": class_, "user": f"u-{who:03}", "role": "student"}
        | {"begin_date": None, "end_date": None, "primary": None, "line": key + 2}
        for key, who, class_ in enrollments
        if f"u-{who:03}" in known and class_ in classes
    ]
    return replace(made, enrollments=pl.DataFrame(entries, schema=made.enrollments.schema))


def single(live: LiveRoster) -> LiveRoster:
    """A store has one enrollment for each class, person and role."""
    rows = live.enrollments.unique(ROWS, keep="first", maintain_order=True)
    return replace(live, enrollments=rows, enrollments_total=rows.height)


class HoldAlso:
    """Holds what an example says beside what the rules hold."""

    def __init__(self, chosen: Iterable[tuple[Kind, int]]) -> None:
        self.chosen = tuple(chosen)

    def __call__(self, changes: dict[Kind, pl.DataFrame], inputs: HoldInputs) -> HoldState:
        state = hold_changes(changes, inputs)
        for kind, place in self.chosen:
            frame = state.changes[kind]
            if frame.height:
                state = state.hold_where(kind, pl.int_range(pl.len()) == place % frame.height)
        return state


chosen = st.lists(st.tuples(st.sampled_from(ROSTER_KINDS), st.integers(0, 40)), max_size=6)


def applied(decision: RosterDecision, kind: Kind, live: pl.DataFrame, *, approved: bool) -> pl.DataFrame:
    """The active rows after an apply: `sourced_id` and, of enrollments, what they are."""
    columns = ["sourced_id", *(ROWS if kind is Kind.ENROLLMENT else ())]
    before = live.filter(~pl.col("tombstoned") & pl.col("sourced_id").is_not_null())
    changes = decision.changes.get(kind)
    if changes is None:
        return before.select(columns)
    done = changes if approved else changes.filter(~pl.col("held"))
    staying = before.filter(~pl.col("id").is_in(done["live_id"].drop_nulls().implode()))
    arriving = done.filter(~pl.col("action").is_in(["delete", "conclude"])).rename({"key": "sourced_id"})
    return pl.concat([staying.select(columns), arriving.select(columns)])


def check(decision: RosterDecision, live: LiveRoster, *, approved: bool) -> None:
    classes = applied(decision, Kind.CLASS, live.classes, approved=approved)["sourced_id"]
    rows = applied(decision, Kind.ENROLLMENT, live.enrollments, approved=approved)
    assert rows["sourced_id"].is_unique().all()
    assert set(rows["class"]) <= set(classes), "an enrollment in a class that was removed"
    assert not rows.select(ROWS).is_duplicated().any(), "two enrollments of one class, person and role"
    changes = decision.changes.get(Kind.ENROLLMENT)
    if changes is None or approved:
        return
    lost = changes.filter(
        ~pl.col("held")
        & pl.col("live_id").is_not_null()
        & (pl.col("action").is_in(["delete", "conclude"]) | (pl.col("class") != pl.col("before_class")))
        & (pl.col("action") != "restore")
    )
    waiting = changes.filter(pl.col("held") & pl.col("action").is_in(["create", "restore"]))
    halves = set(lost["before_user"]) & set(waiting["user"])
    assert not halves, "a move that was let through by half"


@settings(deadline=None, max_examples=100)
@given(days, days, chosen)
def test_whatever_is_held_no_class_is_removed_that_somebody_is_in_and_no_move_is_done_by_half(
    first: tuple,  # type: ignore[type-arg]
    later: tuple,  # type: ignore[type-arg]
    also: list,  # type: ignore[type-arg]
) -> None:
    live = single(live_of(roster(first)))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(roster_decision, "hold_changes", HoldAlso(also))
        decision = decide(roster(later), live)
    check(decision, live, approved=False)
    check(decision, live, approved=True)
