"""Hash runs into a signed chain, and verify that every run is as it was written and none is missing."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from reconciler.store.database.connection import Connection
from reconciler.store.json_text import dump_sorted_json
from reconciler.store.key import StoreKey
from reconciler.store.tables import declared, record

HASHED_COLUMNS = (
    "id",
    "customer_slug",
    "plan_id",
    "started_at",
    "finished_at",
    "actor",
    "outcome",
    "counts",
    "git_commit",
    "approvals",
    "source_sha256",
    "settings_digest",
)


def hash_run(previous: str | None, run: Mapping[str, Any]) -> str:
    """Over the hash before it and the run's own columns, so that a run changed later does not fit any more. What it
    undoes counts where it undoes something: older runs keep the hashes that they have."""
    undoes = [run["undoes"]] if run.get("undoes") is not None else []
    return hashlib.sha256(
        dump_sorted_json([previous, *[run[name] for name in HASHED_COLUMNS], *undoes]).encode()
    ).hexdigest()


def sign_chain_head(key: StoreKey, head: str) -> str:
    """Whoever can write to the database can write the whole chain anew; only who has the store's key can seal it."""
    return key.compute_hmac_hex("run-chain", head)


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
