"""Test that a customer's administrators can sign in by their password or an invitation."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from argon2 import PasswordHasher
from pydantic import SecretStr

from reconciler.model.change import Update
from reconciler.model.kind import Kind
from reconciler.store.open import Store
from reconciler.store.write.apply import ApplyResult
from tests.support.plans import store_plans
from tests.support.stores import raw_sql

BEA = {**store_plans.ANN, "given_name": "Bea", "username": "bea", "email": "bea@springfield.example"}


@pytest.fixture
def loaded(store: Store) -> Store:
    store_plans.load(store)
    return store


def with_administrators(store: Store, *people: dict[str, Any], roster: Any = None, **facts: Any) -> ApplyResult:
    document = {**store_plans.CUSTOMER, "administrators": {person["username"]: person for person in people}}
    return store_plans.apply(
        store,
        store_plans.plan(
            store,
            document_changes=(store_plans.change(Kind.CUSTOMER, store_plans.SLUG, Update),),
            settings=store_plans.settings(document, store_plans.HIGH, store_plans.LEAVES),
            roster=roster or {},
        ),
        **facts,
    )


def account(store: Store, username: str) -> list[Any]:
    [found] = raw_sql.run(
        store,
        "SELECT email, role, managed_by, status, password_hash, tombstoned_at IS NOT NULL, id FROM accounts"
        f" WHERE username = '{username}'",
    )
    return found


def test_an_administrator_is_an_account_of_the_configuration(loaded: Store) -> None:
    assert account(loaded, "ann")[:4] == ["ann@springfield.example", "administrator", "config", "active"]
    assert raw_sql.run(
        loaded,
        "SELECT x.name, x.kind, i.subject FROM identities i JOIN issuers x ON x.id = i.issuer_id"
        " WHERE x.kind = 'config'",
    ) == [["springfield/config", "config", "ann"]]


def test_given_password_is_kept_hashed_without_an_invitation(loaded: Store) -> None:
    password = {"administrators.bea.password": SecretStr("correct horse")}
    person = {**BEA, "password": {"secret": "bea"}}
    assert with_administrators(loaded, store_plans.ANN, person, secrets=password).invitations == ()
    assert PasswordHasher().verify(account(loaded, "bea")[4], "correct horse")
    with loaded.open_reader() as reader:
        assert list(reader.read_secrets(1)) == ["administrators.bea.password"]


def test_a_password_is_used_at_creation_only(loaded: Store) -> None:
    person = {**BEA, "password": {"secret": "bea"}}
    for word in ("first", "second"):
        with_administrators(loaded, store_plans.ANN, person, secrets={"administrators.bea.password": SecretStr(word)})
    assert PasswordHasher().verify(account(loaded, "bea")[4], "first")


def test_without_a_password_an_invitation_leaves_no_token(loaded: Store) -> None:
    [(username, path)] = with_administrators(loaded, store_plans.ANN, BEA).invitations
    assert username == "bea"
    token = path.removeprefix("/invitation/")
    rows = raw_sql.run(loaded, "SELECT token_hash, created_at, expires_at FROM invitations ORDER BY account_id")
    digest, created, expires = rows[-1]
    assert digest == hashlib.sha256(token.encode()).hexdigest()
    assert created < expires
    assert len(token) > 40
    assert token not in str(rows)


def test_nobody_is_invited_twice_for_another_change(loaded: Store) -> None:
    assert with_administrators(loaded, {**store_plans.ANN, "email": "new@springfield.example"}).invitations == ()
    assert account(loaded, "ann")[0] == "new@springfield.example"


def test_administrator_removed_from_the_file_is_locked_out_reversibly(loaded: Store) -> None:
    before = account(loaded, "ann")
    with_administrators(loaded, BEA)
    assert account(loaded, "ann")[5] in (1, True)
    with_administrators(loaded, BEA, store_plans.ANN)
    assert account(loaded, "ann")[-1] == before[-1]
    assert account(loaded, "ann")[5] in (0, False)


def test_a_change_of_an_administrator_is_journalled(loaded: Store) -> None:
    run = with_administrators(loaded, {**store_plans.ANN, "family_name": "Young"}).run
    found = raw_sql.run(loaded, f"SELECT action FROM journal WHERE run_id = {run} AND kind = 'user'")
    assert found == [["update"]]


def test_an_instructor_of_the_file_is_a_teacher(loaded: Store) -> None:
    with_administrators(loaded, store_plans.ANN, {**BEA, "role": "instructor"})
    assert account(loaded, "bea")[1] == "teacher"


def adopting_ann(store: Store, **fields: Any) -> Any:
    """A roster with a row that binds to the administrator's account."""
    row = store_plans.user("u-ann", action="adopt", live_id=account(store, "ann")[-1], seen=0, manager="config")
    before = {f"before_{name}": store_plans.ANN[name] for name in ("given_name", "family_name", "email")}
    teacher = {"username": "ann", "role": "teacher", "before_username": "ann", **fields}
    return store_plans.roster(users=[{**row, **before, **teacher}])


def test_administrator_known_to_the_roster_becomes_the_rosters(loaded: Store) -> None:
    store_plans.apply(loaded, store_plans.plan(loaded, roster=adopting_ann(loaded)))
    assert account(loaded, "ann")[2] == "config"
    with_administrators(loaded, BEA)
    assert account(loaded, "ann")[2] == "roster"
    assert account(loaded, "ann")[5] in (0, False)


def test_administrator_leaving_the_file_during_adoption_is_the_rosters(loaded: Store) -> None:
    with_administrators(loaded, BEA, roster=adopting_ann(loaded))
    assert account(loaded, "ann")[1:3] == ["teacher", "roster"]
    assert account(loaded, "ann")[5] in (0, False)


def test_administrator_leaving_the_file_during_a_change_is_the_rosters(loaded: Store) -> None:
    store_plans.apply(loaded, store_plans.plan(loaded, roster=adopting_ann(loaded)))
    changed = store_plans.to(loaded, Kind.USER, "u-ann", "update", given_name="Anna")
    with_administrators(loaded, BEA, roster=store_plans.roster(users=[changed]))
    assert account(loaded, "ann")[1:3] == ["teacher", "roster"]
    assert account(loaded, "ann")[5] in (0, False)


def test_administrator_staying_in_the_file_stays_the_configurations(loaded: Store) -> None:
    with_administrators(loaded, store_plans.ANN, BEA, roster=adopting_ann(loaded))
    assert account(loaded, "ann")[1:3] == ["teacher", "config"]


def test_former_administrator_returning_by_roster_is_the_rosters(loaded: Store) -> None:
    with_administrators(loaded, BEA)
    back = adopting_ann(loaded, action="restore", seen=None, before_role="administrator", before_status="active")
    store_plans.apply(loaded, store_plans.plan(loaded, roster=back))
    assert account(loaded, "ann")[1:3] == ["teacher", "roster"]
