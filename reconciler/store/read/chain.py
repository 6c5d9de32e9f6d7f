"""Hash runs into a signed chain, and verify that no run was changed or removed."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from reconciler.model.ids import RunId
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
    """Return the SHA-256 of the previous run's hash and the run's own columns, so that a later change is detected.

    `undoes` is included only if it is set, so that older runs keep their hashes.
    """
    undoes = [run["undoes"]] if run.get("undoes") is not None else []
    return hashlib.sha256(
        dump_sorted_json([previous, *[run[name] for name in HASHED_COLUMNS], *undoes]).encode()
    ).hexdigest()


def sign_chain_head(key: StoreKey, head: str) -> str:
    """Return the HMAC of the newest hash under the store key: database access suffices to rewrite runs, not to sign."""
    return key.compute_hmac_hex("run-chain", head)


Run = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChainVerification:
    """The result of verifying the chain of runs."""

    #: number of intact runs, counted from the first
    runs: int
    #: True if the last run is signed with the store key, False if it is older than signatures
    is_signed: bool = False
    #: the first mismatch, for people; None if there is none
    first_break: str | None = None
    #: the run of the first mismatch; None if there is none to name
    run: RunId | None = None


def verify_chain(connection: Connection, key: StoreKey) -> ChainVerification:
    """Recompute every hash and check the signature.

    The order of runs is that of the chain, because an apply that was rolled back leaves a gap in the ids.
    """
    head, seal = connection.fetch_row(select(declared.store.c.head_hash, declared.store.c.head_seal)) or (None, None)
    columns = list(record.runs.columns)
    names = [column.name for column in columns]
    rows = connection.fetch_rows(select(*columns).order_by(record.runs.c.id))
    runs = [dict(zip(names, row, strict=True)) for row in rows]
    return _follow_chain(runs, head) or _check_chain_end(connection, key, runs, head, seal)


def _follow_chain(runs: Sequence[Run], head: str | None) -> ChainVerification | None:
    """Return the first break, or None if all runs form one chain that ends in `head`."""
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
            fit, first_break=f"the runs after {after} are missing", run=_get_run_id(last) if last else None
        )
    return None


def _get_run_id(run: Run) -> RunId:
    return RunId(int(run["id"]))


def _describe_alteration(
    run: Run, expected: str, following: Mapping[str | None, Sequence[Run]], head: str | None
) -> str:
    """Return which part of a run was altered, as far as the copy of its hash in the next run or the head reveals it."""
    if expected in following or expected == head:
        return f"the hash of run {run['id']} was altered, but its content was not"
    if run["hash"] in following or run["hash"] == head:
        return f"run {run['id']} was altered after it was written: its hash does not match its content"
    return f"run {run['id']} was altered after it was written, and so were the runs after it"


def _find_chain_gap(
    runs: Sequence[Run], following: Mapping[str | None, Sequence[Run]], last: Run | None, fit: int
) -> ChainVerification:
    """Return the break at the first run that does not follow another run."""
    hashes = {run["hash"] for run in runs}
    loose = [run for before, each in following.items() if before is not None and before not in hashes for run in each]
    after = f"run {last['id']}" if last else "the beginning"
    if not loose:
        return ChainVerification(fit, first_break=f"the runs after {after} do not follow it", run=None)
    first = min(loose, key=_get_run_id)
    if hash_run(last["hash"] if last else None, first) == first["hash"]:
        return ChainVerification(
            fit, first_break=f"run {first['id']} was altered: it names the wrong previous run", run=_get_run_id(first)
        )
    return ChainVerification(
        fit,
        first_break=f"run {first['id']} does not follow {after}: the runs between them are missing",
        run=_get_run_id(first),
    )


def _check_chain_end(
    connection: Connection, key: StoreKey, runs: Sequence[Run], head: str | None, seal: str | None
) -> ChainVerification:
    """Check that the store refers to no later run, and that the store key signed the last one."""
    known = {_get_run_id(run) for run in runs}
    named = connection.fetch_rows(
        "SELECT last_run FROM customers WHERE last_run IS NOT NULL"
        " UNION SELECT catalogue_run FROM store WHERE catalogue_run > 0 ORDER BY 1"
    )
    missing = [RunId(int(run)) for (run,) in named if int(run) not in known]
    if missing:
        return ChainVerification(
            len(runs), first_break=f"run {missing[0]} is missing, but its changes are in the store", run=missing[0]
        )
    if seal is None:
        return ChainVerification(len(runs))
    if head is None or not hmac.compare_digest(seal, sign_chain_head(key, head)):
        last = _get_run_id(runs[-1]) if runs else None
        end = f"the last run ({last})" if last else "an empty history"
        return ChainVerification(
            len(runs),
            first_break=f"{end} does not match the signature: somebody without the store key rewrote the runs",
            run=last,
        )
    return ChainVerification(len(runs), is_signed=True)
