"""The migration to rows of LTI platforms reads them from the documents that were applied."""

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

REMOVED_AT = "2026-09-01T06:00:00Z"


def document(key: str, **more: Any) -> str:
    return json.dumps({"lti": {"platforms": {"canvas": {"consumer_key": key, "community": "high"}}}, **more})


CUSTOMERS = [
    ("springfield", document("lms-1"), None),
    ("shelbyville", document("lms-1"), None),
    ("ogdenville", document("lms-2", rostering={"retention": "10d"}), REMOVED_AT),
    ("north", "{not JSON", None),
    ("odd", '{"lti": {"platforms": {"canvas": 7}}}', None),
    ("plain", "{}", None),
]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.slow])])
def old_store_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """A store of revision 0008 with customers in it."""
    sqlite = f"sqlite:///{tmp_path / 'old.db'}"
    url = sqlite if request.param == "sqlite" else str(request.getfixturevalue("empty_postgresql"))
    address = parse_store_url(url)
    with schema._open_transaction(address, schema.DURABLE) as connection:
        configuration = schema.DURABLE.build_configuration()
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "0008")
        for number, (slug, text_, removed_at) in enumerate(CUSTOMERS, 1):
            connection.execute(
                text(
                    "INSERT INTO customers (id, slug, name, status, document, settings_digest, tombstoned_at)"
                    " VALUES (:id, :slug, :slug, 'active', :document, 'digest', :removed)"
                ),
                {"id": number, "slug": slug, "document": text_, "removed": removed_at},
            )
        connection.execute(
            text("INSERT INTO store (uuid, environment, key_check, created_at) VALUES ('u', :name, 'c', :at)"),
            {"name": ENVIRONMENT, "at": REMOVED_AT},
        )
    return url


def test_an_upgraded_store_has_the_platforms_of_its_documents(
    old_store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.store.open._load_verified_key", lambda *_: None)
    upgrade_store(old_store_url)
    store = open_store(old_store_url, ENVIRONMENT, key=KEY, make=False)
    with store.open_connection() as connection:
        rows = connection.fetch_rows(
            "SELECT c.slug, p.consumer_key, p.platform, p.community, p.reserved_until FROM lti_platforms p"
            " JOIN customers c ON c.id = p.customer_id ORDER BY c.slug"
        )
        looked_at_again = connection.fetch_rows("SELECT slug FROM customers WHERE settings_digest IS NULL")
    assert [tuple(row) for row in rows] == [
        ("ogdenville", "lms-2", "canvas", "high", "2026-09-11T06:00:00Z"),
        ("springfield", "lms-1", "canvas", "high", None),
    ]
    assert [slug for (slug,) in looked_at_again] == ["shelbyville"]
