"""Save digests of the effects of recent runs, by which `apply --expect PLAN_ID` recognizes them."""

from reconciler.model.ids import CustomerNumber, RunId
from reconciler.store.database.connection import Connection

#: Bytes per row, small enough for both databases.
SLICE = 16 * 1024 * 1024
#: Number of newest runs of the store whose effects are kept.
KEPT_RUNS = 1_000


def save_run_effects(
    connection: Connection, run: RunId, customer_number: CustomerNumber | None, digests: bytes
) -> None:
    """Save a run's digests, and delete those of runs older than the newest `KEPT_RUNS`.

    customer_number: None for the catalog. digests: 8 bytes per effect.
    """
    for number, begin in enumerate(range(0, len(digests), SLICE)):
        connection.execute(
            "INSERT INTO run_effects (run_id, number, customer_id, data) VALUES (:run, :number, :customer, :data)",
            {"run": run, "number": number, "customer": customer_number, "data": digests[begin : begin + SLICE]},
        )
    oldest = connection.fetch_scalar(f"SELECT id FROM runs ORDER BY id DESC LIMIT 1 OFFSET {KEPT_RUNS}")
    if oldest is not None:
        connection.execute("DELETE FROM run_effects WHERE run_id <= :oldest", {"oldest": oldest})
