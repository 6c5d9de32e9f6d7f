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
from reconciler.store.write.runs import hash_run, sign_chain_head

Run = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChainVerification:
    """runs: how many fit, from the first on. sealed: the store's key vouches for all of them; False where the last
    run is older than the seal. broken: the first thing that does not fit; run: of which run, None where there is
    none to name."""

    runs: int
    is_signed: bool = False
    first_break: str | None = None
    run: int | None = None


def verify_chain(connection: Connection, key: StoreKey) -> ChainVerification:
    """Recomputes every hash. The chain decides what follows what, not the ids: an apply that was rolled back leaves a
    gap among those."""
    head, seal = connection.fetch_row(select(declared.store.c.head_hash, declared.store.c.head_seal)) or (None, None)
    columns = list(record.runs.columns)
    names = [column.name for column in columns]
    found = connection.fetch_rows(select(*columns).order_by(record.runs.c.id))
    runs = [dict(zip(names, row, strict=True)) for row in found]
    return _follow_chain(runs, head) or _check_chain_end(connection, key, runs, head, seal)


def _follow_chain(runs: Sequence[Run], head: str | None) -> ChainVerification | None:
    """None where all of them make one chain that ends in `head`."""
    following: dict[str | None, list[Run]] = {}
    for run in runs:
        following.setdefault(run["previous_hash"], []).append(run)
    last: Run | None = None
    fit = 0
    while next_ones := following.get(last["hash"] if last else None):
        run, *others = next_ones
        if others:
            return ChainVerification(
                fit,
                first_break=f"run {others[0]['id']} follows the same run as run {run['id']}",
                run=_get_run_id(others[0]),
            )
        expected = hash_run(run["previous_hash"], run)
        if run["hash"] != expected:
            return ChainVerification(
                fit, first_break=_describe_alteration(run, expected, following, head), run=_get_run_id(run)
            )
        last, fit = run, fit + 1
    if fit < len(runs):
        return _find_chain_gap(runs, following, last, fit)
    end = last["hash"] if last else None
    if end != head:
        after = f"run {last['id']}" if last else "the beginning"
        return ChainVerification(
            fit, first_break=f"what was written after {after} is missing", run=_get_run_id(last) if last else None
        )
    return None


def _get_run_id(run: Run) -> int:
    return int(run["id"])


def _describe_alteration(
    run: Run, expected: str, following: Mapping[str | None, Sequence[Run]], head: str | None
) -> str:
    """What was altered, as far as the hash that the next run (or the head) has of it tells."""
    if expected in following or expected == head:
        return f"the hash of run {run['id']} was altered; what it says of itself was not"
    if run["hash"] in following or run["hash"] == head:
        return f"run {run['id']} was altered after it was written: its hash is another than what it says gives"
    return f"run {run['id']} was altered after it was written, and so was what follows it"


def _find_chain_gap(
    runs: Sequence[Run], following: Mapping[str | None, Sequence[Run]], last: Run | None, fit: int
) -> ChainVerification:
    """The first run that nothing before it leads to."""
    hashes = {run["hash"] for run in runs}
    loose = [run for before, each in following.items() if before is not None and before not in hashes for run in each]
    after = f"run {last['id']}" if last else "the beginning"
    if not loose:
        return ChainVerification(fit, first_break=f"the runs after {after} do not follow it", run=None)
    first = min(loose, key=_get_run_id)
    if hash_run(last["hash"] if last else None, first) == first["hash"]:
        return ChainVerification(
            fit, first_break=f"run {first['id']} was altered: it names another run before it", run=_get_run_id(first)
        )
    return ChainVerification(
        fit,
        first_break=f"run {first['id']} does not follow {after}: what was between is missing",
        run=_get_run_id(first),
    )


def _check_chain_end(
    connection: Connection, key: StoreKey, runs: Sequence[Run], head: str | None, seal: str | None
) -> ChainVerification:
    """The end: whether something in the store knows of a later run, and whether the key knows the last one."""
    known = {_get_run_id(run) for run in runs}
    named = connection.fetch_rows(
        "SELECT last_run FROM customers WHERE last_run IS NOT NULL"
        " UNION SELECT catalogue_run FROM store WHERE catalogue_run > 0 ORDER BY 1"
    )
    missing = [int(run) for (run,) in named if int(run) not in known]
    if missing:
        return ChainVerification(
            len(runs), first_break=f"run {missing[0]} is missing: what it wrote is in the store", run=missing[0]
        )
    if seal is None:
        return ChainVerification(len(runs))
    if head is None or not hmac.compare_digest(seal, sign_chain_head(key, head)):
        last = _get_run_id(runs[-1]) if runs else None
        what = f"run {last}, the last one, does" if last else "no run at all does"
        return ChainVerification(
            len(runs),
            first_break=(
                f"{what} not fit the seal under the store's key: the chain was written anew by somebody without it"
            ),
            run=last,
        )
    return ChainVerification(len(runs), is_signed=True)


# What recent runs did, read back from what they left behind: the rows that they made, and the journal.


#: customer_id: null for a run of the catalogue
RUN_COLUMNS: dict[str, type[pl.DataType]] = {
    "run": pl.Int64,
    "customer_id": pl.Int64,
    "customer": pl.String,
    "plan_id": pl.String,
}
#: before: JSON of the row as it was, of documents and people; null for other kinds and for what was made
RUN_CHANGE_COLUMNS: dict[str, type[pl.DataType]] = {
    "run": pl.Int64,
    "kind": pl.String,
    "id": pl.Int64,
    "action": pl.String,
    "before": pl.String,
}

_CREATION_TABLES = {
    Kind.COMMUNITY: "communities",
    Kind.LESSON: "lessons",
    Kind.ORG: "orgs",
    Kind.USER: "accounts",
    Kind.CLASS: "classes",
    Kind.ENROLLMENT: "enrollments",
}
_IMAGE_KINDS = ", ".join(f"'{kind}'" for kind in (Kind.CUSTOMER, Kind.COMMUNITY, Kind.LESSON, Kind.USER))


def read_recent_runs(connection: Connection, most: int) -> pl.DataFrame:
    """Newest first, with the columns of `RUNS`."""
    table = records.runs
    columns = (table.c.id, table.c.customer_id, table.c.customer_slug, table.c.plan_id)
    found = connection.fetch_rows(select(*columns).order_by(table.c.id.desc()).limit(most))
    return pl.DataFrame(found, schema=RUN_COLUMNS, orient="row")


def read_run_changes(connection: Connection, customer_number: int | None, runs: Iterable[int]) -> pl.DataFrame:
    """What these runs did to a customer's rows (None: to the catalogue), with the columns of `TRACES`."""
    wanted = sorted(set(runs))
    if not wanted:
        return pl.DataFrame(schema=RUN_CHANGE_COLUMNS)
    facts = {"first": wanted[0], "last": wanted[-1], "customer": customer_number}
    owner = "customer_id = :customer" if customer_number is not None else "customer_id IS NULL"
    made = [
        f"SELECT created_run, '{kind}', id, '{Action.CREATE}', CAST(NULL AS TEXT) FROM {table}"
        f" WHERE {owner} AND created_run BETWEEN :first AND :last"
        for kind, table in _CREATION_TABLES.items()
        if customer_number is not None or kind is Kind.LESSON
    ]
    if customer_number is not None:
        made.append(
            f"SELECT created_run, '{Kind.CUSTOMER}', id, '{Action.CREATE}', CAST(NULL AS TEXT) FROM customers"
            " WHERE id = :customer AND created_run BETWEEN :first AND :last"
        )
    changed = (
        "SELECT run_id AS run, kind, row_id AS id, action,"
        f" CASE WHEN kind IN ({_IMAGE_KINDS}) THEN before END AS before"
        f" FROM journal WHERE {owner} AND run_id BETWEEN :first AND :last"
    )
    found = connection.fetch_frame(" UNION ALL ".join([changed, *made]), RUN_CHANGE_COLUMNS, facts)
    return found.filter(pl.col("run").is_in(wanted))
