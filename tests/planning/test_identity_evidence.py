"""Who is taken for whom, on what evidence, and who waits until a person has looked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from reconciler.model.diagnostic import Diagnostic, Severity
from reconciler.model.kind import Kind
from reconciler.oneroster.snapshot import build_quarantine_diagnostics
from reconciler.planning.decision.inputs import RosterRules
from reconciler.planning.decision.roster_decision import RosterDecision
from reconciler.planning.frames.live import LiveRoster
from tests.support.rosters.snapshots import actions, decide, district, live_of, person

EMAIL, USERNAME, IDENTIFIER = (RosterRules(key) for key in ("email", "username", "identifier"))


def people(number: int = 60) -> list[dict[str, Any]]:
    return [person(each, "s-1" if each < 40 else "s-2") for each in range(number)]


def newcomer(**fields: Any) -> dict[str, Any]:
    """Somebody with nothing of anybody's."""
    return person(300, **{"given_name": "New", "family_name": "Comer", **fields})


def users(decision: RosterDecision) -> dict[str, list[str]]:
    return actions(decision, Kind.USER)


def said(decision: RosterDecision, code: str) -> list[Diagnostic]:
    return [each for each in decision.diagnostics if each.code == code]


def with_users(live: LiveRoster, where: pl.Expr, **columns: Any) -> LiveRoster:
    changed = [pl.when(where).then(pl.lit(value)).otherwise(name).alias(name) for name, value in columns.items()]
    return replace(live, users=live.users.with_columns(changed))


# The old sourcedId is still there.


@pytest.mark.parametrize(("rules", "shared"), [(EMAIL, "email"), (USERNAME, "username")])
def test_new_row_with_a_present_persons_value_quarantines_both(rules: RosterRules, shared: str) -> None:
    everybody = people()
    everybody[5]["grades"] = "09"
    claim = newcomer(**{shared: everybody[5][shared]})

    decision = decide(district([*everybody, claim]), live_of(district(people())), rules)

    assert Kind.USER not in decision.changes
    aside = decision.quarantine.filter(pl.col("kind") == "user").sort("line")
    assert aside.select("code", "key").rows() == [("identity-conflict", "u-005"), ("identity-conflict", "u-300")]
    told = build_quarantine_diagnostics(aside)
    assert [(each.severity, each.span.line if each.span else 0) for each in told] == [
        (Severity.ERROR, 7),
        (Severity.ERROR, 62),
    ]
    assert all("lines 7, 62" in each.message and everybody[5][shared] not in each.message for each in told)
    assert not decision.changes.get(Kind.ENROLLMENT, pl.DataFrame({"action": []})).height


def test_new_row_with_a_quarantined_persons_value_is_quarantined_too() -> None:
    others = [row for row in people() if row["sourced_id"] != "u-005"]
    claim = newcomer(email="user005@d.example")

    decision = decide(district([*others, claim], aside=[("user", "u-005")]), live_of(district(people())), EMAIL)

    assert Kind.USER not in decision.changes
    assert "u-300" in decision.quarantine.filter(pl.col("code") == "identity-conflict")["key"].to_list()


def test_address_given_up_by_somebody_goes_to_the_newcomer() -> None:
    everybody = people()
    everybody[5]["email"] = "changed@d.example"

    decision = decide(district([*everybody, newcomer(email="user005@d.example")]), live_of(district(people())), EMAIL)

    assert users(decision) == {"update": ["u-005"], "create": ["u-300"]}


# Two rows, one address.


def test_new_rows_sharing_an_email_keep_accounts_with_both_lines() -> None:
    first, second = newcomer(email="a@d.example"), person(301, email="a@d.example")

    decision = decide(district([*people(), first, second]), live_of(district(people())), EMAIL)

    assert users(decision) == {"create": ["u-300", "u-301"]}
    told = said(decision, "shared-email")
    assert [(each.severity, each.message) for each in told] == [(Severity.ERROR, "lines 62, 63 have the same email")]


def test_known_rows_sharing_an_email_are_reported_and_keep_accounts() -> None:
    everybody = people()
    everybody[6]["email"] = everybody[5]["email"]

    decision = decide(district(everybody), live_of(district(people())), EMAIL)

    assert users(decision) == {"update": ["u-006"]}
    assert [each.message for each in said(decision, "shared-email")] == ["lines 7, 8 have the same email"]


def test_a_shared_email_matches_nobody() -> None:
    twins = [newcomer(email="user005@d.example"), person(301, email="user005@d.example")]
    others = [row for row in people() if row["sourced_id"] != "u-005"]

    found = users(decide(district([*others, *twins]), live_of(district(people())), EMAIL))

    assert found == {"delete": ["u-005"], "create": ["u-300", "u-301"]}


def test_shared_email_warns_once_if_nobody_matches_by_it() -> None:
    everybody = people()
    everybody[6]["email"] = everybody[7]["email"] = everybody[5]["email"]

    told = said(decide(district(everybody), LiveRoster()), "shared-email")

    assert [(each.severity, each.message) for each in told] == [
        (Severity.WARNING, "3 people share an email: lines 7, 8, 9")
    ]


# Weak evidence: an address or a name passes from one person to another.


@pytest.mark.parametrize(("rules", "shared"), [(EMAIL, "email"), (USERNAME, "username")])
def test_different_name_under_one_value_waits_and_protects_both(rules: RosterRules, shared: str) -> None:
    others = [row for row in people() if row["sourced_id"] != "u-005"]
    claim = newcomer(**{shared: person(5)[shared]})

    decision = decide(district([*others, claim]), live_of(district(people())), rules)

    assert users(decision) == {"rekey": ["u-300*"]}
    row = decision.changes[Kind.USER].row(0, named=True)
    assert (row["before_given_name"], row["before_family_name"], row["before_roles"]) == (
        "Given",
        "Family005",
        "s-1=student",
    )
    assert decision.changes[Kind.ENROLLMENT]["held"].all()
    assert decision.causes == (
        f"1 person would get the account of someone with a different name because only the {shared} matches. It may "
        "have been reassigned: compare the name, school and grade of both in the plan.",
    )


@pytest.mark.parametrize(("rules", "shared"), [(EMAIL, "email"), (USERNAME, "username")])
def test_the_same_name_under_the_same_value_goes_on(rules: RosterRules, shared: str) -> None:
    everybody = people()
    everybody[5] |= {"sourced_id": "n-005", "identifier": "other", "given_name": "GIVEN"}

    decision = decide(district(everybody), live_of(district(people())), rules)

    assert users(decision) == {"rekey": ["n-005"]}
    assert decision.causes == ()


def test_an_identifier_is_enough_whatever_the_name() -> None:
    everybody = people()
    everybody[5] |= {"sourced_id": "n-005", "family_name": "Married", "email": "x@d.example", "username": "x"}

    assert users(decide(district(everybody), live_of(district(people())))) == {"rekey": ["n-005"]}


@pytest.mark.parametrize(("rules", "shared"), [(EMAIL, "email"), (USERNAME, "username")])
def test_a_recycled_value_brings_no_deleted_account_back(rules: RosterRules, shared: str) -> None:
    live = with_users(live_of(district(people())), pl.col("sourced_id") == "u-005", tombstoned=True)
    others = [row for row in people() if row["sourced_id"] != "u-005"]
    claim = newcomer(**{shared: person(5)[shared]})

    assert users(decide(district([*others, claim]), live, rules)) == {"create": ["u-300"]}


def test_account_of_another_name_is_not_adopted_by_address() -> None:
    live = with_users(
        live_of(district(people())), pl.col("sourced_id") == "u-005", sourced_id=None, managed_by="join_link"
    )
    others = [row for row in people() if row["sourced_id"] != "u-005"]

    decision = decide(district([*others, newcomer(email="user005@d.example")]), live, EMAIL)

    assert users(decision) == {"adopt": ["u-300*"]}


# A changed suffix.


def test_a_changed_suffix_is_held_for_everybody_it_renames() -> None:
    decision = decide(district(people()), live_of(district(people()), "@old"), suffix="@new")

    assert decision.changes[Kind.USER]["held"].all()
    assert decision.changes[Kind.USER].height == 60
    assert "The username suffix changed, so 60 usernames would change; people sign in with them." in decision.causes


def test_changed_suffix_lets_newcomers_and_roster_changes_through() -> None:
    everybody = people(3)
    everybody[0]["username"] = "renamed"

    decision = decide(district([*everybody, newcomer()]), live_of(district(people(3)), "@old"), suffix="@new")

    assert users(decision) == {"update": ["u-000", "u-001*", "u-002*"], "create": ["u-300"]}
    assert decision.changes[Kind.USER].filter(pl.col("key") == "u-300")["username"].to_list() == ["user300@new"]


def test_manually_changed_username_is_reverted_as_drift() -> None:
    by_hand = pl.col("sourced_id") == "u-005"
    live = with_users(live_of(district(people())), by_hand, username="typed", fingerprint=None)

    decision = decide(district(people()), live)

    assert users(decision) == {"update": ["u-005"]}
    assert decision.causes == ()


# A changed match_with.


def matched_anew(*rows: dict[str, Any], live: LiveRoster | None = None) -> RosterDecision:
    others = [row for row in people() if row["sourced_id"] != "u-005"]
    rules = RosterRules("identifier", last_match_with="email")
    return decide(district([*others, *rows]), live or live_of(district(people())), rules)


def test_rekey_proven_only_by_the_new_match_with_waits() -> None:
    decision = matched_anew(person(5, sourced_id="n-005", email="other@d.example"))

    assert users(decision) == {"rekey": ["n-005*"]}
    assert decision.has_new_matches
    assert decision.causes == (
        "match_with changed from email to identifier: 1 person would get an account that email did not match.",
    )


def test_rekey_proven_by_the_former_match_with_proceeds() -> None:
    decision = matched_anew(person(5, sourced_id="n-005"))

    assert users(decision) == {"rekey": ["n-005"]}
    assert not decision.has_new_matches


def test_deleted_account_restored_only_by_new_match_with_waits() -> None:
    live = with_users(live_of(district(people())), pl.col("sourced_id") == "u-005", tombstoned=True)

    assert users(matched_anew(person(5, sourced_id="n-005", email=None), live=live)) == {"restore": ["n-005*"]}


def test_deleted_account_restored_by_its_own_sourced_id_proceeds() -> None:
    live = with_users(live_of(district(people())), pl.col("sourced_id") == "u-005", tombstoned=True)

    assert users(matched_anew(person(5, email=None), live=live)) == {"restore": ["u-005"]}


@pytest.mark.parametrize("last", [None, "identifier"])
def test_unchanged_or_unknown_match_with_holds_nothing(last: str | None) -> None:
    everybody = people()
    everybody[5] |= {"sourced_id": "n-005", "email": "other@d.example"}

    decision = decide(district(everybody), live_of(district(people())), RosterRules("identifier", last_match_with=last))

    assert users(decision) == {"rekey": ["n-005"]}


# A rekey that the configured key cannot prove.


def migrated(number: int, total: int) -> list[dict[str, Any]]:
    """`number` of the first `total` people under new sourcedIds, with other addresses; the rest of them is gone."""
    new = [
        {**person(each), "sourced_id": f"n-{each:03}", "email": f"n{each}@d.example", "username": f"n{each}"}
        for each in range(number)
    ]
    return [*new, *(person(each, "s-2") for each in range(total, 600))]


def test_leavers_with_a_joiners_identifier_are_reported_and_wait() -> None:
    everybody = [person(each, "s-1" if each < 50 else "s-2") for each in range(600)]

    decision = decide(district(migrated(48, 50)), live_of(district(everybody)), EMAIL)

    told = said(decision, "probable-rekey")
    assert [each.message for each in told] == [
        "48 of 50 people to remove share the identifier of a new person; match_with: identifier would keep their "
        "accounts"
    ]
    assert all(key.endswith("*") for key in users(decision)["create"])
    gone = decision.changes[Kind.USER].filter(pl.col("action") == "delete")
    assert gone.filter("held")["key"].to_list()[:48] == [f"u-{each:03}" for each in range(48)]
    assert (
        "48 people to remove have the identifiers of new people: probably the same people with new sourcedIds."
        in decision.causes
    )


def test_one_such_leaver_waits_although_every_limit_is_kept() -> None:
    everybody = people()
    everybody[5] |= {"sourced_id": "n-005", "email": "other@d.example", "username": "other"}

    decision = decide(district(everybody), live_of(district(people())), EMAIL)

    assert users(decision) == {"delete": ["u-005*"], "create": ["n-005*"]}
    assert decision.changes[Kind.ENROLLMENT]["held"].all()
    assert len(decision.causes) == 1
    assert said(decision, "probable-rekey")[0].message.startswith(
        "1 of 1 people to remove shares the identifier of a new person"
    )


def test_address_shared_by_a_joiner_of_equal_name_waits() -> None:
    """Made new beside the one who is removed, somebody would have two accounts, and the work in the wrong one."""
    everybody = people()
    everybody[5] |= {"sourced_id": "n-005", "identifier": None, "username": "other"}

    decision = decide(district(everybody), live_of(district(people())))

    assert users(decision) == {"delete": ["u-005*"], "create": ["n-005*"]}
    assert "has the identifier, or the email and name, of a new person" in decision.causes[0]
    assert said(decision, "probable-rekey")[0].message.endswith("match_with: email would keep their accounts")


def test_address_shared_by_a_joiner_of_other_name_passes() -> None:
    others = [row for row in people() if row["sourced_id"] != "u-005"]

    decision = decide(district([*others, newcomer(email="user005@d.example")]), live_of(district(people())))

    assert users(decision) == {"delete": ["u-005"], "create": ["u-300"]}
    assert not said(decision, "probable-rekey")


def test_an_identifier_that_two_joiners_have_says_nothing() -> None:
    others = [row for row in people() if row["sourced_id"] != "u-005"]
    twins = [newcomer(identifier="100005"), person(301, identifier="100005")]

    decision = decide(district([*others, *twins]), live_of(district(people())), EMAIL)

    assert users(decision)["delete"] == ["u-005"]
    assert not said(decision, "probable-rekey")


# An account that its owner made and a row adopted.


def adopted(**columns: Any) -> LiveRoster:
    return with_users(live_of(district(people())), pl.col("sourced_id") == "u-005", managed_by="join_link", **columns)


def without_five() -> list[dict[str, Any]]:
    return [row for row in people() if row["sourced_id"] != "u-005"]


def test_adopted_account_is_only_unbound_when_its_row_leaves() -> None:
    decision = decide(district(without_five()), adopted())

    assert users(decision) == {"update": ["u-005"]}
    row = decision.changes[Kind.USER].row(0, named=True)
    assert (row["reason"], row["before_bound"], row["bound"], row["roles"], row["manager"]) == (
        "roster_row_missing",
        True,
        False,
        None,
        "join_link",
    )
    same = ["given_name", "family_name", "username", "email", "status", "role"]
    assert [row[name] for name in same] == [row[f"before_{name}"] for name in same]
    theirs = decision.changes[Kind.ENROLLMENT]
    assert theirs.select("action", "reason").unique().rows() == [("delete", "parent_removed")]
    people_limit = next(each for each in decision.limits if each.kind is Kind.USER and each.scope == "customer")
    assert people_limit.seen == 0


def test_unbound_account_is_adopted_again_with_its_row() -> None:
    live = adopted(sourced_id=None, bound=False)

    decision = decide(district(people()), replace(live, enrollments=live.enrollments.filter(pl.col("user") != "u-005")))

    assert users(decision) == {"adopt": ["u-005"]}


def test_an_unbound_account_stays_as_it_is() -> None:
    live = adopted(sourced_id=None, bound=False)
    live = replace(live, enrollments=live.enrollments.filter(pl.col("user") != "u-005"))

    assert Kind.USER not in decide(district(without_five()), live).changes


def test_missing_keep_keeps_the_row_of_an_adopted_account() -> None:
    assert decide(district(without_five()), adopted(), RosterRules("identifier", missing="keep")).changes == {}


def test_marked_row_unbinds_an_adopted_account_whatever_missing_says() -> None:
    rules = RosterRules("identifier", missing="keep")

    row = decide(district(people(), marked=["u-005"]), adopted(), rules).changes[Kind.USER].row(0, named=True)

    assert (row["action"], row["reason"], row["bound"]) == ("update", "roster_tobedeleted", False)


def test_protect_keeps_an_adopted_account_bound() -> None:
    rules = RosterRules("identifier", protect=frozenset({"u-005"}))

    assert decide(district(without_five()), adopted(), rules).changes == {}


def test_a_row_set_aside_keeps_an_adopted_account_bound() -> None:
    assert Kind.USER not in decide(district(without_five(), aside=[("user", "u-005")]), adopted()).changes


def test_a_row_that_may_be_anybodys_holds_an_unbinding() -> None:
    decision = decide(district(without_five(), aside=[("user", None)]), adopted())

    assert users(decision) == {"update": ["u-005*"]}


def test_an_adopted_account_that_administers_stays_bound() -> None:
    live = live_of(district([*people(), person(500, role="administrator")]))
    live = with_users(live, pl.col("sourced_id") == "u-500", managed_by="portal")

    assert Kind.USER not in decide(district(people()), live).changes


# Usernames that pass on within one plan.


def test_username_chain_onto_a_leaver_proceeds() -> None:
    everybody = people()[1:]
    everybody[0]["username"], everybody[1]["username"] = "user000", "user001"

    decision = decide(district(everybody), live_of(district(people())))

    assert users(decision) == {"delete": ["u-000"], "update": ["u-001", "u-002"]}


def test_username_chain_onto_a_held_person_waits_to_its_end() -> None:
    leavers = [person(each, "s-3") for each in range(500, 502)]
    everybody = people()
    everybody[0]["username"], everybody[1]["username"] = "user500", "user000"
    before = live_of(district([*people(), *leavers], schools=("s-1", "s-2", "s-3")))

    decision = decide(district(everybody, schools=("s-1", "s-2", "s-3")), before)

    assert users(decision) == {"delete": ["u-500*", "u-501*"], "update": ["u-000*", "u-001*"]}


def test_a_ring_of_usernames_goes_on() -> None:
    everybody = people()
    names = [row["username"] for row in everybody[:3]]
    for row, name in zip(everybody[:3], [*names[1:], names[0]], strict=True):
        row["username"] = name

    assert users(decide(district(everybody), live_of(district(people())))) == {"update": ["u-000", "u-001", "u-002"]}
