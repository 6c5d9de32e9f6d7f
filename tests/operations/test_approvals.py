"""An approval covers exactly the reviewed changes; otherwise its customer stays unchanged."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.customers.project import Project
from tests.support.rosters.bundles import bundle

DAY_ONE = bundle(users=40)
LATER = DAY_ONE.without_users(DAY_ONE.students()[:25])


@pytest.fixture
def held(project: Project) -> Project:
    """Springfield, of whose people 25 are to leave."""
    project.customer()
    assert project.apply("springfield", "--zip", DAY_ONE.zip(project.folder / "one.zip")).code == 0
    return project


def later(project: Project) -> Path:
    return LATER.zip(project.folder / "two.zip")


def hold(project: Project) -> str:
    return str(project.plan("springfield", "--zip", later(project)).json["customers"][0]["hold"]["id"])


def gone(project: Project) -> int:
    return int(project.ask("select count(*) from accounts where tombstoned_at is not null")[0][0])


@pytest.mark.parametrize("fitting_first", [True, False])
def test_one_approval_that_does_not_fit_stops_its_customer(held: Project, fitting_first: bool) -> None:
    both = [hold(held), "springfield:25:000000"]
    first, second = both if fitting_first else reversed(both)

    applied = held.apply("springfield", "--zip", later(held), "--approve", first, "--approve", second)
    assert applied.code == 3
    assert "hold springfield:25:000000 is out of date" in applied.err
    assert f"{both[0]} is out of date" not in applied.err
    assert gone(held) == 0


def test_the_start_of_a_holds_id_approves_nothing(held: Project) -> None:
    whole = hold(held)
    assert re.fullmatch(r"springfield:25:[0-9a-f]{16}", whole)
    assert held.apply("springfield", "--zip", later(held), "--approve", whole[:-10]).code == 3
    assert gone(held) == 0


def test_the_same_approval_may_be_given_twice(held: Project) -> None:
    fitting = hold(held)
    assert held.apply("springfield", "--zip", later(held), "--approve", fitting, "--approve", fitting).code == 0
    assert gone(held) == 25


def test_mismatched_approval_is_reported_when_nothing_is_held(held: Project) -> None:
    applied = held.apply("springfield", "--roster", "none", "--approve", "springfield:25:000000")
    assert applied.code == 3
    assert (
        "springfield: not applied because the approval does not match the current hold; nothing was changed"
        in applied.out
    )
    assert "hold springfield:25:000000 is out of date: nothing is held now" in applied.err
