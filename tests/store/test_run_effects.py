"""Test the digests that the store keeps of its runs' effects."""

from __future__ import annotations

import pytest

from reconciler.model.change import Update
from reconciler.model.kind import Kind
from reconciler.store.open import Store
from reconciler.store.read.run_effects import list_runs_with_effects, read_run_effects
from reconciler.store.removal.rows import delete_run_effects
from reconciler.store.write import run_effects
from tests.support.plans import store_plans

DIGESTS = bytes(range(64))


def apply(store: Store, name: str, digests: bytes = DIGESTS) -> int:
    """Renames the customer, or makes it."""
    document = {**store_plans.CUSTOMER, "name": name}
    with store.open_reader() as reader:
        known = store_plans.SLUG in reader.read_customers()
    change = store_plans.change(Kind.CUSTOMER, store_plans.SLUG, **({"made": Update} if known else {}))
    result = store_plans.apply(
        store,
        store_plans.plan(store, document_changes=(change,), settings=store_plans.settings(document)),
        effects=digests,
    )
    assert result.run is not None
    return result.run


def kept(store: Store) -> list[int]:
    with store.open_reader() as reader:
        return list_runs_with_effects(reader.connection)["run"].to_list()


def test_they_come_back_whole_from_several_slices(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_effects, "SLICE", 24)
    run = apply(store, "One")
    with store.open_reader() as reader:
        assert read_run_effects(reader.connection, run) == DIGESTS
        assert read_run_effects(reader.connection, run + 1) == b""
        assert list_runs_with_effects(reader.connection).rows() == [(run, store_plans.SLUG, "sha256:1")]


def test_those_of_old_runs_are_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_effects, "KEPT_RUNS", 2)
    made = [apply(store, name) for name in ("One", "Two", "Three")]
    assert kept(store) == made[:0:-1]


def test_effects_of_one_customer_go_by_age_or_together(store: Store) -> None:
    first, second = apply(store, "One"), apply(store, "Two")
    with store.open_connection() as connection, connection.open_write_transaction():
        connection.execute("UPDATE runs SET started_at = '2020-01-01T00:00:00Z' WHERE id = :run", {"run": first})
        delete_run_effects(connection, 2)
        delete_run_effects(connection, 1, cutoff="2021-01-01T00:00:00Z")
    assert kept(store) == [second]
    with store.open_connection() as connection, connection.open_write_transaction():
        delete_run_effects(connection, 1)
    assert kept(store) == []
