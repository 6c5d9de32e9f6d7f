from __future__ import annotations

import re
from dataclasses import replace

import polars as pl
import pytest

from reconciler.model.change import Delete, FieldChange, Update
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Outcome, PlanPrecondition, StoreIdentity
from reconciler.model.reason import Reason
from reconciler.planning.customer_hold import build_hold
from reconciler.planning.customer_plan import PlannedDocuments, PlannedRoster, build_customer_plan
from reconciler.planning.frames.live import find_open_enrollments
from reconciler.planning.plan_id import compute_plan_id
from tests.support.rosters.snapshots import HOLD_KEY, actions, decide, district, live_of, person

NOTHING_SEEN = PlanPrecondition(None, None, None)
STORE = StoreIdentity("7f3a", "test")
KEY = "effects"
EVERYBODY = [person(each, "s-1" if each < 60 else "s-2") for each in range(100)]


def planned(leavers: int, *, roster_applies: bool = True, hold_key: str = HOLD_KEY) -> CustomerPlan:
    decision = decide(district(EVERYBODY[leavers:]), live_of(district(EVERYBODY)))
    documents = PlannedDocuments(NOTHING_SEEN)
    return build_customer_plan(
        "d", "D", documents, PlannedRoster(decision), hold_key=hold_key, roster_applies=roster_applies
    )


def test_a_hold_is_named_by_customer_people_and_digest() -> None:
    held = planned(60).hold
    assert held is not None
    assert re.fullmatch(r"d:60:[0-9a-f]{16}", held.id)
    assert (held.people, held.rows) == (60, 180)


def test_a_hold_of_other_people_has_another_id() -> None:
    first, other = planned(60).hold, planned(61).hold
    assert first is not None
    assert other is not None
    assert first.id != other.id


def test_nobody_can_look_for_a_hold_of_the_same_id_without_the_key() -> None:
    held, elsewhere = planned(60).hold, planned(60, hold_key="a5" * 32).hold
    assert held is not None
    assert elsewhere is not None
    assert held.id != elsewhere.id


def test_values_with_the_same_fingerprint_give_another_hold() -> None:
    held = planned(60)
    ids = set()
    for email in ("a@d.example", "b@d.example"):
        rows = held.roster[Kind.USER].with_columns(pl.lit(email).alias("email"), pl.lit(1).alias("fingerprint"))
        hold = build_hold(replace(held, roster={**held.roster, Kind.USER: rows}), (), HOLD_KEY)
        assert hold is not None
        ids.add(hold.id)
    assert len(ids) == 2


def test_values_of_a_held_document_are_part_of_the_hold() -> None:
    plan = build_customer_plan("d", "D", PlannedDocuments(NOTHING_SEEN), hold_key=HOLD_KEY)
    ids = set()
    for value in ("north", "south"):
        field = FieldChange("name", "before", value)
        change = Update(
            kind=Kind.COMMUNITY, key="x", label="X", reason=Reason.FIELD_CHANGED, fields=(field,), held=True
        )
        hold = build_hold(replace(plan, document_changes=(change,)), (), HOLD_KEY)
        assert hold is not None
        ids.add(hold.id)
    assert len(ids) == 2


def test_a_hold_says_why_in_plain_sentences() -> None:
    held = planned(60).hold
    assert held is not None
    assert held.causes[:2] == (
        "60 of 100 people would be removed; the limit is 10 at once.",
        "School s-1 (s-1) would lose everyone: 60 of 60.",
    )


def test_nothing_is_held_within_the_limits() -> None:
    plan = planned(3)
    assert (plan.hold, plan.outcome) == (None, Outcome.CHANGES)


def test_shown_only_roster_holds_nothing_and_has_no_effect() -> None:
    shown, nothing = planned(60, roster_applies=False), planned(0)
    assert shown.hold is None
    assert compute_plan_id(STORE, KEY, [shown]) == compute_plan_id(STORE, KEY, [nothing])


@pytest.mark.parametrize("kind", [Kind.CUSTOMER, Kind.COMMUNITY])
def test_what_was_removed_from_git_always_waits(kind: Kind) -> None:
    gone = Delete(kind=kind, key="x", label="X", reason=Reason.REMOVED_FROM_GIT, impact={"people": 12})
    plan = build_customer_plan("d", "D", PlannedDocuments(NOTHING_SEEN, (gone,)), hold_key=HOLD_KEY)
    assert plan.outcome is Outcome.HELD
    assert plan.hold is not None
    assert plan.hold.id.startswith("d:12:" if kind is Kind.CUSTOMER else "d:0:")


def test_a_lesson_removed_from_git_does_not_wait() -> None:
    gone = Delete(kind=Kind.LESSON, key="x", label="X", reason=Reason.REMOVED_FROM_GIT)
    plan = build_customer_plan("d", "D", PlannedDocuments(NOTHING_SEEN, (gone,)), hold_key=HOLD_KEY)
    assert plan.outcome is Outcome.CHANGES


def test_plan_id_covers_its_effects_and_store() -> None:
    three = planned(3)
    same = replace(three, diagnostics=(), name="Another name")
    assert compute_plan_id(STORE, KEY, [three]) == compute_plan_id(STORE, KEY, [same])
    assert compute_plan_id(STORE, KEY, [three]) != compute_plan_id(STORE, KEY, [planned(4)])
    assert compute_plan_id(STORE, KEY, [three]) != compute_plan_id(StoreIdentity("other", "test"), KEY, [three])


def test_one_changed_value_gives_another_plan() -> None:
    later = [dict(each) for each in EVERYBODY]
    ids = set()
    for email in ("a@d.example", "b@d.example"):
        later[0]["email"] = email
        decision = decide(district(later), live_of(district(EVERYBODY)))
        plan = build_customer_plan("d", "D", PlannedDocuments(NOTHING_SEEN), PlannedRoster(decision), hold_key=HOLD_KEY)
        ids.add(compute_plan_id(STORE, KEY, [plan]))
    assert len(ids) == 2


def test_fingerprints_settle_all_but_what_differs() -> None:
    desired = pl.DataFrame({"sourced_id": ["a", "b", "c"], "fingerprint": [1, 2, 3]})
    index = pl.DataFrame(
        {"id": [10, 11, 12], "fingerprint": [3, 1, None]}, schema={"id": pl.Int64, "fingerprint": pl.Int64}
    )

    found = find_open_enrollments(desired, index)

    assert found.desired["sourced_id"].to_list() == ["b"]
    assert found.live_ids.to_list() == [12]
    assert found.unchanged_count == 2


def test_changes_come_in_the_order_of_reports() -> None:
    later = [dict(each) for each in EVERYBODY[2:]] + [person(300)]
    later[0]["email"] = "x@d.example"
    assert list(actions(decide(district(later), live_of(district(EVERYBODY))), Kind.USER)) == [
        "delete",
        "update",
        "create",
    ]
