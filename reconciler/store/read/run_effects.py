"""Read digests of the effects that recent runs carried out."""

import polars as pl

from reconciler.model.ids import RunId
from reconciler.store.database.connection import Connection


def list_runs_with_effects(connection: Connection) -> pl.DataFrame:
    """Return `run`, `customer` and `plan_id` of the runs whose effects are kept, newest first."""
    return connection.fetch_frame(
        "SELECT id AS run, customer_slug AS customer, plan_id FROM runs"
        " WHERE id IN (SELECT run_id FROM run_effects) ORDER BY id DESC",
        {"run": pl.Int64, "customer": pl.String, "plan_id": pl.String},
    )


def read_run_effects(connection: Connection, run: RunId) -> bytes:
    """Return the digests of a run's effects, 8 bytes each."""
    rows = connection.fetch_rows("SELECT data FROM run_effects WHERE run_id = :run ORDER BY number", {"run": run})
    return b"".join(data for (data,) in rows)
