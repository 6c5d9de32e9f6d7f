"""The migration to uses by lost enrollment reads them from the journal, and has repeated enrollments compared again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from reconciler.store.address import parse_store_url
from reconciler.store.database import schema
from reconciler.store.open import open_store, upgrade_store
from tests.support.customers.project import ENVIRONMENT, KEY

AT = "2026-09-01T06:00:00Z"
#: id, sourcedId, class, account, moment of removal
ENROLLMENTS = [
    (1, "e-1", 10, 20, None),
    (2, "e-2", 10, 20, None),
    (3, "e-3", 11, 20, None),
    (4, "e-4", 11, 20, AT),
]
#: id, limit, row, run
USES = [(1, "enrollments", 3, 1), (2, "enrollments", 4, 2), (3, "users", 20, 1)]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.slow])])
def old_store_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """A store of revision 0009: a person in one class twice, and two lost enrollments, one of unknown history."""
    sqlite = f"sqlite:///{tmp_path / 'old.db'}"
    url = sqlite if request.param == "sqlite" else str(request.getfixturevalue("empty_postgresql"))
    with schema._open_transaction(parse_store_url(url), schema.DURABLE) as connection:
        configuration = schema.DURABLE.build_configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0009")
        for row in ENROLLMENTS:
            connection.execute(
                text(
                    "INSERT INTO enrollments (id, customer_id, sourced_id, class_id, account_id, role, fingerprint,"
                    " origin_run, created_run, tombstoned_at) VALUES (:id, 1, :key, :class, :account, 'student', 7,"
                    " 1, 1, :at)"
                ),
                dict(zip(("id", "key", "class", "account", "at"), row, strict=True)),
            )
        for row in USES:
            connection.execute(
                text(
                    "INSERT INTO limit_uses (id, run_id, customer_id, name, row_id, at)"
                    " VALUES (:id, :run, 1, :name, :row, :at)"
                ),
                dict(zip(("id", "name", "row", "run"), row, strict=True)) | {"at": AT},
            )
        connection.execute(
            text(
                "INSERT INTO journal (id, run_id, customer_id, kind, row_id, action, before)"
                " VALUES (1, 1, 1, 'enrollment', 3, 'update', :before)"
            ),
            {"before": json.dumps({"class_id": 11, "account_id": 29})},
        )
        connection.execute(
            text("INSERT INTO store (uuid, environment, key_check, created_at) VALUES ('u', :name, 'c', :at)"),
            {"name": ENVIRONMENT, "at": AT},
        )
    return url


def test_an_upgraded_store_knows_what_was_lost_and_what_is_repeated(
    old_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.store.open._load_verified_key", lambda *_: None)
    upgrade_store(old_store_url)
    store = open_store(old_store_url, ENVIRONMENT, key=KEY, make=False)
    with store.open_connection() as connection:
        uses = connection.fetch_rows("SELECT id, account_id, class_id FROM limit_uses ORDER BY id")
        fingerprints = connection.fetch_rows("SELECT id, fingerprint FROM enrollments ORDER BY id")
    assert [tuple(row) for row in uses] == [(1, 29, 11), (2, None, None), (3, None, None)]
    assert [tuple(row) for row in fingerprints] == [(1, 0), (2, 0), (3, 7), (4, 7)]
