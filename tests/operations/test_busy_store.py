"""Nobody waits for a store in vain: a busy one postpones a sync, and a plan keeps none busy while it fetches."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from reconciler.operations.fetch import fresh
from reconciler.store.database import sqlite
from tests.support.customers.project import Project
from tests.support.operations.synced_customers import DAILY, MONDAY, NIGHT, codes, only, outcomes, synced
from tests.support.sources.in_memory import GivenSource, Sources

pytestmark = pytest.mark.slow

#: Seconds
SHORT = 0.3
WRITING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("writing", flush=True)
sys.stdin.read()
"""


class Writer:
    """Another process that writes to the store and does not come to an end."""

    def __init__(self, project: Project) -> None:
        self._url = project.store_url
        self._end: Callable[[], object] = lambda: None

    def begin(self) -> None:
        if self._url.startswith("sqlite"):
            path = self._url.removeprefix("sqlite:///")
            process = subprocess.Popen(
                [sys.executable, "-c", WRITING, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert process.stdout is not None
            assert process.stdout.readline() == "writing\n"
            self._end = lambda: (process.kill(), process.wait())
        else:
            connection = psycopg.connect(self._url)
            connection.execute("SELECT 1 FROM customers FOR UPDATE")
            self._end = connection.close

    def end(self) -> None:
        self._end()
        self._end = lambda: None


@pytest.fixture
def writer(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Writer]:
    monkeypatch.setattr("reconciler.store.database.lock.MIN_WAITING_SECONDS", SHORT)
    pragmas = (f"PRAGMA busy_timeout = {round(SHORT * 1000)}", *sqlite.PRAGMAS[1:])
    monkeypatch.setattr(sqlite, "PRAGMAS", pragmas)
    made = Writer(project)
    yield made
    made.end()


def test_a_busy_store_postpones_a_sync(project: Project, customer: Callable[..., GivenSource], writer: Writer) -> None:
    source = customer(auto=DAILY)
    source.on_fetch = writer.begin
    busy = synced(project, "--due")
    assert outcomes(busy) == {"springfield": "postponed"}
    assert codes(only(busy)) == {"store-busy"}
    assert busy.code == 0

    writer.end()
    source.on_fetch = lambda: None
    done = synced(project, "springfield", at=MONDAY + NIGHT)
    assert outcomes(done) == {"springfield": "applied"}


# On PostgreSQL, the record of a sync waits for no writer.
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_sync_that_cannot_even_begin_is_postponed(
    project: Project, customer: Callable[..., GivenSource], writer: Writer
) -> None:
    customer(auto=DAILY)
    assert synced(project, "--due").code == 0
    writer.begin()
    busy = synced(project, "springfield", at=MONDAY + NIGHT)
    assert outcomes(busy) == {"springfield": "postponed"}


def test_a_plan_has_no_transaction_while_it_fetches(
    project: Project, customer: Callable[..., GivenSource], sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = customer()
    monkeypatch.setattr(fresh, "create_source", lambda *_: source)
    left: list[int] = []

    def look() -> None:
        # The plan begins to wait a moment after the fetch has started.
        end = time.monotonic() + 10
        while _count_readers(project) and time.monotonic() < end:
            time.sleep(0.05)
        left.append(_count_readers(project))

    source.on_fetch = look
    planned = project.plan("springfield")
    assert planned.code == 2
    assert left == [0]
    assert planned.json["customers"][0]["counts"]["user"]["create"] == 40


def _count_readers(project: Project) -> int:
    """The transactions that keep the database from cleaning up."""
    if project.store_url.startswith("sqlite"):
        checkpoint = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
        checkpoint += "c.execute('UPDATE store SET environment = environment'); c.commit();"
        checkpoint += "print(c.execute('PRAGMA wal_checkpoint(RESTART)').fetchone()[0])"
        path = project.store_url.removeprefix("sqlite:///")
        return int(subprocess.check_output([sys.executable, "-c", checkpoint, path]))
    with psycopg.connect(project.store_url, autocommit=True) as connection:
        row: Any = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        ).fetchone()
        return int(row[0])
