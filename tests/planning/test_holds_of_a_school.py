"""A school that is kept back is kept whole: its people with their classes, and who works there besides elsewhere."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import Snapshot
from reconciler.planning.holds.gates import GateFinding
from tests.support.rosters.snapshots import decide, district, live_of, person

EVERYBODY = [person(each, "s-1" if each < 60 else "s-2") for each in range(80)]
CLASSES = [f"c-{each}" for each in range(1, 9)]


def held_keys(decision: object, kind: Kind) -> list[str]:
    frame: pl.DataFrame = decision.changes[kind]  # type: ignore[attr-defined]
    return sorted(frame.filter("held")["key"].to_list())


def with_second_place(snapshot: Snapshot, sourced_id: str, org: str) -> Snapshot:
    another = snapshot.roles.filter(pl.col("user") == sourced_id).with_columns(
        pl.lit(org).alias("org"), pl.lit(False).alias("primary")
    )
    return replace(snapshot, roles=pl.concat([snapshot.roles, another]))


def test_held_people_keep_the_classes_missing_with_them() -> None:
    before = district(EVERYBODY, classes=CLASSES)
    alone = district(EVERYBODY[:60], classes=CLASSES[1:])
    decision = decide(alone, live_of(before))
    assert len(held_keys(decision, Kind.USER)) == 20
    assert held_keys(decision, Kind.CLASS) == ["c-1"]
    # and nobody else loses the class that stays
    assert not decision.changes[Kind.ENROLLMENT].filter(~pl.col("held"))["before_class"].is_in(["c-1"]).any()


def test_class_ending_for_remaining_people_is_not_kept_by_held_ones() -> None:
    aside = [each["sourced_id"] for each in EVERYBODY[60:]]
    before = district(EVERYBODY, classes=CLASSES, without_enrollments=aside)
    decision = decide(district(EVERYBODY[:60], classes=CLASSES[1:]), live_of(before))
    assert len(held_keys(decision, Kind.USER)) == 20
    assert held_keys(decision, Kind.CLASS) == []


def test_who_leaves_within_the_limits_keeps_no_class() -> None:
    before = district(EVERYBODY, classes=CLASSES)
    decision = decide(district(EVERYBODY[2:], classes=CLASSES[1:]), live_of(before))
    assert held_keys(decision, Kind.CLASS) == held_keys(decision, Kind.USER) == []


def test_people_with_other_schools_keep_places_in_vanished_ones() -> None:
    vanished = GateFinding("org-vanished", "s-2 is not there", "", orgs=("s-2",), kinds=frozenset(Kind))
    before = with_second_place(district(EVERYBODY), "u-003", "s-2")
    renamed = [{**EVERYBODY[4], "email": "new@d.example"} if each == EVERYBODY[4] else each for each in EVERYBODY[:60]]
    decision = decide(district(renamed, schools=["s-1"]), live_of(before), findings=[vanished])
    assert "u-003" in held_keys(decision, Kind.USER)
    assert "u-004" not in held_keys(decision, Kind.USER)
    people = decision.changes[Kind.USER]
    assert people.filter(pl.col("key") == "u-003")["action"].to_list() == ["update"]
