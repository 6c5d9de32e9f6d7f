"""`make bench`: a store with many runs and customers, against one with few.

Only the numbers of runs and of customers differ. A verification reads all runs, so its memory is compared; `explain`
and a purge with nothing to do have the same work in both stores, so their time is.
"""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks import roster
from benchmarks.__main__ import CUSTOMER, measure_best, measure_child_memory, print_figure
from reconciler.clock import get_current_moment
from reconciler.operations.apply.apply import apply_plan
from reconciler.operations.explain import explain_key
from reconciler.operations.location import Location
from reconciler.operations.plan.plan import make_plan
from reconciler.operations.plan.request import PlanRequest, RosterChoice
from reconciler.operations.purge import survey_purge
from reconciler.operations.workspace import Workspace, open_workspace
from reconciler.store.read.chain import HASHED_COLUMNS, hash_run, sign_history
from reconciler.store.read.image_digests import NOTHING

PLACE = Path(".bench")
RUNS, FEW_RUNS = 100_000, 1_000
CUSTOMERS, FEW_CUSTOMERS = 2_000, 20
ROUNDS = 5
MEMORY_BOUND, EXPLAIN_BOUND, PURGE_BOUND = 2.0, 5.0, 30.0
NAME = "alpha"

COPIES_SQL = """
INSERT INTO customers (slug, name, status, document, written, settings_digest, last_run, created_run)
SELECT :slug, name, status, document, written, settings_digest, last_run, created_run FROM customers WHERE slug = :name
"""
PERSON_SQL = """
SELECT i.subject FROM identities i JOIN issuers x ON x.id = i.issuer_id WHERE x.kind = 'roster' ORDER BY 1 LIMIT 1
"""


def open_place(size: str) -> Workspace:
    return open_workspace(Location(PLACE / "customers", store=f"sqlite:///{PLACE / size}.db"))


def fill_store(size: str, runs: int, customers: int) -> str:
    """Apply one customer, copy it, and add runs that changed nobody; return somebody's sourcedId."""
    bundle = PLACE / "alpha.zip"
    done = apply_plan(open_place(size), make_plan(open_place(size), PlanRequest((NAME,), bundle, RosterChoice.FRESH)))
    if not all(result.has_written for result in done):
        raise SystemExit(f"the plan was not applied: {done}")
    store = open_place(size).store
    with store.open_connection() as connection, connection.open_write_transaction():
        for number in range(1, customers):
            connection.execute(COPIES_SQL, {"slug": f"copy-{number}", "name": NAME})
        head = connection.fetch_scalar("SELECT head_hash FROM store")
        rows = [*build_runs(head, 2, runs)]
        connection.insert_frame("runs", pl.DataFrame(rows, infer_schema_length=None))
        sign_history(connection, store.key, rows[-1]["hash"])
        return str(connection.fetch_scalar(PERSON_SQL))


def build_runs(previous: str, first: int, count: int) -> list[dict[str, Any]]:
    rows = []
    for number in range(first, first + count):
        run: dict[str, Any] = dict.fromkeys(HASHED_COLUMNS, "x" * 64)
        run |= {"id": number, "customer_id": 1, "customer_slug": NAME, "journal_digest": NOTHING}
        run |= {"started_at": get_current_moment(), "finished_at": get_current_moment(), "previous_hash": previous}
        run["hash"] = previous = hash_run(previous, run)
        rows.append(run)
    return rows


def main() -> int:
    shutil.rmtree(PLACE, ignore_errors=True)
    folder = PLACE / "customers" / NAME
    folder.mkdir(parents=True)
    (folder / "customer.yaml").write_text(CUSTOMER.format(name=NAME), encoding="utf-8")
    roster.write_roster(PLACE / "alpha.zip", 1_000, 100, 4_000, 1, district=f"org-{NAME}")
    person = fill_store("few", FEW_RUNS, FEW_CUSTOMERS)
    fill_store("many", RUNS, CUSTOMERS)
    print(f"{RUNS:,} runs of {CUSTOMERS:,} customers against {FEW_RUNS:,} of {FEW_CUSTOMERS:,}, {os.cpu_count()} cores")
    command = str(Path(sys.executable).with_name("reconciler"))
    peaks = {
        size: measure_child_memory(
            [
                command,
                "history",
                "--verify",
                "--dir",
                str(PLACE / "customers"),
                "--store",
                f"sqlite:///{PLACE}/{size}.db",
            ]
        )
        for size in ("few", "many")
    }
    places = [open_place(size) for size in ("few", "many")]
    explained = measure_best(ROUNDS, *(partial(explain_key, each, NAME, person) for each in places))
    purged = measure_best(ROUNDS, *(partial(survey_purge, each) for each in places))
    held = [
        print_figure("peak memory of history --verify, many runs / few", peaks["many"] / peaks["few"], MEMORY_BOUND),
        print_figure("explain of one person, many runs / few", explained[1] / explained[0], EXPLAIN_BOUND),
        print_figure(
            f"purge with nothing to do, {CUSTOMERS:,} customers / {FEW_CUSTOMERS}", purged[1] / purged[0], PURGE_BOUND
        ),
    ]
    shutil.rmtree(PLACE, ignore_errors=True)
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
