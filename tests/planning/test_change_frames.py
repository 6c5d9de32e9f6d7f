"""The one schema of change frames, and that the planner's frames fit it."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from reconciler.model.kind import ROSTER_KINDS, Kind
from reconciler.planning.customer_plan import Impact, add_impact
from reconciler.planning.frames.change_frame import (
    CAUSE_COLUMN,
    CHANGE_COLUMNS,
    IMPACT_COLUMNS,
    build_change_schema,
    find_schema_error,
    make_empty_changes,
)
from reconciler.planning.frames.live import LiveRoster
from tests.support.rosters.snapshots import decide, district, live_of, person

PEOPLE = [person(each) for each in range(40)]


def test_frames_that_the_planner_makes_fit_the_schema() -> None:
    """New, changed and removed rows of every kind."""
    today = district([{**PEOPLE[0], "given_name": "Other"}, *PEOPLE[1:30], person(90)], classes=("c-1", "c-3"))
    for live in (LiveRoster(), live_of(district(PEOPLE, schools=("s-1", "s-2", "s-3")))):
        decision = decide(today, live)
        assert set(decision.changes) >= {Kind.USER, Kind.CLASS, Kind.ENROLLMENT}
        for kind, frame in decision.changes.items():
            assert find_schema_error(kind, frame) is None
            assert frame.columns == list(build_change_schema(kind))


def test_a_frame_with_impact_and_cause_fits_the_schema() -> None:
    counts = pl.DataFrame(schema={"id": pl.Int64, **{each.name: each.type for each in IMPACT_COLUMNS[Kind.CLASS]}})
    decision = decide(district(PEOPLE, classes=("c-1",)), live_of(district(PEOPLE)))
    frame = add_impact(Kind.CLASS, decision.changes[Kind.CLASS], Impact(counts, counts, counts))
    assert find_schema_error(Kind.CLASS, frame.with_columns(pl.lit("pr").alias(CAUSE_COLUMN))) is None


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda frame: frame.drop("held"), "the changes of users have no column held"),
        (
            lambda frame: frame.with_columns(pl.col("line").cast(pl.String)),
            "column line of the changes of users is String and not Int64",
        ),
        (
            lambda frame: frame.with_columns(pl.lit(1).alias("shoe_size")),
            "the changes of users have an unknown column shoe_size",
        ),
    ],
)
def test_a_column_that_does_not_fit_is_named(spoil: Callable[[pl.DataFrame], pl.DataFrame], error: str) -> None:
    assert find_schema_error(Kind.USER, spoil(make_empty_changes(Kind.USER))) == error


def test_every_column_has_a_sentence() -> None:
    columns = (*CHANGE_COLUMNS, *(column for kind in ROSTER_KINDS for column in IMPACT_COLUMNS[kind]))
    assert all(column.meaning[0].isupper() and column.meaning.endswith(".") for column in columns)
    names = [column.name for column in CHANGE_COLUMNS]
    assert len(set(names)) == len(names)
