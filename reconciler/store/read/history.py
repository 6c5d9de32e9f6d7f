"""Whether the chain of runs is as it was written: every run, none missing in between, none at the end."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import select

from reconciler.model.change import Action
from reconciler.model.kind import Kind
from reconciler.store.database.connection import Connection
from reconciler.store.key import StoreKey
from reconciler.store.tables import declared, record
from reconciler.store.tables import record as records
from reconciler.store.write.runs import head_seal, run_hash

Run = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Chain:
    """runs: how many fit, from the first on. sealed: the store's key vouches for all of them; False where the last
    run is older than the seal. broken: the first thing that does not fit; run: of which run, None where there is
    none to name."""

    runs: int
    sealed: bool = False
    broken: str | None = None
    run: int | None = None


def verify_chain(connection: Connection, key: StoreKey) -> Chain:
    """Recomputes every hash. The chain decides what follows what, not the ids: an apply that was rolled back leaves a
    gap among those."""
    head, seal = connection.row(select(declared.store.c.head_hash, declared.store.c.head_seal)) or (None, None)
    columns = list(record.runs.columns)
    names = [column.name for column in columns]
    found = connection.rows(select(*columns).order_by(record.runs.c.id))
    runs = [dict(zip(names, row, strict=True)) for row in found]
    return _followed(runs, head) or _ended(connection, key, runs, head, seal)


def _followed(runs: Sequence[Run], head: str | None) -> Chain | None:
    """None where all of them make one chain that ends in `head`."""
    following: dict[str | None, list[Run]] = {}
    for run in runs:
        following.setdefault(run["previous_hash"], []).append(run)
    last: Run | None = None
    fit = 0
    while next_ones := following.get(last["hash"] if last else None):
        run, *others = next_ones
        if others:
            return Chain(
                fit, broken=f"run {others[0]['id']} follows the same run as run {run['id']}", run=_id(others[0])
            )
        expected = run_hash(run["previous_hash"], run)
        if run["hash"] != expected:
            return Chain(fit, broken=_altered(run, expected, following, head), run=_id(run))
        last, fit = run, fit + 1
    if fit < len(runs):
        return _gap(runs, following, last, fit)
    end = last["hash"] if last else None
    if end != head:
        after = f"run {last['id']}" if last else "the beginning"
        return Chain(fit, broken=f"what was written after {after} is missing", run=_id(last) if last else None)
    return None


def _id(run: Run) -> int:
    return int(run["id"])


def _altered(run: Run, expected: str, following: Mapping[str | None, Sequence[Run]], head: str | None) -> str:
    """What was altered, as far as the hash that the next run (or the head) has of it tells."""
    if expected in following or expected == head:
        return f"the hash of run {run['id']} was altered; what it says of itself was not"
    if run["hash"] in following or run["hash"] == head:
        return f"run {run['id']} was altered after it was written: its hash is another than what it says gives"
    return f"run {run['id']} was altered after it was written, and so was what follows it"


def _gap(runs: Sequence[Run], following: Mapping[str | None, Sequence[Run]], last: Run | None, fit: int) -> Chain:
    """The first run that nothing before it leads to."""
    hashes = {run["hash"] for run in runs}
    loose = [run for before, each in following.items() if before is not None and before not in hashes for run in each]
    after = f"run {last['id']}" if last else "the beginning"
    if not loose:
        return Chain(fit, broken=f"the runs after {after} do not follow it", run=None)
    first = min(loose, key=_id)
    if run_hash(last["hash"] if last else None, first) == first["hash"]:
        return Chain(fit, broken=f"run {first['id']} was altered: it names another run before it", run=_id(first))
    return Chain(fit, broken=f"run {first['id']} does not follow {after}: what was between is missing", run=_id(first))


def _ended(connection: Connection, key: StoreKey, runs: Sequence[Run], head: str | None, seal: str | None) -> Chain:
    """The end: whether something in the store knows of a later run, and whether the key knows the last one."""
    known = {_id(run) for run in runs}
    named = connection.rows(
        "SELECT last_run FROM customers WHERE last_run IS NOT NULL"
        " UNION SELECT catalogue_run FROM store WHERE catalogue_run > 0 ORDER BY 1"
    )
    missing = [int(run) for (run,) in named if int(run) not in known]
    if missing:
        return Chain(len(runs), broken=f"run {missing[0]} is missing: what it wrote is in the store", run=missing[0])
    if seal is None:
        return Chain(len(runs))
    if head is None or not hmac.compare_digest(seal, head_seal(key, head)):
        last = _id(runs[-1]) if runs else None
        what = f"run {last}, the last one, does" if last else "no run at all does"
        return Chain(
            len(runs),
            broken=f"{what} not fit the seal under the store's key: the chain was written anew by somebody without it",
            run=last,
        )
    return Chain(len(runs), sealed=True)


# What recent runs did, read back from what they left behind: the rows that they made, and the journal.


#: customer_id: null for a run of the catalogue
RUNS: dict[str, type[pl.DataType]] = {
    "run": pl.Int64,
    "customer_id": pl.Int64,
    "customer": pl.String,
    "plan_id": pl.String,
}
#: before: JSON of the row as it was, of documents and people; null for other kinds and for what was made
TRACES: dict[str, type[pl.DataType]] = {
    "run": pl.Int64,
    "kind": pl.String,
    "id": pl.Int64,
    "action": pl.String,
    "before": pl.String,
}

_MADE = {
    Kind.COMMUNITY: "communities",
    Kind.LESSON: "lessons",
    Kind.ORG: "orgs",
    Kind.USER: "accounts",
    Kind.CLASS: "classes",
    Kind.ENROLLMENT: "enrollments",
}
_WITH_IMAGE = ", ".join(f"'{kind}'" for kind in (Kind.CUSTOMER, Kind.COMMUNITY, Kind.LESSON, Kind.USER))


def recent_runs(connection: Connection, most: int) -> pl.DataFrame:
    """Newest first, with the columns of `RUNS`."""
    table = records.runs
    columns = (table.c.id, table.c.customer_id, table.c.customer_slug, table.c.plan_id)
    found = connection.rows(select(*columns).order_by(table.c.id.desc()).limit(most))
    return pl.DataFrame(found, schema=RUNS, orient="row")


def traces(connection: Connection, customer: int | None, runs: Iterable[int]) -> pl.DataFrame:
    """What these runs did to a customer's rows (None: to the catalogue), with the columns of `TRACES`."""
    wanted = sorted(set(runs))
    if not wanted:
        return pl.DataFrame(schema=TRACES)
    facts = {"first": wanted[0], "last": wanted[-1], "customer": customer}
    owner = "customer_id = :customer" if customer is not None else "customer_id IS NULL"
    made = [
        f"SELECT created_run, '{kind}', id, '{Action.CREATE}', CAST(NULL AS TEXT) FROM {table}"
        f" WHERE {owner} AND created_run BETWEEN :first AND :last"
        for kind, table in _MADE.items()
        if customer is not None or kind is Kind.LESSON
    ]
    if customer is not None:
        made.append(
            f"SELECT created_run, '{Kind.CUSTOMER}', id, '{Action.CREATE}', CAST(NULL AS TEXT) FROM customers"
            " WHERE id = :customer AND created_run BETWEEN :first AND :last"
        )
    changed = (
        "SELECT run_id AS run, kind, row_id AS id, action,"
        f" CASE WHEN kind IN ({_WITH_IMAGE}) THEN before END AS before"
        f" FROM journal WHERE {owner} AND run_id BETWEEN :first AND :last"
    )
    found = connection.frame(" UNION ALL ".join([changed, *made]), TRACES, facts)
    return found.filter(pl.col("run").is_in(wanted))
