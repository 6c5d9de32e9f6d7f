"""What an apply leaves on record: its run, in a sealed chain of hashes, and what it still holds back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from reconciler.model.change import Change, get_action
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Hold
from reconciler.store.database.connection import Connection
from reconciler.store.json_text import dump_sorted_json
from reconciler.store.key import StoreKey
from reconciler.store.read.chain import HASHED_COLUMNS, hash_run, sign_chain_head
from reconciler.store.read.records import HoldScope
from reconciler.store.sync.held_plans import delete_held_plans


def record_run(connection: Connection, key: StoreKey, run: Mapping[str, Any]) -> None:
    """run: the columns of HASHED, customer_id and undoes. The store's row is locked, so that the chain never forks."""
    previous = connection.fetch_scalar(f"SELECT head_hash FROM store{connection.dialect.for_update}")
    digest = hash_run(previous, run)
    columns = ("customer_id", *HASHED_COLUMNS, "undoes", "previous_hash", "hash")
    connection.execute(
        f"INSERT INTO runs ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})",
        {**run, "previous_hash": previous, "hash": digest},
    )
    connection.execute(
        "UPDATE store SET head_hash = :hash, head_seal = :seal", {"hash": digest, "seal": sign_chain_head(key, digest)}
    )


def count_changes(document_changes: Iterable[Change], rows: Mapping[Kind, pl.DataFrame]) -> dict[str, dict[str, int]]:
    """What was carried out: kind -> action -> how many."""
    counts: dict[str, dict[str, int]] = {}
    for change in document_changes:
        of_kind = counts.setdefault(change.kind.value, {})
        action = get_action(change).value
        of_kind[action] = of_kind.get(action, 0) + 1
    for kind, frame in rows.items():
        counts[kind.value] = dict(frame.group_by("action").len().sort("action").iter_rows())
    return counts


def determine_hold_scope(plan: CustomerPlan) -> HoldScope:
    """What the plan's hold is of."""
    of_roster = plan.roster_applies and any(frame["held"].any() for frame in plan.roster.values())
    return HoldScope.ROSTER if of_roster else HoldScope.DECLARED


def delete_holds(
    connection: Connection, customer_number: int, scopes: Iterable[HoldScope], *, except_hold: str | None = None
) -> None:
    """With the plans that were kept for them: a sync keeps those of rosters alone. still: the hold that comes in their
    place; the plan of the very same one stays."""
    for scope in scopes:
        if scope is HoldScope.ROSTER:
            delete_held_plans(connection, customer_number, except_hold=except_hold)
        connection.execute(
            "DELETE FROM holds WHERE customer_id = :customer AND scope = :scope",
            {"customer": customer_number, "scope": scope.value},
        )


def find_hold_start(connection: Connection, customer_number: int, hold: str) -> str | None:
    """Since when exactly this set waits; None where it does not."""
    found = connection.fetch_scalar(
        "SELECT created_at FROM holds WHERE customer_id = :customer AND hold_id = :hold",
        {"customer": customer_number, "hold": hold},
    )
    return None if found is None else str(found)


def save_hold(
    connection: Connection, customer_number: int, scope: HoldScope, hold: Hold, plan_id: str, now: str
) -> None:
    """In place of what was held of the scope. now: since when it is held."""
    delete_holds(connection, customer_number, [scope], except_hold=hold.id)
    connection.execute(
        "INSERT INTO holds (customer_id, scope, hold_id, people, rows, causes, plan_id, created_at)"
        " VALUES (:customer, :scope, :hold, :people, :rows, :causes, :plan, :now)",
        {
            "customer": customer_number,
            "scope": scope.value,
            "hold": hold.id,
            "people": hold.people,
            "rows": hold.rows,
            "causes": dump_sorted_json(list(hold.causes)),
            "plan": plan_id,
            "now": now,
        },
    )
