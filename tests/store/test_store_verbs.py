"""Test that `store status` and `store upgrade` read the schema and never create a store."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from reconciler.cli.main import run
from reconciler.store.database import schema
from reconciler.store.key import StoreKey
from reconciler.store.open import open_store
from tests.support.customers.project import ENVIRONMENT, KEY

HEAD = schema.DURABLE.head


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "customers").mkdir()
    monkeypatch.chdir(tmp_path)


def test_status_names_both_schemas_and_upgrade_does_nothing(
    store_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    open_store(store_url, ENVIRONMENT, key=KEY)
    assert run(["store", "status", "--store", store_url]) == 0
    seed = StoreKey(KEY).derive_key("webhook")
    known_by = base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()).decode()
    assert (
        capsys.readouterr().out == f"durable: {HEAD}\nvolatile: {schema.VOLATILE.head}\nwebhook key: whpk_{known_by}\n"
    )
    assert run(["store", "upgrade", "--store", store_url]) == 0
    assert capsys.readouterr().out == f"durable: up to date ({HEAD})\nvolatile: up to date ({schema.VOLATILE.head})\n"


def test_status_without_the_key_says_so_without_error(
    store_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RECONCILER_KEY", raising=False)
    open_store(store_url, ENVIRONMENT, key=KEY)
    assert run(["store", "status", "--store", store_url]) == 0
    assert "webhook key: unknown: the key of " in capsys.readouterr().out


def test_status_of_an_older_store_exits_1_with_advice(
    store_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_store(store_url, ENVIRONMENT, key=KEY)
    newer = schema.MigrationBranch("durable", "schema_revision", "9999")
    monkeypatch.setattr(schema, "BRANCHES", (newer, schema.VOLATILE))
    assert run(["store", "status", "--store", store_url]) == 1
    assert "Run: reconciler store upgrade" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["status", "upgrade"])
def test_neither_makes_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert run(["store", verb, "--store", f"sqlite:///{tmp_path / 'nowhere.db'}"]) == 1
    assert "[no-store]" in capsys.readouterr().err
    assert not (tmp_path / "nowhere.db").exists()
