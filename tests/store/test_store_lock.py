"""Test that one apply of a customer runs at a time, that a waiting one names it, and that a dead one frees the lock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reconciler.model.kind import Kind
from reconciler.store.address import SqliteAddress
from reconciler.store.database.lock import lock_customer
from reconciler.store.errors import StoreProblem
from reconciler.store.open import Store
from tests.support.plans import store_plans
from tests.support.stores import raw_sql

pytestmark = pytest.mark.slow

HOLDING = """
import sys, time
from reconciler.store.database.lock import lock_customer
from reconciler.store.open import open_store
store = open_store(sys.argv[1], "test", key=bytes(range(32)))
with lock_customer(store.dialect, sys.argv[2]) as connection, connection.open_write_transaction():
    connection.execute("UPDATE store SET catalogue_writes = catalogue_writes + 1")
    print("held", flush=True)
    time.sleep(float(sys.argv[3]))
"""


def url_of(store: Store) -> str:
    return str(store.address) if isinstance(store.address, SqliteAddress) else store.address.uri


@contextmanager
def held_elsewhere(store: Store, slug: str, seconds: float = 60) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the customer's lock, in the middle of a writing transaction."""
    command = [sys.executable, "-c", HOLDING, url_of(store), slug, str(seconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_second_process_is_locked_out_and_learns_the_holder(store: Store) -> None:
    with held_elsewhere(store, store_plans.SLUG) as process, pytest.raises(StoreProblem) as raised:
        store_plans.load(store)
    assert raised.value.diagnostic.code == "locked"
    assert f"pid {process.pid} since 20" in str(raised.value)
    assert "@" in str(raised.value)


def test_lock_and_uncommitted_writes_die_with_the_holder(store: Store) -> None:
    with held_elsewhere(store, store_plans.SLUG) as process:
        process.kill()
        process.wait(10)
    with lock_customer(store.dialect, store_plans.SLUG, timeout=10) as connection:
        assert connection.fetch_scalar("SELECT catalogue_writes FROM store") == 0


def test_who_waits_long_enough_gets_the_lock(store: Store) -> None:
    with held_elsewhere(store, store_plans.SLUG, seconds=0.5):
        begin = time.monotonic()
        with lock_customer(store.dialect, store_plans.SLUG, timeout=30):
            assert time.monotonic() - begin < 30


def test_other_customer_waits_at_most_for_sqlites_writer(store: Store) -> None:
    seconds = 0.5 if isinstance(store.address, SqliteAddress) else 60
    with (
        held_elsewhere(store, "shelbyville", seconds),
        lock_customer(store.dialect, store_plans.SLUG) as connection,
        connection.open_write_transaction(),
    ):
        assert connection.fetch_scalar("SELECT 1") == 1


def test_released_lock_can_be_taken_again(store: Store) -> None:
    for _ in range(2):
        with lock_customer(store.dialect, store_plans.SLUG):
            pass


def test_readers_during_an_apply_see_the_former_state(store: Store) -> None:
    store_plans.load(store)
    with held_elsewhere(store, store_plans.SLUG), store.open_reader() as reader:
        assert store_plans.live(reader, Kind.USER).height == 3


def test_external_write_waits_for_an_apply_and_survives(store: Store) -> None:
    store_plans.load(store)
    with held_elsewhere(store, store_plans.SLUG, seconds=0.5) as process:
        raw_sql.run(store, "UPDATE orgs SET name = 'By Hand' WHERE sourced_id = 's-1'")
        process.wait(10)
    assert store_plans.row(store, Kind.ORG, "s-1")["name"] == "By Hand"
    assert raw_sql.scalar(store, "SELECT catalogue_writes FROM store") == 1


def test_the_lock_file_is_private(store: Store) -> None:
    with lock_customer(store.dialect, store_plans.SLUG):
        if isinstance(store.address, SqliteAddress):
            file = store.address.locks / f"{store_plans.SLUG}.lock"
            assert oct(file.stat().st_mode & 0o777) == "0o600"
            assert f"pid {os.getpid()}" in file.read_text()
        else:
            [[name]] = raw_sql.run(
                store, "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE '% pid %'"
            )
            assert f"pid {os.getpid()}" in name
