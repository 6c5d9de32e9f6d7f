"""Test that the store keeps a secret's reference and HMAC, and its encrypted value only if an LMS needs it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from reconciler.model.change import Update
from reconciler.model.kind import Kind
from reconciler.store.open import Store
from reconciler.store.read import SecretRecord
from tests.support.plans import store_plans
from tests.support.stores import raw_sql

SHARED = "lti.platforms.canvas.shared_secret"
SFTP = "rostering.sync.password"
DOCUMENT = {
    **store_plans.CUSTOMER,
    "lti": {"platforms": {"canvas": {"id": "canvas", "shared_secret": {"secret": "canvas"}}}},
    "rostering": {"sync": {"type": "sftp", "password": {"secret": "sftp"}}},
}
VALUES = {SHARED: SecretStr("hunter2-shared"), SFTP: SecretStr("hunter2-sftp")}


@pytest.fixture
def loaded(store: Store) -> Store:
    store_plans.load(store)
    return store


def keep(store: Store, document: dict[str, Any], values: dict[str, SecretStr]) -> dict[str, SecretRecord]:
    settings = store_plans.settings(document, store_plans.HIGH, store_plans.LEAVES)
    declared = (store_plans.change(Kind.CUSTOMER, store_plans.SLUG, Update),)
    store_plans.apply(store, store_plans.plan(store, document_changes=declared, settings=settings), secrets=values)
    with store.open_reader() as reader:
        return reader.read_secrets(reader.read_customers()[store_plans.SLUG].id)


def sealed(store: Store) -> dict[str, bytes]:
    with store.open_connection() as connection:
        return dict(connection.fetch_rows("SELECT path, ciphertext FROM secrets WHERE ciphertext IS NOT NULL"))


def test_the_reference_and_an_hmac_are_kept(loaded: Store) -> None:
    assert keep(loaded, DOCUMENT, VALUES) == {
        path: SecretRecord(name, loaded.key.compute_secret_hmac(store_plans.SLUG, path, value), loaded.key.id)
        for path, name, value in ((SHARED, "canvas", "hunter2-shared"), (SFTP, "sftp", "hunter2-sftp"))
    }


def test_only_lms_secrets_are_kept_and_only_encrypted(loaded: Store) -> None:
    keep(loaded, DOCUMENT, VALUES)
    found = sealed(loaded)
    assert list(found) == [SHARED]
    assert b"hunter2" not in found[SHARED]
    assert loaded.key.decrypt(found[SHARED], f"{store_plans.SLUG}/{SHARED}") == "hunter2-shared"


def test_changed_secret_changes_the_hmac_under_equal_configuration(loaded: Store) -> None:
    before = keep(loaded, DOCUMENT, VALUES)
    after = keep(loaded, DOCUMENT, {**VALUES, SFTP: SecretStr("other")})
    assert before[SFTP] != after[SFTP]
    assert before[SHARED] == after[SHARED]
    with loaded.open_reader() as reader:
        record = reader.read_customers()[store_plans.SLUG]
    assert record.settings_digest is not None
    assert record.version[1] == 0


def test_absent_secret_stays_and_removed_place_is_forgotten(loaded: Store) -> None:
    before = keep(loaded, DOCUMENT, VALUES)
    assert keep(loaded, DOCUMENT, {}) == before
    assert keep(loaded, store_plans.CUSTOMER, {}) == {}


def test_a_generated_secret_is_made_once(loaded: Store) -> None:
    document = {
        **store_plans.CUSTOMER,
        "lti": {"platforms": {"canvas": {"id": "canvas", "shared_secret": {"generated": True}}}},
    }
    first = keep(loaded, document, {})
    assert first[SHARED].reference is None
    value = loaded.key.decrypt(sealed(loaded)[SHARED], f"{store_plans.SLUG}/{SHARED}")
    assert len(value) > 40
    assert keep(loaded, {**document, "name": "Renamed"}, {}) == first


def test_no_table_holds_a_secret_in_plain_text(loaded: Store) -> None:
    keep(loaded, DOCUMENT, VALUES)
    documents = raw_sql.run(loaded, "SELECT document FROM customers")
    assert "hunter2" not in str(documents)
    assert "canvas" in str(documents)
