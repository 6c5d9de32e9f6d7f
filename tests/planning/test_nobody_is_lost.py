"""Ways in which somebody could be lost, each of them closed. Pure: no store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind
from reconciler.model.reason import Reason
from reconciler.planning.customer_plan import PlannedDocuments, PlannedRoster, build_customer_plan
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.roster.desired import build_desired_roster
from tests.support.rosters.snapshots import DISTRICT, HOLD_KEY, actions, decide, district, live_of, person


def crowd(number: int = 90, first: int = 10, school: str = "s-1") -> list[dict[str, Any]]:
    return [person(each, school) for each in range(first, first + number)]


def aside(snapshot: Any, **values: str | None) -> Any:
    """One more row of users.csv set aside."""
    row = {"kind": "user", "file": "users.csv", "line": 9, "column": 0, "code": "bad", "message": "bad", **values}
    frame = pl.DataFrame(
        [{name: row.get(name) for name in snapshot.quarantine.columns}], schema=snapshot.quarantine.schema
    )
    return replace(snapshot, quarantine=pl.concat([snapshot.quarantine, frame]))


def test_org_with_quarantined_people_is_not_removed_silently() -> None:
    small = [person(each, "s-2") for each in range(2)]
    later = district(crowd(), schools=["s-1"], aside=[("user", "u-000"), ("user", "u-001")])

    decision = decide(later, live_of(district(small + crowd())))

    assert actions(decision, Kind.ORG) == {"delete": ["s-2*"]}
    assert Kind.USER not in decision.changes


@pytest.mark.parametrize("missing", ["keep", "suspend"])
def test_org_with_kept_people_is_not_removed_silently(missing: str) -> None:
    small = [person(each, "s-2") for each in range(2)]

    decision = decide(
        district(crowd(), schools=["s-1"]), live_of(district(small + crowd())), RosterRules("identifier", missing)
    )

    assert actions(decision, Kind.ORG) == {"delete": ["s-2*"]}


def test_an_org_whose_last_people_moved_away_is_removed() -> None:
    moved = [person(each, "s-1") for each in range(2)]
    before = [person(each, "s-2") for each in range(2)]

    decision = decide(district(moved + crowd(), schools=["s-1"]), live_of(district(before + crowd())))

    assert actions(decision, Kind.ORG) == {"delete": ["s-2"]}


def test_removed_school_keeps_its_limit_while_people_belong_there() -> None:
    small = [person(each, "s-2") for each in range(2)]
    live = live_of(district(small + crowd()))
    buried = pl.col("sourced_id") == "s-2"
    live = replace(live, orgs=live.orgs.with_columns((pl.col("tombstoned") | buried).alias("tombstoned")))

    decision = decide(district(crowd(), schools=["s-1"]), live)

    assert actions(decision, Kind.USER) == {"delete": ["u-000*", "u-001*"]}


def test_quarantined_row_with_a_new_id_protects_its_likely_account() -> None:
    later = aside(district(crowd()), key="n-000", identifier="100000", username="x")

    decision = decide(later, live_of(district([person(0), *crowd()])))

    assert Kind.USER not in decision.changes


def test_unreadable_quarantined_row_holds_every_deletion() -> None:
    later = aside(district(crowd()), key="n-000")

    decision = decide(later, live_of(district([person(0), *crowd()])))

    assert actions(decision, Kind.USER) == {"delete": ["u-000*"]}


def test_quarantined_row_of_somebody_else_protects_nobody_more() -> None:
    later = aside(district(crowd()), key="n-500", identifier="999999", username="newcomer")

    decision = decide(later, live_of(district([person(0), *crowd()])))

    assert actions(decision, Kind.USER) == {"delete": ["u-000"]}


def test_account_of_somebody_still_in_the_file_is_never_rekeyed() -> None:
    taken = person(300, email="user000@d.example")
    elsewhere = person(0, "x-1", email="other@d.example")
    later = district([taken, elsewhere, *crowd()])
    foreign = pl.DataFrame(
        {
            "sourced_id": ["d-2", "x-1"],
            "status": "active",
            "type": ["district", "school"],
            "parent": [None, "d-2"],
            "line": [9, 10],
        }
    )
    later = replace(later, orgs=pl.concat([later.orgs, foreign], how="diagonal"))

    found = actions(decide(later, live_of(district([person(0), *crowd()])), RosterRules("email")), Kind.USER)

    assert "rekey" not in found
    assert found["create"] == ["u-300"]


def adopted(manager: str, role: str, match_with: str) -> dict[str, list[str]]:
    live = live_of(district(crowd()))
    stranger = live.users.head(1).with_columns(
        pl.lit(9999, dtype=pl.Int64).alias("id"),
        pl.lit(None, dtype=pl.String).alias("sourced_id"),
        pl.lit(manager).alias("managed_by"),
        pl.lit(role).alias("role"),
        pl.lit("ada").alias("username"),
        pl.lit(None, dtype=pl.String).alias("roster_username"),
        pl.lit("ada@d.example").alias("email"),
        pl.lit("777").alias("identifier"),
    )
    live = replace(live, users=pl.concat([live.users, stranger]))
    newcomer = person(
        300,
        email="ada@d.example",
        identifier="777",
        username="ada" if match_with == "username" else "new",
        family_name=stranger["family_name"][0],
    )
    return actions(decide(district([*crowd(), newcomer]), live, RosterRules(match_with)), Kind.USER)


@pytest.mark.parametrize("match_with", ["identifier", "email", "username"])
def test_an_administrator_of_the_configuration_is_never_adopted(match_with: str) -> None:
    assert "adopt" not in adopted("config", "administrator", match_with)


@pytest.mark.parametrize("match_with", ["email", "username"])
def test_what_an_lms_asserted_proves_nothing(match_with: str) -> None:
    assert "adopt" not in adopted("lti", "student", match_with)


def test_account_from_its_owner_or_launch_is_adopted_by_identifier() -> None:
    assert adopted("lti", "student", "identifier") == {"adopt": ["u-300"]}
    assert adopted("join_link", "student", "email") == {"adopt": ["u-300"]}


def test_rekey_waiting_for_a_username_keeps_its_enrollments_waiting() -> None:
    """Two people of s-2 leave and are held; somebody rekeyed wants the username of one of them."""
    small = [person(each, "s-2") for each in range(2)]
    later = crowd()
    later[0] |= {"sourced_id": "n-010", "username": "user000"}
    day = district(later, classes=["c-1", "c-2", "c-3"])

    decision = decide(day, live_of(district(small + crowd(), classes=["c-1", "c-2"])))

    assert actions(decision, Kind.USER)["rekey"] == ["n-010*"]
    theirs = decision.changes[Kind.ENROLLMENT].filter(pl.col("user") == "n-010")
    assert theirs.height
    assert theirs["held"].all()
    refreshed = decision.refresh.get(Kind.ENROLLMENT)
    assert refreshed is None or not refreshed.height


def test_deleted_account_with_an_equal_identifier_causes_no_ambiguity() -> None:
    live = live_of(district(crowd()))
    ghost = live.users.head(1).with_columns(
        pl.lit(9999, dtype=pl.Int64).alias("id"), pl.lit("u-old").alias("sourced_id"), pl.lit(True).alias("tombstoned")
    )
    later = crowd()
    later[0]["sourced_id"] = "n-010"

    found = actions(decide(district(later), replace(live, users=pl.concat([live.users, ghost]))), Kind.USER)

    assert found == {"rekey": ["n-010"]}


def test_the_last_of_a_role_is_held() -> None:
    teachers = [person(each, "s-1", role="teacher") for each in range(3)]

    decision = decide(district(crowd()), live_of(district(teachers + crowd())))

    assert actions(decision, Kind.USER) == {"delete": ["u-000*", "u-001*", "u-002*"]}
    assert "Nobody with the role teacher would be left." in decision.causes


def test_teachers_who_are_replaced_may_go() -> None:
    teachers = [person(each, "s-1", role="teacher") for each in range(3)]
    new = [person(each, "s-1", role="teacher") for each in range(300, 303)]

    decision = decide(district(new + crowd()), live_of(district(teachers + crowd())))

    assert actions(decision, Kind.USER)["delete"] == ["u-000", "u-001", "u-002"]


def test_who_is_protected_keeps_the_enrollments_too() -> None:
    rules = RosterRules("identifier", protect=frozenset({"u-000"}))

    assert decide(district(crowd()), live_of(district([person(0), *crowd()])), rules).changes == {}


def test_who_is_marked_and_protected_keeps_the_enrollments_too() -> None:
    everybody = [person(0), *crowd()]
    rules = RosterRules("identifier", protect=frozenset({"u-000"}))

    assert decide(district(everybody, marked=["u-000"]), live_of(district(everybody)), rules).changes == {}


def test_quarantined_live_org_keeps_its_peoples_roles() -> None:
    both = [person(0, "s-1"), *crowd(30, 100, "s-2")]
    whole = district(both)
    bad = replace(whole, orgs=whole.orgs.filter(pl.col("sourced_id") != "s-1"))
    bad = replace(bad, quarantine=district([], aside=[("org", "s-1")]).quarantine)

    desired = build_desired_roster(bad, DISTRICT, None, pl.Series(["d-1", "s-1", "s-2"]))

    assert desired.frames[Kind.USER].height == 31
    assert desired.frames[Kind.USER].filter(pl.col("sourced_id") == "u-000")["roles"].to_list() == ["s-1=student"]


def test_people_of_a_never_readable_org_are_not_created() -> None:
    whole = district([person(0, "s-1"), *crowd(30, 100, "s-2")])
    bad = replace(whole, orgs=whole.orgs.filter(pl.col("sourced_id") != "s-1"))
    bad = replace(bad, quarantine=district([], aside=[("org", "s-1")]).quarantine)

    assert "u-000" not in actions(decide(bad, LiveRoster()), Kind.USER)["create"]
    assert "u-000" in actions(decide(whole, LiveRoster()), Kind.USER)["create"]


def test_username_promised_to_an_administrator_goes_to_no_row() -> None:
    rules = RosterRules("identifier", reserved_usernames=frozenset({"ada"}))
    day = district([person(0, username="Ada"), *crowd()])

    decision = decide(day, LiveRoster(), rules)

    assert "u-000" not in actions(decision, Kind.USER)["create"]
    assert "username-taken" in decision.quarantine["code"].to_list()


def test_sourced_id_returning_as_another_person_is_pointed_out() -> None:
    live = live_of(district([person(0), *crowd()]))
    gone = pl.col("sourced_id") == "u-000"
    live = replace(live, users=live.users.with_columns((pl.col("tombstoned") | gone).alias("tombstoned")))
    other = person(0, identifier="5", given_name="Other", family_name="Person")

    decision = decide(district([other, *crowd()]), live)

    assert "recycled-sourced-id" in {diagnostic.code for diagnostic in decision.diagnostics}


def test_customer_awaiting_removal_takes_nothing_before_approval() -> None:
    from reconciler.model.change import Delete
    from reconciler.model.plan import PlanPrecondition

    gone = [
        Delete(kind=kind, key="x", label="X", reason=Reason.REMOVED_FROM_GIT, origin=Span("x"))
        for kind in (Kind.CUSTOMER, Kind.COMMUNITY, Kind.LESSON)
    ]
    plan = build_customer_plan(
        "d", "D", PlannedDocuments(PlanPrecondition(None, None, None), tuple(gone)), hold_key=HOLD_KEY
    )
    assert all(change.held for change in plan.document_changes)


def test_a_hold_counts_those_who_would_leave_as_people() -> None:
    small = [person(each, "s-2") for each in range(2)]
    later = crowd()
    later[0] |= {"sourced_id": "n-010", "username": "user000"}
    decision: RosterDecision = decide(district(later), live_of(district(small + crowd())))
    from reconciler.model.plan import PlanPrecondition

    plan = build_customer_plan(
        "d",
        "D",
        PlannedDocuments(PlanPrecondition(None, None, None)),
        PlannedRoster(decision),
        hold_key=HOLD_KEY,
    )
    assert plan.hold is not None
    assert plan.hold.people == 2
