"""One person with several sourcedIds is one account: which rows are put together, and what becomes of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.diagnostic import Severity
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Outcome, PlanPrecondition, StoreIdentity
from reconciler.oneroster.snapshot import Snapshot
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.plan_id import compute_plan_id
from reconciler.planning.roster.desired import build_desired_roster
from reconciler.planning.roster.persons import combine_person_rows
from tests.support.rosters.snapshots import DISTRICT, actions, decide, district, live_of, person, shuffled

Row = Mapping[str, Any]


def people(number: int = 60) -> list[dict[str, Any]]:
    return [person(each, "s-1" if each < 40 else "s-2") for each in range(number)]


def second(number: int = 5, school: str = "s-2", **fields: Any) -> dict[str, Any]:
    """The row of somebody of `people()` at another school: another sourcedId, the same identifier and name."""
    return person(number, school, **{"sourced_id": f"w-{number:03}", **fields})


def day(rows: Iterable[Row], *enrolled: tuple[str, str], **facts: Any) -> Snapshot:
    """Everybody with a `u-` is in c-1 and c-2; the others are where `enrolled` (user, class) says."""
    rows = list(rows)
    others = [row["sourced_id"] for row in rows if not row["sourced_id"].startswith("u-")]
    made = district(rows, classes=("c-1", "c-2", "c-3"), without_enrollments=others, **facts)
    made = replace(made, enrollments=made.enrollments.filter(pl.col("class") != "c-3"))
    added = pl.DataFrame(
        [
            {"sourced_id": f"x-{user}-{class_}", "status": "active", "class": class_, "user": user, "role": "student"}
            | {"line": 9000 + place}
            for place, (user, class_) in enumerate(enrolled)
        ],
        schema=made.enrollments.schema,
    )
    return replace(made, enrollments=pl.concat([made.enrollments, added]))


def user(decision: RosterDecision, key: str) -> dict[str, Any]:
    return decision.changes[Kind.USER].row(by_predicate=pl.col("key") == key, named=True)


def codes(decision: RosterDecision) -> dict[str, str]:
    return {each.code: each.message for each in decision.diagnostics}


BOTH = day([*people(), second()], ("w-005", "c-3"))


def test_rows_with_one_identifier_and_name_are_one_account() -> None:
    decision = decide(BOTH, LiveRoster())

    made = user(decision, "u-005")
    assert "w-005" not in actions(decision, Kind.USER)["create"]
    assert (made["aliases"], made["roles"], made["role"]) == ("w-005", "s-1=student\ns-2=student", "student")
    theirs = decision.changes[Kind.ENROLLMENT].filter(pl.col("user") == "u-005")
    assert theirs["key"].sort().to_list() == ["e-100005-c-1", "e-100005-c-2", "x-w-005-c-3"]
    assert "several-sourced-ids" in codes(decision)
    assert decision.quarantine.is_empty()


def test_letter_case_of_a_name_distinguishes_nobody() -> None:
    decision = decide(day([*people(), second(family_name="FAMILY005", given_name=" given")]), LiveRoster())

    assert "w-005" not in actions(decision, Kind.USER)["create"]


def test_somebody_who_teaches_and_is_staff_has_both_roles() -> None:
    staff = second(5, "s-1", role="aide")

    made = user(decide(day([*people(5), person(5, role="teacher"), staff]), LiveRoster()), "u-005")

    assert (made["roles"], made["role"]) == ("s-1=aide\ns-1=teacher", "teacher")


def test_lowest_sourced_id_wins_unless_an_account_has_one() -> None:
    rows = [*people(), second(sourced_id="a-005")]

    assert user(decide(day(rows), LiveRoster()), "a-005")["aliases"] == "u-005"


def test_the_same_roster_again_changes_nothing() -> None:
    assert decide(BOTH, live_of(BOTH)).changes == {}


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_does_not_matter(seed: int) -> None:
    def identity(snapshot: Snapshot) -> str:
        plan = CustomerPlan(
            id="d",
            name="D",
            outcome=Outcome.CHANGES,
            precondition=PlanPrecondition(None, None, None),
            roster=decide(snapshot, LiveRoster()).changes,
        )
        return compute_plan_id(StoreIdentity("store", "test"), "key", [plan])

    three = day([*people(), second(), second(sourced_id="b-005", school="s-1")], ("w-005", "c-3"))
    assert identity(shuffled(three, seed)) == identity(three)


def test_known_person_gains_a_sourced_id_not_an_account() -> None:
    decision = decide(BOTH, live_of(day(people())))

    assert actions(decision, Kind.USER) == {"update": ["u-005"]}
    row = user(decision, "u-005")
    assert (row["before_aliases"], row["aliases"]) == (None, "w-005")
    assert (row["before_roles"], row["roles"]) == ("s-1=student", "s-1=student\ns-2=student")
    assert actions(decision, Kind.ENROLLMENT) == {"create": ["x-w-005-c-3"]}


def test_departing_row_takes_only_its_own_roles_and_enrollments() -> None:
    decision = decide(day(people()), live_of(BOTH))

    assert actions(decision, Kind.USER) == {"update": ["u-005"]}
    assert user(decision, "u-005")["roles"] == "s-1=student"
    assert user(decision, "u-005")["aliases"] == "w-005"
    assert actions(decision, Kind.ENROLLMENT) == {"delete": ["x-w-005-c-3"]}


def test_account_keeps_its_sourced_id_when_another_row_remains() -> None:
    alone = [row for row in people() if row["sourced_id"] != "u-005"]

    decision = decide(day([*alone, second()], ("w-005", "c-3")), live_of(BOTH))

    assert actions(decision, Kind.USER) == {"update": ["u-005"]}
    assert user(decision, "u-005")["roles"] == "s-2=student"
    assert actions(decision, Kind.ENROLLMENT) == {"delete": ["e-100005-c-1", "e-100005-c-2"]}


def test_person_is_gone_with_the_last_sourced_id() -> None:
    decision = decide(day([row for row in people() if row["sourced_id"] != "u-005"]), live_of(BOTH))

    assert actions(decision, Kind.USER) == {"delete": ["u-005"]}


def test_other_names_with_one_identifier_stay_different_people() -> None:
    twin = second(family_name="Other", username="other")

    decision = decide(day([*people(), twin]), live_of(day(people())))

    assert actions(decision, Kind.USER) == {"create": ["w-005"]}
    assert codes(decision)["shared-identifier"].startswith("2 rows share their identifier with a row of another name")


def test_nobody_is_put_together_by_an_empty_identifier() -> None:
    rows = [*people(4), person(5, identifier=None), second(identifier=None, username="other")]

    assert {"u-005", "w-005"} <= set(actions(decide(day(rows), LiveRoster()), Kind.USER)["create"])


@pytest.mark.parametrize("match_with", ["email", "username", "sourced_id"])
def test_new_people_are_not_joined_without_identifier_matching(match_with: str) -> None:
    rows = [*people(), second(username="other", email="other@d.example")]

    decision = decide(day(rows), live_of(day(people())), RosterRules(match_with))

    assert actions(decision, Kind.USER) == {"create": ["w-005"]}


@pytest.mark.parametrize("match_with", ["email", "username", "sourced_id", "identifier"])
def test_known_sourced_id_stays_with_its_person_regardless(match_with: str) -> None:
    renamed = second(family_name="Married", identifier="other", username="other", email="other@d.example")

    decision = decide(day([*people(), renamed], ("w-005", "c-3")), live_of(BOTH), RosterRules(match_with))

    assert decision.changes == {}


def two_accounts() -> LiveRoster:
    """`w-005` was somebody of its own when it came: another name then."""
    return live_of(day([*people(), second(family_name="Other", username="other")]))


def test_accounts_are_never_put_together_by_the_program() -> None:
    decision = decide(day([*people(), second(username="other")]), two_accounts())

    assert actions(decision, Kind.USER) == {"update": ["w-005"]}
    assert user(decision, "w-005")["aliases"] is None
    assert codes(decision)["several-accounts"].startswith("2 rows share identifier and name")


def test_deleted_account_of_ones_own_is_not_joined_either() -> None:
    live = two_accounts()
    gone = pl.col("sourced_id") == "w-005"
    live = replace(live, users=live.users.with_columns((pl.col("tombstoned") | gone).alias("tombstoned")))

    decision = decide(day([*people(), second(username="other")]), live)

    assert actions(decision, Kind.USER) == {"restore": ["w-005"]}


def test_row_marked_for_deletion_takes_only_its_part() -> None:
    marked = day([*people(), second()], ("w-005", "c-3"), marked=["w-005"])

    decision = decide(marked, live_of(BOTH))

    assert actions(decision, Kind.USER) == {"update": ["u-005"]}
    assert user(decision, "u-005")["roles"] == "s-1=student"
    assert actions(decision, Kind.ENROLLMENT) == {"delete": ["x-w-005-c-3"]}


def test_row_of_the_accounts_own_sourced_id_may_be_marked() -> None:
    decision = decide(day([*people(), second()], ("w-005", "c-3"), marked=["u-005"]), live_of(BOTH))

    assert actions(decision, Kind.USER) == {"update": ["u-005"]}
    assert user(decision, "u-005")["roles"] == "s-2=student"


def test_person_with_every_row_marked_is_deleted() -> None:
    decision = decide(day([*people(), second()], marked=["u-005", "w-005"]), live_of(BOTH))

    assert decision.changes[Kind.USER].select("action", "reason", "key").rows() == [
        ("delete", "roster_tobedeleted", "u-005")
    ]


def test_a_row_set_aside_protects_the_whole_person() -> None:
    decision = decide(day(people(), aside=[("user", "w-005")]), live_of(BOTH))

    assert Kind.USER not in decision.changes


def test_quarantined_row_protects_a_person_without_other_rows() -> None:
    alone = [row for row in people() if row["sourced_id"] != "u-005"]

    assert Kind.USER not in decide(day(alone, aside=[("user", "w-005")]), live_of(BOTH)).changes


def test_protected_person_may_be_named_by_any_sourced_id() -> None:
    rules = RosterRules("identifier", protect=frozenset({"w-005"}))
    alone = [row for row in people() if row["sourced_id"] != "u-005"]

    assert Kind.USER not in decide(day(alone), live_of(BOTH), rules).changes


def test_deleted_person_returns_by_any_sourced_id() -> None:
    live = live_of(BOTH)
    gone = pl.col("sourced_id") == "u-005"
    live = replace(live, users=live.users.with_columns((pl.col("tombstoned") | gone).alias("tombstoned")))
    alone = [row for row in people() if row["sourced_id"] != "u-005"]

    decision = decide(day([*alone, second(identifier="other", username="u5")]), live)

    assert actions(decision, Kind.USER) == {"restore": ["u-005"]}


def test_person_with_only_new_sourced_ids_is_rekeyed_keeping_aliases() -> None:
    alone = [row for row in people() if row["sourced_id"] != "u-005"]
    new = [second(sourced_id="n-1"), second(sourced_id="n-2", school="s-1")]

    decision = decide(day([*alone, *new]), live_of(BOTH))

    assert decision.changes[Kind.USER].select("action", "key", "former_key", "aliases").rows() == [
        ("rekey", "n-1", "u-005", "n-2\nw-005")
    ]


def test_person_enabled_at_one_school_may_sign_in() -> None:
    decision = decide(day([*people(), second(enabled=False)], ("w-005", "c-3")), live_of(BOTH))

    assert decision.changes == {}


def test_another_customers_rows_in_the_file_are_other_people() -> None:
    shared = day([*people(), second(school="x-1", username="other")])
    foreign = pl.DataFrame({"sourced_id": ["x-1"], "status": ["active"], "type": ["school"], "line": [9]})
    shared = replace(shared, orgs=pl.concat([shared.orgs, foreign], how="diagonal"))

    merged = combine_person_rows(shared, LiveRoster().users, "identifier", DISTRICT)

    assert build_desired_roster(merged.snapshot, DISTRICT, None).people_of_other_orgs.to_list() == ["w-005"]
    assert merged.diagnostics == ()


def test_file_without_such_people_passes_unchanged() -> None:
    snapshot = day(people())

    assert combine_person_rows(snapshot, live_of(snapshot).users, "identifier", DISTRICT).snapshot is snapshot


def test_what_is_said_of_such_rows_names_nobody() -> None:
    decision = decide(day([*people(), second(family_name="Other", username="other")]), LiveRoster())

    said = [each for each in decision.diagnostics if each.code == "shared-identifier"]
    assert [(each.severity, each.span.line if each.span else 0) for each in said] == [(Severity.WARNING, 7)]
    assert "100005" not in said[0].message


rows_of_people = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from("abc"), st.sampled_from(["s-1", "s-2", "s-3"]), st.booleans()),
    unique_by=lambda each: each[:2],
    min_size=1,
    max_size=30,
)


def several(rows: list[tuple[int, str, str, bool]]) -> Snapshot:
    """Person `number` under up to three sourcedIds; one of another name has an identifier of somebody else's."""
    return day(
        [
            person(
                number,
                school,
                sourced_id=f"{letter}-{number}",
                **({"family_name": "Other", "username": f"other{number}{letter}"} if other else {}),
            )
            for number, letter, school, other in rows
        ],
        *((f"{letter}-{number}", "c-1") for number, letter, _, _ in rows),
        schools=("s-1", "s-2", "s-3"),
    )


@settings(deadline=None, max_examples=25)
@given(rows_of_people)
def test_same_roster_again_changes_nothing_for_any_rows(rows: list) -> None:  # type: ignore[type-arg]
    assert decide(several(rows), live_of(several(rows))).changes == {}


@settings(deadline=None, max_examples=40)
@given(rows_of_people, rows_of_people)
def test_nobody_leaves_while_a_row_is_still_bound(first: list, later: list) -> None:  # type: ignore[type-arg]
    live = live_of(several(first))
    known = {
        sourced_id: main
        for main, aliases in live.users.select("sourced_id", "aliases").iter_rows()
        for sourced_id in (main, *(aliases or "").split("\n"))
    }
    there = {known[key] for number, letter, *_ in later if (key := f"{letter}-{number}") in known}

    frame = decide(several(later), live).changes.get(Kind.USER)

    gone = set() if frame is None else set(frame.filter(pl.col("action") == "delete")["key"].to_list())
    assert not gone & there
    made = set() if frame is None else set(frame.filter(pl.col("action") == "create")["key"].to_list())
    assert not made & set(known)
