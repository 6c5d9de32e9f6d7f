"""Rows that would give somebody's account to somebody else wait for a person."""

from __future__ import annotations

import polars as pl

from reconciler.model.kind import Kind
from reconciler.planning.frames.live import LiveRoster
from tests.support.rosters.snapshots import actions, decide, district, live_of, person

PEOPLE = [person(each) for each in range(40)]
LIVE = live_of(district(PEOPLE))


def named(number: int, **fields: object) -> dict[str, object]:
    return person(number, given_name="Zoe", family_name=f"Other{number}", **fields)


def test_identifier_under_an_unrelated_name_gives_no_account_away() -> None:
    joiner = named(5) | {"sourced_id": "n-005"}
    decision = decide(district([*PEOPLE[:5], *PEOPLE[6:], joiner]), LIVE)
    assert actions(decision, Kind.USER) == {"rekey": ["n-005*"]}
    assert any("someone with a different name" in cause for cause in decision.causes)


def test_a_married_name_is_no_other_person() -> None:
    married = {**PEOPLE[5], "sourced_id": "n-005", "family_name": "Married"}
    assert actions(decide(district([*PEOPLE[:5], *PEOPLE[6:], married]), LIVE), Kind.USER) == {"rekey": ["n-005"]}


def test_sourced_ids_shifted_by_a_row_change_nobody() -> None:
    people = [{**each, "given_name": f"Given{number}"} for number, each in enumerate(PEOPLE)]
    slipped = [{**people[place - 1], "sourced_id": each["sourced_id"]} for place, each in enumerate(people)]
    decision = decide(district(slipped), live_of(district(people)))
    users = decision.changes[Kind.USER]
    assert users.height == 40
    assert users["held"].all()
    assert any("under the same sourcedId" in cause for cause in decision.causes)


def test_namesakes_are_not_joined_by_a_shared_number() -> None:
    marias = [person(each, given_name="Maria", family_name="Garcia", identifier="0") for each in (50, 51)]
    other = person(52, identifier="0")
    decision = decide(district([*PEOPLE, *marias, other]), LIVE)
    assert actions(decision, Kind.USER)["create"] == ["u-050", "u-051", "u-052"]


def test_the_last_teacher_is_not_demoted_unseen() -> None:
    before = [{**PEOPLE[0], "role": "teacher"}, *PEOPLE[1:]]
    decision = decide(district(PEOPLE), live_of(district(before)))
    assert actions(decision, Kind.USER) == {"update": ["u-000*"]}
    assert "Nobody with the role teacher would be left." in decision.causes


def test_last_teacher_stays_if_the_successor_is_refused() -> None:
    before = [{**PEOPLE[0], "role": "teacher"}, *PEOPLE[1:]]
    next_one = person(60, role="teacher", username="reserved")
    live = live_of(district(before))
    taken = live.users.with_columns(
        pl.when(pl.col("sourced_id") == "u-039").then(pl.lit("reserved")).otherwise("username").alias("username"),
        pl.when(pl.col("sourced_id") == "u-039").then(pl.lit("portal")).otherwise("managed_by").alias("managed_by"),
    )
    others = [each for each in PEOPLE[1:] if each["sourced_id"] != "u-039"]
    decision = decide(
        district([*others, next_one]),
        LiveRoster(live.orgs, taken, live.classes, live.enrollments, live.roles, live.enrollments_total),
    )
    assert "u-000*" in actions(decision, Kind.USER)["delete"]


def test_a_file_of_changes_takes_nobodys_enrollments() -> None:
    """Somebody whom the kept roster lacks, because the removal waits, is not in a file of changes either."""
    decision = decide(district(PEOPLE[3:]), LIVE, whole=())
    assert decision.changes == {}
