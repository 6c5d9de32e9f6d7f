"""Save the last good roster of a customer: its frames as Parquet, in slices small enough for both databases."""

import io
from collections.abc import Mapping

import orjson
import polars as pl

from reconciler.model.ids import CustomerNumber, Moment, RunId
from reconciler.model.plan import SourceSummary
from reconciler.store.database.connection import Connection
from reconciler.store.json_text import dump_sorted_json

SLICE_ROWS = 1_000_000


def save_snapshot(
    connection: Connection,
    customer_number: CustomerNumber,
    run: RunId,
    source: SourceSummary,
    frames: Mapping[str, pl.DataFrame],
    facts: Mapping[str, object],
) -> None:
    """Replace the customer's snapshot.

    run: the run that applied it, or the last run if it changed nothing. facts: JSON values that gates compare later
    rosters with.
    """
    owner = {"customer": customer_number}
    connection.execute(
        "DELETE FROM snapshot_parts WHERE snapshot_id IN (SELECT id FROM snapshots WHERE customer_id = :customer)",
        owner,
    )
    connection.execute("DELETE FROM snapshots WHERE customer_id = :customer", owner)
    number = int(connection.generate_ids("snapshots", 1)[0])
    connection.insert_frame(
        "snapshots",
        pl.DataFrame(
            {
                "id": [number],
                "customer_id": [customer_number],
                "run_id": [run],
                "type": [source.type],
                "name": [source.name],
                "version": [source.version],
                "sha256": [source.sha256],
                "fetched_at": [source.fetched_at],
                "complete": [source.complete],
                "rows": [dump_sorted_json(dict(source.rows))],
                "facts": [dump_sorted_json(dict(facts))],
            },
            schema_overrides={"id": pl.Int64, "customer_id": pl.Int64, "run_id": pl.Int64},
        ),
    )
    for part, frame in sorted(frames.items()):
        for place, rows in enumerate(frame.iter_slices(SLICE_ROWS) if frame.height else [frame]):
            connection.insert_frame(
                "snapshot_parts",
                pl.DataFrame(
                    {"snapshot_id": [number], "part": [part], "number": [place], "data": [_encode_parquet(rows)]},
                    schema={"snapshot_id": pl.Int64, "part": pl.String, "number": pl.Int64, "data": pl.Binary},
                ),
            )


#: The fact of a snapshot that says when a later roster was fetched that is doubtful and waits for approval.
OVERTAKEN = "overtaken"


def overtake_snapshot(connection: Connection, customer_number: CustomerNumber, fetched_at: Moment) -> None:
    """Mark the saved roster as older than a doubtful one. fetched_at: of the doubtful one, ISO 8601 in UTC."""
    facts = connection.fetch_scalar(
        "SELECT facts FROM snapshots WHERE customer_id = :customer", {"customer": customer_number}
    )
    if facts is not None:
        connection.execute(
            "UPDATE snapshots SET facts = :facts WHERE customer_id = :customer",
            {"customer": customer_number, "facts": dump_sorted_json({**orjson.loads(facts), OVERTAKEN: fetched_at})},
        )


def _encode_parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer, compression="zstd")
    return buffer.getvalue()
