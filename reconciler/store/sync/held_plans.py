"""Plans that a sync keeps while a person is to approve what they hold: encrypted, since they are full of names.

One goes as soon as exactly what it holds waits no more (`run_record.forget_holds`), at the end of retention, and when
anybody of its customer is erased.
"""

from __future__ import annotations

import os

import polars as pl

from reconciler.store.database.connection import Connection
from reconciler.store.errors import StoreProblem
from reconciler.store.key import NONCE_BYTES, StoreKey
from reconciler.store.open import Store

PURPOSE = "held-plan"
#: Bytes of one row, which a database takes easily.
SLICE = 16 * 1024 * 1024
SCHEMA: dict[str, type[pl.DataType]] = {
    "hold_id": pl.String,
    "number": pl.Int64,
    "customer_id": pl.Int64,
    "plan_id": pl.String,
    "created_at": pl.String,
    "data": pl.Binary,
}


def save_held_plan(store: Store, customer_number: int, hold: str, plan_id: str, content: bytes, now: str) -> bool:
    """In place of any other of the customer's. False where the hold is not there any more: then nothing is kept."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    cipher = AESGCM(store.key.derive_key(PURPOSE))
    slices = [content[begin : begin + SLICE] for begin in range(0, len(content), SLICE)]
    data = []
    for number, each in enumerate(slices):
        nonce = os.urandom(NONCE_BYTES)
        data.append(nonce + cipher.encrypt(nonce, each, _build_associated_data(hold, number, len(slices))))
    many = len(data)
    frame = pl.DataFrame(
        {
            "hold_id": [hold] * many,
            "number": list(range(many)),
            "customer_id": [customer_number] * many,
            "plan_id": [plan_id] * many,
            "created_at": [now] * many,
            "data": data,
        },
        schema=SCHEMA,
    )
    with store.open_connection() as connection, connection.open_write_transaction():
        whose = {"customer": customer_number, "hold": hold}
        lock = connection.dialect.for_update
        there = connection.fetch_rows(
            f"SELECT 1 FROM holds WHERE customer_id = :customer AND hold_id = :hold{lock}", whose
        )
        if not there:
            return False
        delete_held_plans(connection, customer_number)
        connection.insert_frame("held_plans", frame)
    return True


def load_held_plan(connection: Connection, key: StoreKey, hold: str) -> bytes | None:
    """As it was given; None where none is kept. Raises StoreProblem where it was altered or is of another key."""
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
            f"the plan kept for {hold} cannot be read: it was altered, or is under another key",
            f"Sync {hold.split(':', 1)[0]} again: that compares anew.",
        ) from None


def delete_held_plans(
    connection: Connection, customer_number: int, *, cutoff: str | None = None, except_hold: str | None = None
) -> int:
    """How many were kept. before: only those that were made before this moment. but: the hold whose plan stays."""
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


def count_held_plans(connection: Connection, customer_number: int, cutoff: str | None = None) -> int:
    """before: only those that were made before this moment."""
    made = connection.fetch_rows(
        "SELECT DISTINCT hold_id, created_at FROM held_plans WHERE customer_id = :customer",
        {"customer": customer_number},
    )
    return sum(1 for _, at in made if cutoff is None or at < cutoff)


def _build_associated_data(hold: str, number: int, many: int) -> bytes:
    """Bound in: a slice fits nowhere else."""
    return f"{hold}\0{number}\0{many}".encode()
