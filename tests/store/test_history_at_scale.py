"""Long histories are read a page at a time, and a row's own runs alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.store.database.connection import Connection
from reconciler.store.open import Store
from reconciler.store.read import chain
from reconciler.store.read.chain import HASHED_COLUMNS, ChainVerification, hash_run, sign_chain_head, verify_chain

PAGE = 7
RUNS = 40
COLUMNS = (*HASHED_COLUMNS, "undoes", "previous_hash", "hash")


def build_runs() -> Iterator[dict[str, Any]]:
    """Yield the runs of one chain, whose ids are those of applies at the same moment: of two, the later ends first."""
    previous = None
    for place in range(RUNS):
        run: dict[str, Any] = dict.fromkeys(COLUMNS, "x")
        run |= {"id": place + (2 if place % 2 == 0 else 0), "undoes": None, "previous_hash": previous}
        run |= {"started_at": "2026-11-30T10:00:00Z", "finished_at": "2026-11-30T10:00:00Z"}
        run["hash"] = previous = hash_run(previous, run)
        yield run


@pytest.fixture
def fetched(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The store has the runs; returns the numbers of rows of every result from now on."""
    runs = list(build_runs())
    with store.open_connection() as connection, connection.open_write_transaction():
        for run in runs:
            connection.execute(
                f"INSERT INTO runs ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{each}' for each in COLUMNS)})", run
            )
        head = runs[-1]["hash"]
        connection.execute(
            "UPDATE store SET head_hash = :head, head_seal = :seal",
            {"head": head, "seal": sign_chain_head(store.key, head)},
        )
    numbers: list[int] = []
    fetch = Connection.fetch_rows

    def count(self: Connection, statement: Any, parameters: Any = {}) -> Any:  # noqa: B006
        rows = fetch(self, statement, parameters)
        numbers.append(len(rows))
        return rows

    monkeypatch.setattr(Connection, "fetch_rows", count)
    monkeypatch.setattr(chain, "PAGE_RUNS", PAGE)
    return numbers


def verify(store: Store) -> ChainVerification:
    with store.open_reader() as reader:
        return verify_chain(reader.connection, store.key)


def alter(store: Store, statement: str) -> None:
    with store.open_connection() as connection, connection.open_write_transaction():
        connection.execute(statement)


def test_189_a_long_history_is_verified_page_by_page(store: Store, fetched: list[int]) -> None:
    assert verify(store) == ChainVerification(RUNS, is_signed=True)
    assert max(fetched) == PAGE
    assert fetched.count(PAGE) >= RUNS // PAGE


@pytest.mark.parametrize("place", [1, PAGE, PAGE + 1, RUNS // 2, RUNS])
def test_189_run_missing_at_any_place_of_a_page_is_found(store: Store, fetched: list[int], place: int) -> None:
    alter(store, f"DELETE FROM runs WHERE id = {place}")
    found = verify(store)
    assert not found.is_signed
    assert "missing" in str(found.first_break)
    assert max(fetched) <= PAGE


def test_189_chain_in_ruins_is_not_gathered_in_memory(
    store: Store, fetched: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "MAX_WAITING", 5)
    alter(store, "DELETE FROM runs WHERE id = 3")
    found = verify(store)
    assert "the runs between them are missing" in str(found.first_break)
    assert fetched.count(PAGE) <= 3


def test_189_a_run_is_found_without_the_others(store: Store, fetched: list[int]) -> None:
    with store.open_reader() as reader:
        fetched.clear()
        run = reader.find_run(5)
        assert run is not None
        assert run.id == 5
        assert reader.find_run(RUNS + 1) is None
        assert [each.id for each in reader.list_runs(limit=3)] == [RUNS, RUNS - 1, RUNS - 2]
        assert reader.list_customer_ids("springfield") == {"springfield"}
    assert max(fetched) == 3
