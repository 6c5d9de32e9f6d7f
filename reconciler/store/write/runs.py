"""Record the run of an apply in the signed chain of hashes, and its holds."""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from reconciler.model.change import Change, get_action
from reconciler.model.ids import CustomerNumber, HoldId, Moment, PlanId
from reconciler.model.kind import Kind
from reconciler.model.plan import CustomerPlan, Hold
from reconciler.store.database.connection import Connection
from reconciler.store.json_text import dump_sorted_json
from reconciler.store.key import StoreKey
from reconciler.store.read.chain import HASHED_COLUMNS, hash_run, lock_store, sign_history
from reconciler.store.read.records import HoldScope
from reconciler.store.sync.held_plans import delete_held_plans
from reconciler.store.write.journal import record_image_digests


def record_run(connection: Connection, key: StoreKey, run: Mapping[str, Any]) -> None:
    """Save a run with the digests of its before-images, and sign the chain. Locks the store's row, so that the chain
    never forks.

    run: `HASHED_COLUMNS`, customer_id and undoes.
    """
    sealed = {**run, "journal_digest": record_image_digests(connection, key, run["id"])}
    previous = lock_store(connection, key)
    digest = hash_run(previous, sealed)
    columns = ("customer_id", *HASHED_COLUMNS, "undoes", "journal_digest", "previous_hash", "hash")
    connection.execute(
        f"INSERT INTO runs ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})",
        {**sealed, "previous_hash": previous, "hash": digest},
    )
    sign_history(connection, key, digest)


def count_changes(document_changes: Iterable[Change], rows: Mapping[Kind, pl.DataFrame]) -> dict[str, dict[str, int]]:
    """Count the applied changes by kind and action."""
    counts: dict[str, dict[str, int]] = {}
    for change in document_changes:
        by_action = counts.setdefault(change.kind.value, {})
        action = get_action(change).value
        by_action[action] = by_action.get(action, 0) + 1
    for kind, frame in rows.items():
        counts[kind.value] = dict(frame.group_by("action").len().sort("action").iter_rows())
    return counts


def determine_hold_scope(plan: CustomerPlan) -> HoldScope:
    """Return the scope of a plan's hold."""
    holds_rows = plan.roster_applies and any(frame["held"].any() for frame in plan.roster.values())
    return HoldScope.ROSTER if holds_rows else HoldScope.DECLARED


def delete_holds(
    connection: Connection,
    customer_number: CustomerNumber,
    scopes: Iterable[HoldScope],
    *,
    except_hold: HoldId | None = None,
) -> None:
    """Delete holds and their saved plans, which only roster holds have.

    except_hold: the hold that replaces them; its saved plan stays.
    """
    for scope in scopes:
        if scope is HoldScope.ROSTER:
            delete_held_plans(connection, customer_number, except_hold=except_hold)
        connection.execute(
            "DELETE FROM holds WHERE customer_id = :customer AND scope = :scope",
            {"customer": customer_number, "scope": scope.value},
        )


def find_hold_start(connection: Connection, customer_number: CustomerNumber, hold: HoldId) -> Moment | None:
    """Return the moment since which a hold has existed, or None if the store does not have it."""
    created_at = connection.fetch_scalar(
        "SELECT created_at FROM holds WHERE customer_id = :customer AND hold_id = :hold",
        {"customer": customer_number, "hold": hold},
    )
    return None if created_at is None else Moment(created_at)


def save_hold(
    connection: Connection, customer_number: CustomerNumber, scope: HoldScope, hold: Hold, plan_id: PlanId, now: Moment
) -> None:
    """Save a hold in place of the previous one of its scope. now: the moment since which it has existed."""
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
