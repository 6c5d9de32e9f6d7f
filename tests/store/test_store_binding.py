"""A row's sourcedId names its own account, whatever another hand left it bound to."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from reconciler.model.kind import Kind
from reconciler.store.live import Store
from reconciler.store.problem import StoreProblem
from tests.store import foreign, plans

BOUND_TO_U_1 = "(SELECT account_id FROM identities WHERE subject = 'u-1')"
SECOND = (
    "INSERT INTO identities (issuer_id, subject, account_id, customer_id) SELECT issuer_id, 'u-9', account_id,"
    " customer_id FROM identities WHERE subject = 'u-1'"
)


@pytest.fixture
def loaded(store: Store) -> Store:
    plans.load(store)
    return store


def identities(store: Store) -> list[list[Any]]:
    return foreign.run(
        store,
        "SELECT i.subject, a.username FROM identities i JOIN issuers x ON x.id = i.issuer_id"
        " LEFT JOIN accounts a ON a.id = i.account_id WHERE x.kind = 'roster' ORDER BY 1",
    )


def moved(store: Store, run: int | None) -> list[tuple[str, str, int]]:
    found = foreign.run(store, f"SELECT action, before FROM journal WHERE run_id = {run} AND kind = 'identity'")
    images = [(action, orjson.loads(before)) for action, before in found]
    return [(action, image["subject"], image["account_id"]) for action, image in images]


def test_a_sourced_id_whose_account_was_deleted_by_hand_is_the_new_accounts(loaded: Store) -> None:
    gone = plans.row(loaded, Kind.USER, "u-1")["id"]
    foreign.run(loaded, f"DELETE FROM accounts WHERE id = {BOUND_TO_U_1}")
    rows = plans.roster(
        users=[plans.user("u-1"), plans.user("u-3")],
        enrollments=[plans.to(loaded, Kind.ENROLLMENT, "e-1", "update", user="u-1")],
    )
    before = foreign.scalar(loaded, "SELECT n FROM write_counters")
    run = plans.apply(loaded, plans.plan(loaded, roster=rows)).run
    made = plans.row(loaded, Kind.USER, "u-1")
    assert made["id"] != gone
    assert made["fingerprint"] not in (None, 0)
    assert plans.row(loaded, Kind.ENROLLMENT, "e-1")["account_id"] == made["id"]
    assert plans.row(loaded, Kind.USER, "u-3")["username"] == "u-3@springfield"
    assert moved(loaded, run) == [("move", "u-1", gone)]
    assert foreign.scalar(loaded, "SELECT n FROM write_counters") == before


def test_a_person_rekeyed_to_a_sourced_id_of_nobody_takes_it_over(loaded: Store) -> None:
    account = plans.row(loaded, Kind.USER, "u-2")["id"]
    foreign.run(loaded, f"DELETE FROM accounts WHERE id = {BOUND_TO_U_1}")
    rows = plans.roster(users=[plans.to(loaded, Kind.USER, "u-2", "rekey", former_key="u-2") | {"key": "u-1"}])
    plans.apply(loaded, plans.plan(loaded, roster=rows))
    assert plans.row(loaded, Kind.USER, "u-1")["id"] == account
    assert identities(loaded) == [["u-1", "u-2@springfield"]]


def test_of_two_sourced_ids_of_one_account_the_row_of_the_second_gets_an_account_of_its_own(loaded: Store) -> None:
    foreign.run(loaded, SECOND)
    first = plans.row(loaded, Kind.USER, "u-1")["id"]
    run = plans.apply(loaded, plans.plan(loaded, roster=plans.roster(users=[plans.user("u-9")]))).run
    assert identities(loaded) == [
        ["u-1", "u-1@springfield"],
        ["u-2", "u-2@springfield"],
        ["u-9", "u-9@springfield"],
    ]
    assert plans.row(loaded, Kind.USER, "u-1")["id"] == first
    assert moved(loaded, run) == [("move", "u-9", first)]


def test_a_person_rekeyed_to_a_second_sourced_id_of_the_same_account_keeps_that_alone(loaded: Store) -> None:
    foreign.run(loaded, SECOND)
    rows = plans.roster(users=[plans.to(loaded, Kind.USER, "u-1", "rekey", former_key="u-1") | {"key": "u-9"}])
    plans.apply(loaded, plans.plan(loaded, roster=rows))
    assert identities(loaded) == [["u-2", "u-2@springfield"], ["u-9", "u-1@springfield"]]


def test_a_sourced_id_that_is_somebodys_only_one_is_not_taken(loaded: Store) -> None:
    rows = plans.roster(users=[plans.user("u-1", username="other")])
    with pytest.raises(StoreProblem) as raised:
        plans.apply(loaded, plans.plan(loaded, roster=rows))
    assert raised.value.diagnostic.code == "not-unique"
    assert ["u-1", "u-1@springfield"] in identities(loaded)
