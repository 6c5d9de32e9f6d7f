from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from reconciler.model.diagnostic import Refusal
from reconciler.model.kind import Kind
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.frames.live import LiveRoster
from reconciler.planning.holds.limits import Threshold, Thresholds
from reconciler.planning.holds.rules import LimitRules
from reconciler.planning.roster.desired import build_desired_roster
from tests.support.rosters.snapshots import DISTRICT, actions, decide, district, live_of, person, shuffled


def people(number: int = 100) -> list[dict[str, Any]]:
    """60 % of them at s-1, the others at s-2."""
    return [person(each, "s-1" if each < number * 6 // 10 else "s-2") for each in range(number)]


def reasons(decision: Any, kind: Kind) -> set[str]:
    return set(decision.changes[kind]["reason"].to_list())


def test_a_first_load_creates_everything_and_holds_nothing() -> None:
    decision = decide(district(people()), LiveRoster())

    assert {kind: frame.height for kind, frame in decision.changes.items()} == {
        Kind.ORG: 3,
        Kind.USER: 100,
        Kind.CLASS: 2,
        Kind.ENROLLMENT: 200,
    }
    assert all(set(frame["action"]) == {"create"} and not frame["held"].any() for frame in decision.changes.values())


def test_the_same_roster_again_changes_nothing() -> None:
    day = district(people())

    decision = decide(shuffled(day, 7), live_of(day))

    assert decision.changes == {}
    assert decision.counts[Kind.USER].unchanged == 100
    assert decision.counts[Kind.ENROLLMENT].unchanged == 200


def test_three_leavers_of_a_hundred_go_within_the_limits() -> None:
    decision = decide(district(people()[3:]), live_of(district(people())))

    assert actions(decision, Kind.USER) == {"delete": ["u-000", "u-001", "u-002"]}
    assert reasons(decision, Kind.USER) == {"roster_row_missing"}
    assert len(actions(decision, Kind.ENROLLMENT)["delete"]) == 6
    assert reasons(decision, Kind.ENROLLMENT) == {"parent_removed"}


def test_sixty_leavers_of_a_hundred_are_held_with_enrollments() -> None:
    decision = decide(district(people()[60:]), live_of(district(people())))

    assert decision.changes[Kind.USER]["held"].all()
    assert decision.changes[Kind.ENROLLMENT]["held"].all()
    assert decision.counts[Kind.USER].held == 60


def test_over_the_limit_only_deletions_wait() -> None:
    later = [*people()[60:], person(200, "s-2")]
    later[0]["email"] = "new@d.example"

    found = actions(decide(district(later), live_of(district(people()))), Kind.USER)

    assert found["create"] == ["u-200"]
    assert found["update"] == ["u-060"]
    assert all(key.endswith("*") for key in found["delete"])


def test_losing_a_whole_school_holds_below_every_other_limit() -> None:
    few = [person(each, "s-2") for each in range(2)]
    many = [person(each, "s-1") for each in range(10, 100)]

    decision = decide(district(many), live_of(district(few + many)))

    assert actions(decision, Kind.USER) == {"delete": ["u-000*", "u-001*"]}
    school = next(limit for limit in decision.limits if limit.scope == "org:s-2")
    assert (school.seen, school.allowed, school.of, school.exceeded) == (2, 1, 2, True)


def test_the_only_person_of_a_school_may_leave() -> None:
    many = [person(each, "s-1") for each in range(10, 100)]

    decision = decide(district(many), live_of(district([person(1, "s-2"), *many])))

    assert actions(decision, Kind.USER) == {"delete": ["u-001"]}


def test_a_school_limit_holds_only_that_school() -> None:
    crowd = [person(each, "s-1") for each in range(100)]
    small = [person(each, "s-2") for each in range(100, 120)]

    decision = decide(district(crowd[2:] + small[6:]), live_of(district(crowd + small)))

    held = [key for key in actions(decision, Kind.USER)["delete"] if key.endswith("*")]
    assert held == [f"u-{each}*" for each in range(100, 106)]
    assert actions(decision, Kind.USER)["delete"][:2] == ["u-000", "u-001"]


def test_a_changed_email_is_an_update_with_both_values() -> None:
    later = people()
    later[5]["email"] = "other@d.example"

    frame = decide(district(later), live_of(district(people()))).changes[Kind.USER]

    assert frame.select("action", "key", "before_email", "email").rows() == [
        ("update", "u-005", "user005@d.example", "other@d.example")
    ]


def test_same_identifier_with_new_sourced_id_is_a_rekey() -> None:
    later = people()
    later[5]["sourced_id"] = "n-005"

    decision = decide(district(later), live_of(district(people())))

    assert decision.changes[Kind.USER].select("action", "key", "former_key").rows() == [("rekey", "n-005", "u-005")]
    assert Kind.ENROLLMENT not in decision.changes
    assert decision.refresh[Kind.ENROLLMENT].height == 2


def test_match_with_sourced_id_never_rekeys() -> None:
    later = people()
    later[5]["sourced_id"] = "n-005"
    later[5]["username"] = "other"

    found = actions(decide(district(later), live_of(district(people())), RosterRules("sourced_id")), Kind.USER)

    assert found == {"delete": ["u-005*"], "create": ["n-005*"]}


@pytest.mark.parametrize("match_with", ["identifier", "email", "username"])
def test_a_value_that_two_rows_share_rekeys_nobody(match_with: str) -> None:
    later = people()
    later[5] |= {"sourced_id": "n-005"}
    twin = person(300, "s-1", identifier=later[5]["identifier"], email=later[5]["email"])
    if match_with == "username":
        twin |= {"username": later[5]["username"]}

    decision = decide(district([*later, twin]), live_of(district(people())), RosterRules(match_with))

    assert "rekey" not in actions(decision, Kind.USER)


def test_an_empty_identifier_matches_nobody() -> None:
    first, later = people(), people()
    first[5]["identifier"] = None
    later[5] |= {"sourced_id": "n-005", "identifier": None, "username": "elsewhere"}

    found = actions(decide(district(later), live_of(district(first))), Kind.USER)

    # Not matched; but the same name and address let both wait.
    assert found == {"delete": ["u-005*"], "create": ["n-005*"]}


def test_account_with_its_own_row_present_is_never_rekeyed() -> None:
    twin = person(300, "s-1", identifier="100005")

    found = actions(decide(district([*people(), twin]), live_of(district(people()))), Kind.USER)

    assert found == {"create": ["u-300"]}


def test_a_person_who_returns_is_restored() -> None:
    live = live_of(district(people()))
    gone = pl.col("sourced_id") == "u-005"
    live = replace(live, users=live.users.with_columns((pl.col("tombstoned") | gone).alias("tombstoned")))

    frame = decide(district(people()), live).changes[Kind.USER]

    assert frame.select("action", "reason", "key", "live_id").rows() == [("restore", "returned", "u-005", 6)]


def test_person_returning_under_another_sourced_id_needs_the_identifier() -> None:
    live = live_of(district(people()))
    gone = pl.col("sourced_id") == "u-005"
    live = replace(live, users=live.users.with_columns((pl.col("tombstoned") | gone).alias("tombstoned")))
    later = people()
    later[5]["sourced_id"] = "n-005"

    by_identifier = decide(district(later), live).changes[Kind.USER]
    by_email = decide(district(later), live, RosterRules("email")).changes[Kind.USER]

    assert by_identifier.select("action", "key", "former_key").rows() == [("restore", "n-005", "u-005")]
    assert by_email.select("action", "key").rows() == [("create", "n-005")]


def test_a_row_set_aside_protects_its_account() -> None:
    decision = decide(district(people()[1:], aside=[("user", "u-000")]), live_of(district(people())))

    assert Kind.USER not in decision.changes
    assert decision.counts[Kind.USER].quarantined == 1


@pytest.mark.parametrize(("aside", "kinds"), [(("user", None), [Kind.USER]), (("org", "s-9"), [Kind.USER])])
def test_a_row_that_may_be_anybodys_holds_every_deletion(aside: tuple[str, str | None], kinds: list[Kind]) -> None:
    decision = decide(district(people()[1:], aside=[aside]), live_of(district(people())))

    assert actions(decision, Kind.USER) == {"delete": ["u-000*"]}
    assert "unidentified-row" in {diagnostic.code for diagnostic in decision.diagnostics}


def test_an_administrator_is_never_deleted() -> None:
    first = [*people(), person(500, "s-1", role="administrator"), person(501, "s-1", role="site_administrator")]

    decision = decide(district(people()), live_of(district(first)))

    assert Kind.USER not in decision.changes
    assert "administrator-kept" in {diagnostic.code for diagnostic in decision.diagnostics}


@pytest.mark.parametrize("manager", ["lti", "join_link", "portal", "config"])
def test_roster_never_deletes_what_it_does_not_manage(manager: str) -> None:
    live = live_of(district(people()))
    live = replace(live, users=live.users.with_columns(pl.lit(manager).alias("managed_by")))

    found = actions(decide(district(people()[3:]), live), Kind.USER)

    assert found == ({} if manager == "lti" else {"update": ["u-000", "u-001", "u-002"]})


def test_protected_sourced_ids_stay() -> None:
    rules = RosterRules("identifier", protect=frozenset({"u-000"}))

    assert actions(decide(district(people()[2:]), live_of(district(people())), rules), Kind.USER) == {
        "delete": ["u-001"]
    }


def test_missing_suspend_suspends_and_counts_against_the_limits() -> None:
    rules = RosterRules("identifier", missing="suspend")
    live = live_of(district(people()))

    three = decide(district(people()[3:]), live, rules)
    sixty = decide(district(people()[60:]), live, rules)

    assert actions(three, Kind.USER) == {"suspend": ["u-000", "u-001", "u-002"]}
    assert Kind.ENROLLMENT not in three.changes
    assert sixty.changes[Kind.USER]["held"].all()


def test_missing_keep_keeps() -> None:
    decision = decide(district(people()[60:]), live_of(district(people())), RosterRules("identifier", missing="keep"))

    assert decision.changes == {}


def test_row_marked_for_deletion_goes_whatever_missing_says() -> None:
    rules = RosterRules("identifier", missing="keep")

    frame = decide(district(people(), marked=["u-004"]), live_of(district(people())), rules).changes[Kind.USER]

    assert frame.select("action", "reason", "key", "line").rows() == [("delete", "roster_tobedeleted", "u-004", 6)]


def test_not_enabled_suspends_and_enabled_again_resumes() -> None:
    later = people()
    later[5]["enabled"] = False
    first = decide(district(later), live_of(district(people()))).changes[Kind.USER]
    back = decide(district(people()), live_of(district(later))).changes[Kind.USER]

    assert first.select("action", "reason", "key").rows() == [("suspend", "roster_disabled", "u-005")]
    assert back.select("action", "key").rows() == [("resume", "u-005")]


def test_manually_changed_row_is_reverted_as_drift() -> None:
    live = live_of(district(people()))
    by_hand = pl.col("sourced_id") == "u-005"
    live = replace(
        live,
        users=live.users.with_columns(
            pl.when(by_hand).then(pl.lit("hand@d.example")).otherwise("email").alias("email"),
            pl.when(by_hand).then(None).otherwise("fingerprint").alias("fingerprint"),
        ),
    )

    frame = decide(district(people()), live).changes[Kind.USER]

    assert frame.select("action", "reason", "before_email", "email").rows() == [
        ("update", "drift", "hand@d.example", "user005@d.example")
    ]


def test_rows_with_one_username_are_quarantined_and_keep_accounts() -> None:
    later = people()
    later[5]["username"] = "USER006"

    decision = decide(district(later), live_of(district(people())))

    assert Kind.USER not in decision.changes
    assert decision.counts[Kind.USER].quarantined == 2


def test_newcomer_with_a_held_leavers_username_waits_too() -> None:
    newcomer = person(300, "s-2", username="user000")

    decision = decide(district([*people()[60:], newcomer]), live_of(district(people())))

    assert actions(decision, Kind.USER)["create"] == ["u-300*"]
    theirs = decision.changes[Kind.ENROLLMENT].filter(pl.col("user") == "u-300")
    assert theirs["held"].all()


def test_a_newcomer_takes_the_username_of_one_who_leaves() -> None:
    newcomer = person(300, "s-1", username="user000")

    decision = decide(district([*people()[1:], newcomer]), live_of(district(people())))

    assert actions(decision, Kind.USER) == {"delete": ["u-000"], "create": ["u-300"]}


def test_usernames_may_be_swapped() -> None:
    later = people()
    later[5]["username"], later[6]["username"] = later[6]["username"], later[5]["username"]

    assert actions(decide(district(later), live_of(district(people()))), Kind.USER) == {"update": ["u-005", "u-006"]}


def test_username_of_a_remaining_account_quarantines_row_and_enrollments() -> None:
    live = live_of(district(people()))
    live = replace(
        live,
        users=live.users.with_columns(
            pl.when(pl.col("sourced_id") == "u-000").then(pl.lit("lti")).otherwise("managed_by").alias("managed_by")
        ),
    )
    newcomer = person(300, "s-1", username="User000")

    decision = decide(district([*people()[1:], newcomer]), live)

    assert Kind.USER not in decision.changes
    assert decision.quarantine["code"].to_list() == ["username-taken"]
    assert Kind.ENROLLMENT not in decision.changes or "create" not in actions(decision, Kind.ENROLLMENT)


def test_the_suffix_stands_behind_every_username() -> None:
    frame = decide(district(people(1)), LiveRoster(), suffix="@d").changes[Kind.USER]

    assert frame.select("username", "roster_username").rows() == [("user000@d", "user000")]


def test_file_without_the_customers_org_is_refused_with_its_orgs() -> None:
    with pytest.raises(Refusal, match=r"no row belongs to org d-9; the file contains d-1 \(district\), s-1 \(school\)"):
        build_desired_roster(district(people(1)), "d-9", None)


def test_only_people_of_the_customers_orgs_belong_to_it() -> None:
    day = district(people())

    assert build_desired_roster(day, "s-2", None).frames[Kind.USER].height == 40
    assert build_desired_roster(day, DISTRICT, None).frames[Kind.USER].height == 100


def test_person_moved_outside_the_customer_differs_from_a_leaver() -> None:
    first = district(people())
    outside = people()
    outside[99]["school"] = "x-1"
    later = district(outside, schools=("s-1", "s-2"))
    elsewhere = pl.DataFrame(
        {
            "sourced_id": ["d-2", "x-1"],
            "status": "active",
            "name": ["D", "X"],
            "type": ["district", "school"],
            "parent": [None, "d-2"],
            "line": [9, 10],
        }
    )
    later = replace(later, orgs=pl.concat([later.orgs, elsewhere], how="diagonal"))

    frame = decide(later, live_of(first)).changes[Kind.USER]

    assert frame.select("action", "key", "reason").rows() == [("delete", "u-099", "scope_narrowed")]


def test_a_class_that_is_gone_takes_its_enrollments() -> None:
    later, live = district(people(), classes=["c-1"]), live_of(district(people(), classes=["c-1", "c-2"]))
    wide = LimitRules(thresholds=Thresholds(enrollments=Threshold(100, 20)))

    decision = decide(later, live, RosterRules("identifier", limit_rules=wide))

    assert actions(decision, Kind.CLASS) == {"delete": ["c-2"]}
    assert reasons(decision, Kind.ENROLLMENT) == {"parent_removed"}


def test_a_class_stays_while_its_enrollments_are_held() -> None:
    decision = decide(district(people(), classes=["c-1"]), live_of(district(people(), classes=["c-1", "c-2"])))

    assert decision.changes[Kind.ENROLLMENT]["held"].all()
    assert actions(decision, Kind.CLASS) == {"delete": ["c-2*"]}


def test_an_org_stays_while_its_people_are_held() -> None:
    small = [person(each, "s-2") for each in range(3)]
    crowd = [person(each, "s-1") for each in range(10, 100)]

    decision = decide(district(crowd, schools=["s-1"]), live_of(district(small + crowd)))

    assert actions(decision, Kind.ORG) == {"delete": ["s-2*"]}


def test_enrollments_of_a_quarantined_newcomer_are_quarantined_too() -> None:
    day = district([*people(), person(300, "s-1", username="user005")])

    decision = decide(day, LiveRoster())

    assert decision.quarantine.filter(pl.col("code") == "refers-to-row-set-aside").height == 4
