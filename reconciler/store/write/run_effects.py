"""Keep digests of the effects that recent runs carried out, by which `apply --expect PLAN_ID` knows them again."""

from __future__ import annotations

from reconciler.store.database.connection import Connection

#: bytes of one row, which a database takes easily
SLICE = 16 * 1024 * 1024
#: newest runs of the store whose effects are kept
KEPT_RUNS = 1_000


def save_run_effects(connection: Connection, run: int, customer_number: int | None, digests: bytes) -> None:
    """customer_number: None for the catalog. Forgets the effects of runs that are too old."""
    for number, begin in enumerate(range(0, len(digests), SLICE)):
        connection.execute(
            "INSERT INTO run_effects (run_id, number, customer_id, data) VALUES (:run, :number, :customer, :data)",
            {"run": run, "number": number, "customer": customer_number, "data": digests[begin : begin + SLICE]},
        )
    oldest = connection.fetch_scalar(f"SELECT id FROM runs ORDER BY id DESC LIMIT 1 OFFSET {KEPT_RUNS}")
    if oldest is not None:
        connection.execute("DELETE FROM run_effects WHERE run_id <= :oldest", {"oldest": oldest})
