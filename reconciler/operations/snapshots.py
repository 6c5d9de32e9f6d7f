"""The last good snapshot of a customer, back from the store as the value that a source gives."""

from __future__ import annotations

from reconciler.oneroster.snapshot import Snapshot
from reconciler.store.reader import Reader


def last_snapshot(reader: Reader, customer_id: int) -> Snapshot | None:
    """None where no roster was applied yet. Its diagnostics were told when it was read and are not kept."""
    kept = reader.last_snapshot(customer_id)
    if kept is None:
        return None
    meta, parts = kept
    return Snapshot(
        version=meta.version,
        type=meta.type,
        name=meta.name,
        sha256=meta.sha256,
        fetched_at=meta.fetched_at,
        complete=meta.complete,
        rows=meta.rows,
        orgs=parts["orgs"],
        users=parts["users"],
        roles=parts["roles"],
        classes=parts["classes"],
        enrollments=parts["enrollments"],
        quarantine=parts["quarantine"],
        diagnostics=(),
    )
