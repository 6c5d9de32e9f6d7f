"""The migration to keys of usernames that ignore what nobody sees."""

from __future__ import annotations

from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from reconciler.store.address import parse_store_url
from reconciler.store.database import schema
from reconciler.store.open import open_store, upgrade_store
from tests.support.customers.project import ENVIRONMENT, KEY

AT = "2026-09-01T06:00:00Z"
#: id, customer, username, moment of removal, key after the migration (None: as before)
ACCOUNTS = [
    (1, 1, "Ann", None, "ann"),
    (2, 1, "Jose\u0301", None, "jos\u00e9"),
    (3, 1, "zero\u200bwidth", None, "zerowidth"),
    (4, 1, "rene\u0301", None, None),
    (5, 1, "ren\u00e9", None, None),
    (6, 1, "\uff41\uff4e\uff4e", None, None),
    (7, 2, "\uff41\uff4e\uff4e", None, "ann"),
    (8, 1, "jos\u00e9 ", AT, "jos\u00e9"),
]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.slow])])
def old_store_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """A store of revision 0010, whose keys are the usernames in lowercase."""
    sqlite = f"sqlite:///{tmp_path / 'old.db'}"
    url = sqlite if request.param == "sqlite" else str(request.getfixturevalue("empty_postgresql"))
    with schema._open_transaction(parse_store_url(url), schema.DURABLE) as connection:
        configuration = schema.DURABLE.build_configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0010")
        for number, customer, username, removed_at, _ in ACCOUNTS:
            connection.execute(
                text(
                    "INSERT INTO accounts (id, customer_id, managed_by, status, username, username_key, fingerprint,"
                    " origin_run, created_run, tombstoned_at)"
                    " VALUES (:id, :customer, 'roster', 'active', :username, :key, 7, 1, 1, :at)"
                ),
                {
                    "id": number,
                    "customer": customer,
                    "username": username,
                    "key": username.lower(),
                    "at": removed_at,
                },
            )
        connection.execute(
            text("INSERT INTO store (uuid, environment, key_check, created_at) VALUES ('u', :name, 'c', :at)"),
            {"name": ENVIRONMENT, "at": AT},
        )
    return url


def test_175_keys_of_an_earlier_store_take_their_new_form(old_store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.store.open._load_verified_key", lambda *_: None)
    upgrade_store(old_store_url)
    store = open_store(old_store_url, ENVIRONMENT, key=KEY, make=False)
    with store.open_connection() as connection:
        rows = connection.fetch_rows("SELECT id, username_key, fingerprint FROM accounts ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (number, username.lower() if key is None else key, 7) for number, _, username, _, key in ACCOUNTS
    ]
