"""Enrollments under new sourcedIds, and enrollments that a file repeats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import Snapshot
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.live import LiveRoster
from tests.support.rosters.snapshots import actions, decide, district, live_of, person

DAY = district([person(number) for number in range(40)])


def renamed(snapshot: Snapshot, prefix: str = "n-") -> Snapshot:
    """The same enrollments, each under another sourcedId."""
    return replace(
        snapshot,
        enrollments=snapshot.enrollments.with_columns((pl.lit(prefix) + pl.col("sourced_id")).alias("sourced_id")),
    )


def repeated(snapshot: Snapshot, key: str, **values: Any) -> Snapshot:
    """One more row with the class, person and role of the row `key`, under the sourcedId `again`."""
    row = snapshot.enrollments.filter(pl.col("sourced_id") == key)
    more = row.with_columns(
        pl.lit("again").alias("sourced_id"), *[pl.lit(value).alias(name) for name, value in values.items()]
    )
    return replace(snapshot, enrollments=pl.concat([snapshot.enrollments, more]))


def with_enrollment(live: LiveRoster, key: str, **values: Any) -> LiveRoster:
    """The store with other values of one enrollment."""
    mine = pl.col("sourced_id") == key
    columns = [
        pl.when(mine).then(pl.lit(value)).otherwise(name).cast(live.enrollments.schema[name]).alias(name)
        for name, value in values.items()
    ]
    return replace(live, enrollments=live.enrollments.with_columns(columns))


def used(decision: RosterDecision) -> Mapping[str, int]:
    return {each.name: each.seen for each in decision.limits if each.scope == "customer"}


def told(decision: RosterDecision) -> set[str]:
    return {each.code for each in decision.diagnostics}


def test_enrollments_under_new_ids_are_the_same_ones_and_use_up_no_limit() -> None:
    decision = decide(renamed(DAY), live_of(DAY))

    rows = decision.changes[Kind.ENROLLMENT]
    assert set(decision.changes) == {Kind.ENROLLMENT}
    assert rows.select("action", "reason", "held").unique().rows() == [("rekey", "key_changed", False)]
    assert (rows["key"] == "n-" + rows["former_key"]).all()
    assert rows.height == decision.counts[Kind.ENROLLMENT].actions["rekey"] == 80
    assert used(decision)["enrollments"] == 0
    assert decision.causes == ()


def test_a_new_id_takes_other_values_along() -> None:
    later = renamed(DAY)
    later = replace(later, enrollments=later.enrollments.with_columns(pl.lit("2026-12-01").alias("begin_date")))

    rows = decide(later, live_of(DAY)).changes[Kind.ENROLLMENT]

    assert set(rows["action"]) == {"rekey"}
    assert set(rows["begin_date"]) == {"2026-12-01"}


def test_another_role_in_the_class_is_another_enrollment() -> None:
    first = DAY.enrollments.filter(pl.col("sourced_id") == "e-100005-c-1")
    teaches = first.with_columns(pl.lit("teacher").alias("role"), pl.lit("new").alias("sourced_id"))
    others = DAY.enrollments.filter(pl.col("sourced_id") != "e-100005-c-1")

    decision = decide(replace(DAY, enrollments=pl.concat([others, teaches])), live_of(DAY))

    assert actions(decision, Kind.ENROLLMENT) == {"delete": ["e-100005-c-1"], "create": ["new"]}


def test_new_ids_of_people_who_wait_wait_with_them() -> None:
    """A whole school has other usernames, more than its limit lets through."""
    many = [person(number) for number in range(200)]
    later = [{**row, "username": f"other{place}"} if place < 150 else row for place, row in enumerate(many)]

    decision = decide(renamed(district(later)), live_of(district(many)))

    held = decision.changes[Kind.ENROLLMENT].filter("held")
    assert set(decision.changes[Kind.ENROLLMENT]["action"]) == {"rekey"}
    assert set(held["user"]) == set(decision.changes[Kind.USER].filter("held")["key"])
    assert held["user"].n_unique() == 150


def test_an_enrollment_that_is_there_already_is_the_one_that_counts() -> None:
    decision = decide(repeated(DAY, "e-100005-c-1"), live_of(DAY))

    assert decision.changes == {}
    assert told(decision) == {"repeated-enrollment"}
    assert decision.quarantine.is_empty()


def test_the_row_that_ends_last_counts() -> None:
    ended = DAY.enrollments.with_columns(
        pl.when(pl.col("sourced_id") == "e-100005-c-1").then(pl.lit("2026-10-01")).alias("end_date")
    )
    before = replace(DAY, enrollments=ended)

    decision = decide(repeated(before, "e-100005-c-1", end_date=None), live_of(before))

    rows = decision.changes[Kind.ENROLLMENT]
    assert rows.select("action", "former_key", "key", "before_end_date", "end_date").rows() == [
        ("rekey", "e-100005-c-1", "again", "2026-10-01", None)
    ]


def test_of_two_live_ones_the_one_too_many_goes_and_counts_for_nothing() -> None:
    twice = repeated(DAY, "e-100005-c-1")
    live = live_of(DAY)
    rows = (
        live_of(twice)
        .enrollments.filter(pl.col("sourced_id") == "again")
        .with_columns(pl.lit(900, dtype=pl.Int64).alias("id"))
    )
    live = replace(live, enrollments=pl.concat([live.enrollments, rows]), enrollments_total=81)

    decision = decide(DAY, live)

    assert decision.changes[Kind.ENROLLMENT].select("action", "key", "reason", "held").rows() == [
        ("delete", "again", "duplicate", False)
    ]
    assert used(decision)["enrollments"] == 0


def test_an_id_that_was_removed_once_returns_in_place_of_the_one_that_came_after_it() -> None:
    """No sourcedId has two rows in the store, so that the removed row is restored and the other one goes."""
    live = live_of(DAY)
    old = live.enrollments.filter(pl.col("sourced_id") == "e-100005-c-1")
    live = with_enrollment(live, "e-100005-c-1", tombstoned=True, fingerprint=0)
    newer = old.with_columns(
        pl.lit("newer").alias("sourced_id"),
        pl.lit(900, dtype=pl.Int64).alias("id"),
        pl.lit(7, dtype=pl.Int64).alias("fingerprint"),
    )
    live = replace(live, enrollments=pl.concat([live.enrollments, newer]))

    decision = decide(DAY, live)

    assert actions(decision, Kind.ENROLLMENT) == {"delete": ["newer"], "restore": ["e-100005-c-1"]}
    assert used(decision)["enrollments"] == 0


def test_a_row_set_aside_keeps_its_enrollment_and_the_one_like_it_out() -> None:
    """The class and person of a quarantined row are unknown, so that its enrollment stays; the new row repeats it."""
    others = DAY.enrollments.filter(pl.col("sourced_id") != "e-100005-c-1")
    row = DAY.enrollments.filter(pl.col("sourced_id") == "e-100005-c-1").with_columns(pl.lit("new").alias("sourced_id"))
    aside = district([person(number) for number in range(40)], aside=[("enrollment", "e-100005-c-1")])

    decision = decide(replace(aside, enrollments=pl.concat([others, row])), live_of(DAY))

    assert decision.changes.get(Kind.ENROLLMENT, pl.DataFrame()).is_empty()
    assert decision.quarantine.filter(pl.col("code") == "enrollment-taken")["key"].to_list() == ["new"]


def test_enrollments_that_change_ids_among_themselves_never_meet_in_one_place() -> None:
    """The sourcedIds of a class are handed on by one: every row is somebody else's, and nobody is lost."""
    shifted = DAY.enrollments.sort("class", "user").with_columns(pl.col("sourced_id").shift(-1).over("class"))
    shifted = shifted.with_columns(pl.col("sourced_id").fill_null(pl.concat_str(pl.lit("last-"), "class")))

    decision = decide(replace(DAY, enrollments=shifted), live_of(DAY))

    rows = decision.changes[Kind.ENROLLMENT]
    assert rows["held"].all()
    assert used(decision)["enrollments"] >= 78
