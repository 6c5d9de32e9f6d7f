"""Usernames and addresses that pass from one person to another, through the CLI."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.support.customers.project import Project, changes
from tests.support.operations.two_school_person import (
    ADA,
    DAY_ONE,
    ROW,
    accounts,
    applied,
    belongings,
    configured,
    hold_of,
    known_by,
    owns,
    planned,
    user_changes,
    without,
    zipped,
)
from tests.support.rosters.bundles import Bundle

pytestmark = pytest.mark.slow


@pytest.fixture
def springfield(project: Project) -> Project:
    configured(project)
    applied(project, DAY_ONE)
    return project


def usernames(project: Project, ids: Iterable[str]) -> dict[str, str]:
    listed = ", ".join(f"'{each}'" for each in ids)
    return dict(
        project.ask(
            "select i.subject, a.username from identities i join accounts a on a.id = i.account_id"
            f" where i.subject in ({listed})"
        )
    )


# Conflict and weak evidence.


def test_an_address_of_somebody_who_is_there_links_nobody(project: Project) -> None:
    configured(project, "email")
    applied(project, DAY_ONE)
    account = belongings(project)
    claim = DAY_ONE.with_user("n-9", email=ROW["email"])

    plan = planned(project, claim)
    assert user_changes(plan) == []
    found = [each for each in plan.json["customers"][0]["diagnostics"] if each["code"] == "identity-conflict"]
    assert [(each["severity"], each["line"]) for each in found] == [("error", 6), ("error", 62)]
    assert all("lines 6, 62" in each["message"] for each in found)
    applied(project, claim)
    assert (accounts(project), owns(project, account)) == (60, True)


def test_recycled_address_waits_and_the_plan_shows_both_people(project: Project) -> None:
    configured(project, "email")
    applied(project, DAY_ONE)
    account = belongings(project)
    later = without(DAY_ONE, ADA).with_user("n-9", email=ROW["email"], grades="11", orgSourcedIds=ROW["orgSourcedIds"])

    plan = planned(project, later)
    assert plan.code == 3
    assert user_changes(plan) == [("rekey", "n-9", True)]
    fields = {each["path"]: (each["before"], each["after"]) for each in changes(plan, "user")[0]["fields"]}
    school = f"{ROW['orgSourcedIds']}={ROW['role']}"
    assert fields["family_name"] == (ROW["familyName"], "Okoye")
    assert fields["grades"] == (ROW["grades"] or None, "11")
    assert fields["roles"][0] == school
    assert hold_of(plan)["people"] == 0

    applied(project, later, code=3)
    assert owns(project, account)
    assert known_by(project, account) == [(ADA, None)]
    again = planned(project, later)
    assert hold_of(again)["id"] == hold_of(plan)["id"]
    applied(project, later, "--approve", hold_of(again)["id"])
    assert known_by(project, account) == [("n-9", None)]
    assert owns(project, account)


def test_two_customers_who_claim_one_address_have_two_people(project: Project) -> None:
    project.customer()
    applied(project, DAY_ONE)
    account = belongings(project)
    path = project.customer("shelbyville")
    path.write_text(path.read_text().replace("match_with: identifier", "match_with: email"))

    other = DAY_ONE.zip(project.folder / "other.zip")
    hold = hold_of(project.plan("shelbyville", "--zip", other))["id"]
    assert project.apply("shelbyville", "--zip", other, "--approve", hold).code == 0
    assert accounts(project) == 120
    assert owns(project, account)
    assert project.ask(f"select count(*) from accounts where email = '{ROW['email']}'") == [(2,)]


# Settings that change what everybody is known by.


def test_a_changed_suffix_waits_for_a_person(springfield: Project) -> None:
    configured(springfield, more="  suffix: '@spring'\n")

    plan = planned(springfield, DAY_ONE)
    assert plan.code == 3
    held = springfield.apply("springfield", "--zip", zipped(springfield, DAY_ONE))
    assert held.code == 3
    assert "The username suffix changed, so 60 usernames would change; people sign in with them." in held.out
    assert usernames(springfield, [ADA]) == {ADA: "u0005"}
    applied(springfield, DAY_ONE, "--approve", hold_of(planned(springfield, DAY_ONE))["id"])
    assert usernames(springfield, [ADA]) == {ADA: "u0005@spring"}


# Usernames that pass on in one apply, and people who come back.


def renamed(made: Bundle, **names: str) -> Bundle:
    for key, name in names.items():
        made = made.with_user(key.replace("_", "-"), username=name)
    return made


@pytest.mark.parametrize(
    "names",
    [
        {"u_0005": "u0006", "u_0006": "u0005"},
        {"u_0005": "u0006", "u_0006": "u0007", "u_0007": "u0005"},
        {"u_0005": "U0006", "u_0006": "fresh"},
    ],
    ids=["swap", "ring", "chain"],
)
def test_usernames_pass_on_in_one_apply(springfield: Project, names: dict[str, str]) -> None:
    account = belongings(springfield)

    applied(springfield, renamed(DAY_ONE, **names))

    wanted = {key.replace("_", "-"): name for key, name in names.items()}
    assert usernames(springfield, wanted) == wanted
    assert owns(springfield, account)
    assert planned(springfield, renamed(DAY_ONE, **names)).code == 0


def test_username_chain_may_begin_with_a_leaver(springfield: Project) -> None:
    later = renamed(without(DAY_ONE, "u-0007"), u_0005="u0006", u_0006="u0007")

    applied(springfield, later)

    assert usernames(springfield, ["u-0005", "u-0006"]) == {"u-0005": "u0006", "u-0006": "u0007"}


def test_username_chain_onto_held_people_waits_for_approval(springfield: Project) -> None:
    gone = [each for each in DAY_ONE.students() if each not in (ADA, "u-0006")][:30]
    first = gone[0].replace("-", "")
    later = renamed(without(DAY_ONE, *gone), u_0005="u0006", u_0006=first)

    plan = planned(springfield, later)
    assert set(user_changes(plan)) >= {("update", "u-0005", True), ("update", "u-0006", True)}
    applied(springfield, later, code=3)
    assert usernames(springfield, [ADA, "u-0006"]) == {ADA: "u0005", "u-0006": "u0006"}
    applied(springfield, later, "--approve", hold_of(planned(springfield, later))["id"])
    assert usernames(springfield, [ADA, "u-0006"]) == {ADA: "u0006", "u-0006": first}


def test_address_freed_long_ago_goes_to_a_new_person(project: Project) -> None:
    configured(project, "email")
    applied(project, DAY_ONE)
    account = belongings(project)
    applied(project, without(DAY_ONE, ADA))

    later = without(DAY_ONE, ADA).with_user("n-9", email=ROW["email"])
    assert user_changes(planned(project, later)) == [("create", "n-9", False)]
    applied(project, later)
    assert not owns(project, account)
    assert known_by(project, account) == [(ADA, None)]
