"""Test that held plans are stored encrypted, and only while exactly their hold exists."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler import clock
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store
from reconciler.store.sync import held_plans
from reconciler.store.sync.held_plans import count_held_plans, delete_held_plans, load_held_plan, save_held_plan
from reconciler.store.write.renames import rename_customer
from reconciler.store.write.rows import WriteContext
from tests.store.test_store_holds import held_plan_again
from tests.support.plans import store_plans
from tests.support.stores import raw_sql

CONTENT = b"Maggie Simpson " * 1000
MADE = "2026-11-20T02:30:00Z"


@pytest.fixture
def held(store: Store) -> Iterator[Store]:
    """A store with something held of customer 1, and the plan of it kept."""
    with clock.freeze_time(store_plans.MORNING):
        store_plans.load(store)
        store_plans.apply(store, held_plan_again(store))
        assert kept(store)
        yield store


def kept(store: Store, hold: str = store_plans.HOLD.id) -> bool:
    return save_held_plan(store, 1, hold, "sha256:1", CONTENT, MADE)


def read(store: Store, hold: str = store_plans.HOLD.id) -> bytes | None:
    with store.open_connection() as connection:
        return load_held_plan(connection, store.key, hold)


def test_kept_plan_returns_unchanged_and_is_unreadable_at_rest(held: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_plans, "SLICE", 4_000)
    assert kept(held)
    assert read(held) == CONTENT
    with held.open_connection() as connection:
        data = [bytes(row[0]) for row in connection.fetch_rows("SELECT data FROM held_plans ORDER BY number")]
    assert len(data) == 4
    assert not any(b"Maggie" in each for each in data)


def test_a_slice_that_was_altered_or_moved_is_refused(held: Store) -> None:
    raw_sql.run(held, "UPDATE held_plans SET number = 1")
    assert read(held) == CONTENT, "its place among all is what counts"
    raw_sql.run(held, "UPDATE held_plans SET hold_id = 'springfield:9:aaaaaa'")
    with pytest.raises(StoreProblem, match="cannot be read"):
        read(held, "springfield:9:aaaaaa")


def test_plan_without_current_holds_is_not_kept(held: Store) -> None:
    assert not kept(held, "springfield:9:aaaaaa")
    assert read(held) == CONTENT


def test_it_goes_with_its_hold(held: Store) -> None:
    store_plans.apply(held, held_plan_again(held))
    assert read(held) == CONTENT, "the very same set waits still"
    store_plans.apply(held, store_plans.plan(held, source=store_plans.SOURCE))
    assert read(held) is None, "nothing waits any more"
    store_plans.apply(held, held_plan_again(held))
    assert kept(held)
    store_plans.apply(held, held_plan_again(held), approved=True)
    assert read(held) is None


def test_it_goes_when_it_is_older_than_its_retention(held: Store) -> None:
    with held.open_connection() as connection, connection.open_write_transaction():
        assert count_held_plans(connection, 1, cutoff=MADE) == 0
        assert delete_held_plans(connection, 1, cutoff="2026-11-20T02:30:01Z") == 1
    assert read(held) is None


def test_what_was_held_before_stays_held_since_then(held: Store) -> None:
    raw_sql.run(held, f"UPDATE holds SET created_at = '{MADE}'")
    store_plans.apply(held, held_plan_again(held))
    with held.open_reader() as reader:
        assert [each.created_at for each in reader.list_holds()] == [MADE]


def test_renaming_its_customer_drops_the_plan_but_not_holds(held: Store) -> None:
    with held.open_connection() as connection, connection.open_write_transaction():
        (run,) = connection.fetch_rows("SELECT max(id) FROM runs")[0]
        rename_customer(WriteContext(connection, held.key, run, 1, "omega", MADE), store_plans.SLUG)
        assert count_held_plans(connection, 1) == 0
        held_now = connection.fetch_rows("SELECT hold_id FROM holds WHERE customer_id = 1")
    assert held_now == [(f"omega{store_plans.HOLD.id.removeprefix(store_plans.SLUG)}",)]
    assert read(held) is None
