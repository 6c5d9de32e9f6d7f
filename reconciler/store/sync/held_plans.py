"""Save, load and delete the plans of held changes, encrypted because they contain names.

A plan is deleted when its hold ends (`store.write.runs.delete_holds`), at the end of retention, and when a person of
its customer is erased.
"""

import os

import polars as pl

from reconciler.model.ids import CustomerNumber, HoldId, Moment, PlanId
from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.key import NONCE_BYTES, StoreKey
from reconciler.store.open import Store
from reconciler.store.read.chain import lock_store

PURPOSE = "held-plan"
#: Bytes per row, small enough for both databases.
SLICE = 16 * 1024 * 1024
SCHEMA: dict[str, type[pl.DataType]] = {
    "hold_id": pl.String,
    "number": pl.Int64,
    "customer_id": pl.Int64,
    "plan_id": pl.String,
    "created_at": pl.String,
    "data": pl.Binary,
}


def save_held_plan(
    store: Store, customer_number: CustomerNumber, hold: HoldId, plan_id: PlanId, content: bytes, now: Moment
) -> bool:
    """Save a plan file in place of the customer's previous one. Return False, and save nothing, if the hold ended.

    Raises StoreProblem `key-changed` if the hold's ID belongs to an earlier key.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher = AESGCM(store.key.derive_key(PURPOSE))
    slices = [content[begin : begin + SLICE] for begin in range(0, len(content), SLICE)]
    data = []
    for number, each in enumerate(slices):
        nonce = os.urandom(NONCE_BYTES)
        data.append(nonce + cipher.encrypt(nonce, each, _build_associated_data(hold, number, len(slices))))
    frame = pl.DataFrame(
        [(hold, number, customer_number, plan_id, now, encrypted) for number, encrypted in enumerate(data)],
        schema=SCHEMA,
        orient="row",
    )
    with store.open_connection() as connection, connection.open_write_transaction():
        lock_store(connection, store.key)
        if not connection.fetch_rows(
            "SELECT 1 FROM holds WHERE customer_id = :customer AND hold_id = :hold" + connection.dialect.for_update,
            {"customer": customer_number, "hold": hold},
        ):
            return False
        delete_held_plans(connection, customer_number)
        connection.insert_frame("held_plans", frame)
    return True


def load_held_plan(connection: Connection, key: StoreKey, hold: HoldId) -> bytes | None:
    """Return the plan file of a hold, or None if there is none.

    Raises StoreProblem `held-plan-unreadable` if it was changed or encrypted with another key.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher = AESGCM(key.derive_key(PURPOSE))
    rows = connection.fetch_rows(
        "SELECT number, data FROM held_plans WHERE hold_id = :hold ORDER BY number", {"hold": hold}
    )
    if not rows:
        return None
    try:
        return b"".join(
            cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _build_associated_data(hold, place, len(rows)))
            for place, (_, data) in enumerate(rows)
        )
    except InvalidTag:
        raise StoreProblem(
            "held-plan-unreadable",
            f"the plan saved for hold {hold} cannot be read: it was changed, or encrypted with another key",
            f"Run: reconciler sync {hold.split(':', 1)[0]}",
        ) from None


def delete_held_plans(
    connection: Connection,
    customer_number: CustomerNumber,
    *,
    cutoff: str | None = None,
    except_hold: HoldId | None = None,
) -> int:
    """Delete a customer's held plans and return their number.

    cutoff: delete only those created before this moment; None for all. except_hold: the hold whose plan stays.
    """
    held = [
        (hold, at)
        for hold, at in connection.fetch_rows(
            "SELECT DISTINCT hold_id, created_at FROM held_plans WHERE customer_id = :customer",
            {"customer": customer_number},
        )
        if hold != except_hold and (cutoff is None or at < cutoff)
    ]
    for hold, _ in held:
        connection.execute("DELETE FROM held_plans WHERE hold_id = :hold", {"hold": hold})
    return len(held)


def count_held_plans(connection: Connection, customer_number: CustomerNumber, cutoff: str | None = None) -> int:
    """Return the number of a customer's held plans. cutoff: as in `delete_held_plans`."""
    plans = connection.fetch_rows(
        "SELECT DISTINCT hold_id, created_at FROM held_plans WHERE customer_id = :customer",
        {"customer": customer_number},
    )
    return sum(1 for _, at in plans if cutoff is None or at < cutoff)


def _build_associated_data(hold: HoldId, number: int, many: int) -> bytes:
    """Return the associated data that binds a slice to its place."""
    return f"{hold}\0{number}\0{many}".encode()
