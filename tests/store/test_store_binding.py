"""Test that a sourcedId gets its own account, even if it was bound to another one outside reconciler."""

from __future__ import annotations

from typing import Any

import orjson
import polars as pl
import pytest

from reconciler.model.kind import Kind
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store
from tests.support.plans import store_plans
from tests.support.stores import raw_sql

BOUND_TO_U_1 = "(SELECT account_id FROM identities WHERE subject = 'u-1')"
SECOND = (
    "INSERT INTO identities (issuer_id, subject, account_id, customer_id) SELECT issuer_id, 'u-9', account_id,"
    " customer_id FROM identities WHERE subject = 'u-1'"
)


@pytest.fixture
def loaded(store: Store) -> Store:
    store_plans.load(store)
    return store


def identities(store: Store) -> list[list[Any]]:
    return raw_sql.run(
        store,
        "SELECT i.subject, a.username FROM identities i JOIN issuers x ON x.id = i.issuer_id"
        " LEFT JOIN accounts a ON a.id = i.account_id WHERE x.kind = 'roster' ORDER BY 1",
    )


def moved(store: Store, run: int | None) -> list[tuple[str, str, int]]:
    found = raw_sql.run(store, f"SELECT action, before FROM journal WHERE run_id = {run} AND kind = 'identity'")
    images = [(action, orjson.loads(before)) for action, before in found]
    return [(action, image["subject"], image["account_id"]) for action, image in images]


def test_sourced_id_of_a_manually_deleted_account_is_reused(loaded: Store) -> None:
    gone = store_plans.row(loaded, Kind.USER, "u-1")["id"]
    raw_sql.run(loaded, f"DELETE FROM accounts WHERE id = {BOUND_TO_U_1}")
    rows = store_plans.roster(
        users=[store_plans.user("u-1"), store_plans.user("u-3")],
        enrollments=[store_plans.to(loaded, Kind.ENROLLMENT, "e-1", "update", user="u-1")],
    )
    before = raw_sql.scalar(loaded, "SELECT n FROM write_counters")
    run = store_plans.apply(loaded, store_plans.plan(loaded, roster=rows)).run
    made = store_plans.row(loaded, Kind.USER, "u-1")
    assert made["id"] != gone
    assert made["fingerprint"] not in (None, 0)
    assert store_plans.row(loaded, Kind.ENROLLMENT, "e-1")["account_id"] == made["id"]
    assert store_plans.row(loaded, Kind.USER, "u-3")["username"] == "u-3@springfield"
    assert moved(loaded, run) == [("move", "u-1", gone)]
    assert raw_sql.scalar(loaded, "SELECT n FROM write_counters") == before


def test_rekeyed_person_takes_over_an_unclaimed_sourced_id(loaded: Store) -> None:
    account = store_plans.row(loaded, Kind.USER, "u-2")["id"]
    raw_sql.run(loaded, f"DELETE FROM accounts WHERE id = {BOUND_TO_U_1}")
    rows = store_plans.roster(
        users=[store_plans.to(loaded, Kind.USER, "u-2", "rekey", former_key="u-2") | {"key": "u-1"}]
    )
    store_plans.apply(loaded, store_plans.plan(loaded, roster=rows))
    assert store_plans.row(loaded, Kind.USER, "u-1")["id"] == account
    assert identities(loaded) == [["u-1", "u-2@springfield"]]


def test_row_of_a_second_sourced_id_gets_its_own_account(loaded: Store) -> None:
    raw_sql.run(loaded, SECOND)
    first = store_plans.row(loaded, Kind.USER, "u-1")["id"]
    run = store_plans.apply(
        loaded, store_plans.plan(loaded, roster=store_plans.roster(users=[store_plans.user("u-9")]))
    ).run
    assert identities(loaded) == [
        ["u-1", "u-1@springfield"],
        ["u-2", "u-2@springfield"],
        ["u-9", "u-9@springfield"],
    ]
    assert store_plans.row(loaded, Kind.USER, "u-1")["id"] == first
    assert moved(loaded, run) == [("move", "u-9", first)]


def test_person_rekeyed_to_the_second_sourced_id_keeps_it_only(loaded: Store) -> None:
    raw_sql.run(loaded, SECOND)
    rows = store_plans.roster(
        users=[store_plans.to(loaded, Kind.USER, "u-1", "rekey", former_key="u-1") | {"key": "u-9"}]
    )
    store_plans.apply(loaded, store_plans.plan(loaded, roster=rows))
    assert identities(loaded) == [["u-2", "u-2@springfield"], ["u-9", "u-1@springfield"]]


def test_somebodys_only_sourced_id_is_not_taken(loaded: Store) -> None:
    rows = store_plans.roster(users=[store_plans.user("u-1", username="other")])
    with pytest.raises(StoreProblem) as raised:
        store_plans.apply(loaded, store_plans.plan(loaded, roster=rows))
    assert raised.value.diagnostic.code == "not-unique"
    assert ["u-1", "u-1@springfield"] in identities(loaded)


def known(store: Store) -> list[list[Any]]:
    return raw_sql.run(
        store,
        "SELECT i.subject, a.username, i.alias FROM identities i JOIN issuers x ON x.id = i.issuer_id"
        " JOIN accounts a ON a.id = i.account_id WHERE x.kind = 'roster' ORDER BY 1",
    )


def one(store: Store, *rows: store_plans.Row) -> int | None:
    return store_plans.apply(store, store_plans.plan(store, roster=store_plans.roster(users=rows))).run


def test_new_account_is_bound_to_all_its_sourced_ids(loaded: Store) -> None:
    one(loaded, store_plans.user("u-3", aliases="u-8\nu-9"))
    assert known(loaded)[2:] == [["u-3", "u-3@springfield", None]] + [[f"u-{n}", "u-3@springfield", 1] for n in (8, 9)]
    assert store_plans.row(loaded, Kind.USER, "u-3")["aliases"] == "u-8\nu-9"


def test_account_has_one_row_in_any_sourced_id_order(loaded: Store) -> None:
    one(loaded, store_plans.to(loaded, Kind.USER, "u-2", "update", aliases="a-2"))
    one(loaded, store_plans.to(loaded, Kind.USER, "u-1", "update", aliases="z-1"))
    with loaded.open_reader() as reader:
        found = store_plans.live(reader, Kind.USER).filter(pl.col("sourced_id").is_not_null())
        enrolled = store_plans.live(reader, Kind.ENROLLMENT)
    assert found.select("sourced_id", "aliases").rows() == [("u-1", "z-1"), ("u-2", "a-2")]
    assert sorted(enrolled["user"].to_list()) == ["u-1", "u-2"]


def test_aliases_come_and_go_and_are_no_foreign_write(loaded: Store) -> None:
    before = raw_sql.scalar(loaded, "SELECT n FROM write_counters")
    one(loaded, store_plans.to(loaded, Kind.USER, "u-1", "update", aliases="u-8\nu-9"))
    one(loaded, store_plans.to(loaded, Kind.USER, "u-1", "update", aliases="u-9"))
    assert known(loaded) == [
        ["u-1", "u-1@springfield", None],
        ["u-2", "u-2@springfield", None],
        ["u-9", "u-1@springfield", 1],
    ]
    assert raw_sql.scalar(loaded, "SELECT n FROM write_counters") == before
    assert store_plans.row(loaded, Kind.USER, "u-1")["fingerprint"] is not None


def test_an_image_holds_the_sourced_ids_of_an_account(loaded: Store) -> None:
    one(loaded, store_plans.to(loaded, Kind.USER, "u-1", "update", aliases="u-8\nu-9"))
    run = one(loaded, store_plans.to(loaded, Kind.USER, "u-1", "delete"))
    image = orjson.loads(raw_sql.scalar(loaded, f"SELECT before FROM journal WHERE run_id = {run}"))
    assert (image["sourced_id"], image["aliases"]) == ("u-1", "u-8\nu-9")


def test_rekeyed_account_keeps_the_aliases_in_its_row(loaded: Store) -> None:
    one(loaded, store_plans.to(loaded, Kind.USER, "u-1", "update", aliases="u-8"))
    change = store_plans.to(loaded, Kind.USER, "u-1", "rekey", former_key="u-1", aliases="u-7\nu-8")
    one(loaded, change | {"key": "n-1"})
    assert known(loaded) == [
        ["n-1", "u-1@springfield", None],
        ["u-2", "u-2@springfield", None],
        ["u-7", "u-1@springfield", 1],
        ["u-8", "u-1@springfield", 1],
    ]


def test_alias_becomes_the_primary_sourced_id_of_an_account(loaded: Store) -> None:
    one(loaded, store_plans.to(loaded, Kind.USER, "u-1", "update", aliases="u-8"))
    change = store_plans.to(loaded, Kind.USER, "u-1", "rekey", former_key="u-1", aliases="u-1")
    one(loaded, change | {"key": "u-8"})
    assert known(loaded) == [
        ["u-1", "u-1@springfield", 1],
        ["u-2", "u-2@springfield", None],
        ["u-8", "u-1@springfield", None],
    ]


def test_second_sourced_id_set_externally_moves_to_its_aliased_person(loaded: Store) -> None:
    raw_sql.run(loaded, SECOND)
    account = store_plans.row(loaded, Kind.USER, "u-1")["id"]
    run = one(loaded, store_plans.to(loaded, Kind.USER, "u-2", "update", aliases="u-9"))
    assert known(loaded)[2] == ["u-9", "u-2@springfield", 1]
    assert moved(loaded, run) == [("move", "u-9", account)]


def test_unbound_account_loses_only_sourced_ids_and_roles(loaded: Store) -> None:
    one(loaded, store_plans.to(loaded, Kind.USER, "u-1", "update", aliases="u-8"))
    raw_sql.run(loaded, f"UPDATE accounts SET managed_by = 'join_link', password_hash = 'x' WHERE id = {BOUND_TO_U_1}")
    was = store_plans.row(loaded, Kind.USER, "u-1")
    run = one(loaded, store_plans.to(loaded, Kind.USER, "u-1", "update", bound=False, roles=None, aliases=None))
    assert known(loaded) == [["u-2", "u-2@springfield", None]]
    account = raw_sql.run(
        loaded, f"SELECT managed_by, username, password_hash, tombstoned_at FROM accounts WHERE id = {was['id']}"
    )
    assert account == [["join_link", "u-1@springfield", "x", None]]
    assert raw_sql.scalar(loaded, f"SELECT count(*) FROM account_roles WHERE account_id = {was['id']}") == 0
    image = orjson.loads(raw_sql.scalar(loaded, f"SELECT before FROM journal WHERE run_id = {run}"))
    assert (image["sourced_id"], image["aliases"], image["roles"]) == ("u-1", "u-8", "s-1=student")
    with loaded.open_reader() as reader:
        unbound = store_plans.live(reader, Kind.USER).row(by_predicate=pl.col("id") == was["id"], named=True)
    assert (unbound["bound"], unbound["sourced_id"], unbound["aliases"]) == (False, None, None)


def test_an_account_that_was_unbound_is_bound_again(loaded: Store) -> None:
    account = store_plans.row(loaded, Kind.USER, "u-1")["id"]
    change = store_plans.to(loaded, Kind.USER, "u-1", "update")
    one(loaded, change | {"bound": False, "roles": None})
    with loaded.open_reader() as reader:
        now = store_plans.live(reader, Kind.USER).row(by_predicate=pl.col("id") == account, named=True)
    again = {**change, "action": "adopt", "before_bound": False, "before_roles": None, "seen": now["fingerprint"]}
    one(loaded, again | {"key": "n-1", "aliases": "n-2"})
    assert known(loaded) == [
        ["n-1", "u-1@springfield", None],
        ["n-2", "u-1@springfield", 1],
        ["u-2", "u-2@springfield", None],
    ]
