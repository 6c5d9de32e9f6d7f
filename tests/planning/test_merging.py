"""Two accounts that people say are one person's: what an entry means, and that never one half of it happens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Outcome, PlanPrecondition, StoreIdentity
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.holds.limits import Threshold, Thresholds
from reconciler.planning.holds.rules import ActiveSeason, LimitRules, SeasonMode
from reconciler.planning.plan_id import compute_plan_id
from reconciler.planning.roster.merges import MergeEntry
from tests.support.rosters.snapshots import actions, decide, district, live_of, person, shuffled

KEEP, GONE = "u-003", "u-007"
AT = Span("customers/x/customer.yaml", 20, 7)
Row = Mapping[str, Any]


def people(number: int = 60) -> list[dict[str, Any]]:
    return [
        person(each, "s-1" if each < 40 else "s-2", role="teacher" if each in (0, 1) else "student")
        for each in range(number)
    ]


def rules(*entries: tuple[str, str], **more: Any) -> RosterRules:
    return RosterRules("identifier", merges=tuple(MergeEntry(keep, merge, AT) for keep, merge in entries), **more)


def without(rows: Iterable[Row], *keys: str) -> list[dict[str, Any]]:
    return [dict(each) for each in rows if each["sourced_id"] not in keys]


def told(decision: RosterDecision) -> list[str]:
    return [each.code for each in decision.diagnostics if each.code.startswith("merge-")]


def user(decision: RosterDecision, key: str) -> dict[str, Any]:
    return decision.changes[Kind.USER].row(by_predicate=pl.col("key") == key, named=True)


def with_accounts(live: LiveRoster, where: str, **values: Any) -> LiveRoster:
    """The account of a sourcedId with other values."""
    mine = pl.col("sourced_id") == where
    return replace(
        live,
        users=live.users.with_columns(
            [pl.when(mine).then(pl.lit(value)).otherwise(name).alias(name) for name, value in values.items()]
        ),
    )


def test_merged_account_gains_the_sourced_id_and_enrollments() -> None:
    day = district(people())
    decision = decide(day, live_of(day), rules((KEEP, GONE)))
    assert actions(decision, Kind.USER) == {"delete": [GONE], "update": [KEEP]}
    gone, kept = user(decision, GONE), user(decision, KEEP)
    assert (gone["reason"], gone["into"], gone["file"], gone["line"]) == ("merged", KEEP, AT.file, 20)
    assert (kept["reason"], kept["aliases"], kept["before_aliases"]) == ("merged", GONE, None)
    # both are in both classes, where one enrollment is enough
    repeated = decision.changes[Kind.ENROLLMENT]
    assert repeated.select("action", "reason", "before_user", "held").unique().rows() == [
        ("delete", "duplicate", GONE, False)
    ]
    assert repeated.height == 2
    assert told(decision) == []


def test_enrollments_of_the_other_account_come_along() -> None:
    day = district(people(), without_enrollments=[KEEP])
    decision = decide(day, live_of(day), rules((KEEP, GONE)))
    moved = decision.changes[Kind.ENROLLMENT]
    assert moved.select("action", "reason", "before_user", "user", "held").unique().rows() == [
        ("update", "merged", GONE, KEEP, False)
    ]
    assert moved.height == 2
    assert told(decision) == []


def test_the_row_of_one_alone_is_the_person() -> None:
    live = live_of(district(people()))
    for left in (KEEP, GONE):
        decision = decide(district(without(people(), left)), live, rules((KEEP, GONE)))
        found = actions(decision, Kind.USER)
        assert found["delete"] == [GONE]
        assert [key.rstrip("*") for key in found["update"]] == [KEEP]
        assert user(decision, GONE)["reason"] == "merged"


def test_enrollments_absent_from_the_file_move_unchanged() -> None:
    day = district(people())
    rows = [("enrollment", "e-100007-c-1"), ("enrollment", "e-100007-c-2")]
    day = district(people(), without_enrollments=[KEEP])
    aside = district(without(people(), GONE), without_enrollments=[KEEP], aside=rows)
    decision = decide(aside, live_of(day), rules((KEEP, GONE)))
    moved = decision.changes[Kind.ENROLLMENT]
    assert moved.select("key", "action", "reason", "before_user", "user").rows() == [
        ("e-100007-c-1", "update", "merged", GONE, KEEP),
        ("e-100007-c-2", "update", "merged", GONE, KEEP),
    ]


def test_further_sourced_ids_and_a_third_account_come_along() -> None:
    day = district(people())
    live = with_accounts(live_of(day), GONE, aliases="w-1\nw-2")
    decision = decide(day, live, rules((KEEP, "w-2"), (KEEP, "u-009")))
    assert actions(decision, Kind.USER) == {"delete": [GONE, "u-009"], "update": [KEEP]}
    assert user(decision, KEEP)["aliases"] == f"{GONE}\nu-009\nw-1\nw-2"


def test_what_is_one_account_already_is_no_news() -> None:
    day = district(people())
    live = live_of(day)
    merged = with_accounts(replace(live, users=live.users.filter(pl.col("sourced_id") != GONE)), KEEP, aliases=GONE)
    decision = decide(district(without(people(), GONE)), merged, rules((KEEP, GONE)))
    assert told(decision) == []
    assert "delete" not in actions(decision, Kind.USER)


def test_a_new_row_gets_no_account_of_its_own() -> None:
    day = district(people())
    decision = decide(district([*people(), person(90)]), live_of(day), rules((KEEP, "u-090")))
    assert actions(decision, Kind.USER) == {"update": [KEEP]}
    assert user(decision, KEEP)["aliases"] == "u-090"
    first = decide(day, LiveRoster(), rules((KEEP, GONE)))
    assert GONE not in actions(first, Kind.USER)["create"]
    assert user(first, KEEP)["aliases"] == GONE


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (("u-900", GONE), "merge-keeps-nobody"),
        (("u-900", "u-901"), "merge-unknown"),
        ((KEEP, "u-901"), "merge-unknown"),
    ],
)
def test_entry_about_nobody_does_nothing_and_warns_at_its_line(entry: tuple[str, str], code: str) -> None:
    day = district(people())
    decision = decide(day, live_of(day), rules(entry))
    assert decision.changes == {}
    (found,) = [each for each in decision.diagnostics if each.code.startswith("merge-")]
    assert (found.code, found.span) == (code, AT)
    assert entry[0] not in found.message


@pytest.mark.parametrize("half", [KEEP, GONE])
@pytest.mark.parametrize(
    "values", [{"managed_by": "portal"}, {"managed_by": "lti"}, {"role": "district_administrator"}]
)
def test_administrators_and_unmanaged_accounts_are_never_merged(half: str, values: Row) -> None:
    day = district(people())
    decision = decide(day, with_accounts(live_of(day), half, **values), rules((KEEP, GONE)))
    assert "delete" not in actions(decision, Kind.USER)
    assert told(decision) == ["merge-refused"]


def test_whom_protect_names_goes_into_nobody() -> None:
    day = district(people())
    decision = decide(day, live_of(day), rules((KEEP, GONE), protect=frozenset({GONE})))
    assert decision.changes == {}
    assert told(decision) == ["merge-refused"]
    kept = decide(day, live_of(day), rules((KEEP, GONE), protect=frozenset({KEEP})))
    assert actions(kept, Kind.USER)["delete"] == [GONE]


@pytest.mark.parametrize("half", [KEEP, GONE])
def test_a_row_set_aside_protects_both(half: str) -> None:
    live = live_of(district(people()))
    decision = decide(district(without(people(), half), aside=[("user", half)]), live, rules((KEEP, GONE)))
    assert actions(decision, Kind.USER) == {}
    assert told(decision) == ["merge-waits"]


def test_where_both_left_each_leaves_by_its_own_row() -> None:
    live = live_of(district(people()))
    decision = decide(district(without(people(), KEEP, GONE)), live, rules((KEEP, GONE)))
    assert [key.rstrip("*") for key in actions(decision, Kind.USER)["delete"]] == [KEEP, GONE]
    assert {user(decision, key)["reason"] for key in (KEEP, GONE)} == {"roster_row_missing"}
    assert told(decision) == ["merge-waits"]


def test_a_deleted_account_is_merged_once_it_is_back() -> None:
    day = district(people())
    gone = with_accounts(live_of(day), GONE, tombstoned=True)
    decision = decide(day, gone, rules((KEEP, GONE)))
    assert "delete" not in actions(decision, Kind.USER)
    assert told(decision) == ["merge-waits"]
    nobody = decide(day, with_accounts(live_of(day), KEEP, tombstoned=True), rules((KEEP, GONE)))
    assert told(nobody) == ["merge-keeps-nobody"]


def test_entries_meeting_in_one_account_apply_in_order() -> None:
    day = district(people())
    live = with_accounts(live_of(day), GONE, aliases="w-1")
    decision = decide(day, live, rules((KEEP, GONE), ("w-1", "u-009")))
    assert actions(decision, Kind.USER)["delete"] == [GONE]
    assert told(decision) == ["merge-waits"]


def no_deletions() -> LimitRules:
    return LimitRules(thresholds=Thresholds(users=Threshold(0, 0, 0)))


def all_held(decision: RosterDecision) -> bool:
    return all(frame["held"].all() for frame in decision.changes.values())


def test_a_limit_holds_both_halves_and_what_follows() -> None:
    day = district(people())
    decision = decide(day, live_of(day), rules((KEEP, GONE), limit_rules=no_deletions()))
    assert actions(decision, Kind.USER) == {"delete": [f"{GONE}*"], "update": [f"{KEEP}*"]}
    assert decision.changes[Kind.ENROLLMENT].height == 2
    assert all_held(decision)
    assert "1 of 60 people would be removed; the limit is 0 at once." in decision.causes


@pytest.mark.parametrize("mode", list(SeasonMode))
def test_a_season_holds_both_halves(mode: SeasonMode) -> None:
    day = district(people())
    decision = decide(day, live_of(day), rules((KEEP, GONE), season=ActiveSeason(mode, "2027-08-20")))
    assert decision.changes[Kind.USER].height == 2
    assert all_held(decision)


def test_person_becoming_a_teacher_waits_with_the_other() -> None:
    day = district(people())
    decision = decide(day, live_of(day), rules((KEEP, "u-000")))
    assert actions(decision, Kind.USER) == {"delete": ["u-000*"], "update": [f"{KEEP}*"]}
    assert all_held(decision)


def test_last_of_a_role_never_merges_into_another_role() -> None:
    rows = without(people(), "u-001")
    day = district(rows)
    decision = decide(district(without(rows, "u-000")), live_of(day), rules((KEEP, "u-000")))
    assert actions(decision, Kind.USER)["delete"] == ["u-000*"]
    assert actions(decision, Kind.USER)["update"] == [f"{KEEP}*"]


def test_several_of_one_wait_for_one() -> None:
    day = district(people())
    one_more = LimitRules(thresholds=Thresholds(users=Threshold(0, 5, 100)))
    decision = decide(day, live_of(day), rules((KEEP, GONE), (KEEP, "u-000"), limit_rules=one_more))
    assert actions(decision, Kind.USER) == {"delete": ["u-000*", f"{GONE}*"], "update": [f"{KEEP}*"]}


def test_a_refused_half_leaves_the_other_as_it_is() -> None:
    day = district(people())
    renamed = [{**each, "username": "taken"} if each["sourced_id"] == KEEP else each for each in people()]
    decision = decide(district(renamed), live_of(day), rules((KEEP, GONE), reserved_usernames=frozenset({"taken"})))
    assert actions(decision, Kind.USER) == {}
    assert actions(decision, Kind.ENROLLMENT) == {}
    assert "username-taken" in decision.quarantine["code"]


def test_shared_username_of_both_rows_passes_without_a_clash() -> None:
    live = live_of(district(people()))
    decision = decide(district(without(people(), KEEP)), live, rules((KEEP, GONE)))
    assert user(decision, KEEP)["username"] == "user007"
    assert decision.quarantine.height == 0


def test_merge_target_is_part_of_what_is_reviewed() -> None:
    day = district(people())

    def digest(decision: RosterDecision, into: str) -> str:
        users = decision.changes[Kind.USER].with_columns(
            pl.when(pl.col("into").is_not_null()).then(pl.lit(into)).alias("into")
        )
        plan = CustomerPlan(
            id="x",
            name="X",
            outcome=Outcome.CHANGES,
            precondition=PlanPrecondition((1, 0), "a", "a"),
            roster={Kind.USER: users},
        )
        return compute_plan_id(StoreIdentity("s", "test"), "key", (plan,))

    decision = decide(day, live_of(day), rules((KEEP, GONE)))
    assert digest(decision, KEEP) == digest(decision, KEEP) != digest(decision, "u-004")


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(2, 30), min_size=2, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_no_merge_loses_people_or_enrollments_or_depends_on_order(numbers: list[int], chance: Any) -> None:
    keys = [f"u-{number:03}" for number in numbers]
    keep, *merged = keys
    left = [key for key in keys if chance.random() < 0.3]
    day = district(without(people(40), *left))
    live = live_of(district(people(40)))
    asked = rules(
        *[(keep, key) for key in merged], limit_rules=LimitRules(thresholds=Thresholds(users=Threshold(100, 40, 100)))
    )
    decision = decide(day, live, asked)
    again = decide(shuffled(day, 7), live, asked)
    for kind, frame in decision.changes.items():
        content = [name for name in frame.columns if name != "line"]
        assert frame.select(content).equals(again.changes[kind].select(content))
    users = decision.changes[Kind.USER]
    gone = users.filter(pl.col("action") == "delete")
    if set(left) == set(keys):
        assert set(gone["reason"]) == {"roster_row_missing"}
        return
    assert set(gone["key"]) == set(merged)
    assert set(gone["into"]) == {keep}
    assert set(user(decision, keep)["aliases"].split("\n")) == set(merged)
    theirs = {f"e-{100000 + number}-{class_}" for number in numbers for class_ in ("c-1", "c-2")}
    found = decision.changes[Kind.ENROLLMENT]
    stays = {f"e-{100000 + int(keep[2:])}-{class_}" for class_ in ("c-1", "c-2")} if keep not in left else set()
    assert set(found["key"]) | stays == theirs
    # whom the file lacks loses them, and where two were in one class one enrollment is enough
    assert set(found.filter(pl.col("action") == "delete")["reason"]) <= {"roster_row_missing", "duplicate"}
    places = {("c-1", keep), ("c-2", keep)}
    staying = {(row["class"], row["user"]) for row in found.iter_rows(named=True) if row["action"] == "update"}
    assert staying | ({("c-1", keep), ("c-2", keep)} if stays else set()) == places
    whose = found.filter(pl.col("action") == "update")
    assert set(whose["user"]) <= {keep}
