"""The last good snapshot of a customer, back from the store as the value that a source gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from reconciler.model.diagnostic import Diagnostic, Refusal, error
from reconciler.oneroster.snapshot import ROLE_IDS_SCHEMA, SESSIONS_SCHEMA, Snapshot, SourceFacts
from reconciler.oneroster.sources.interface import Earlier
from reconciler.operations.own_part import WAITING
from reconciler.store.live import Store
from reconciler.store.reader import Reader
from reconciler.store.snapshots import OVERTAKEN

#: Where the facts of a source stand among those that are kept of a roster.
SOURCE = "source"
#: When the whole of it was fetched last.
WHOLE_AT = "whole_at"


def last_snapshot(reader: Reader, customer_id: int) -> Snapshot | None:
    """None where no roster was applied yet. Its diagnostics were told when it was read and are not kept."""
    kept = reader.last_snapshot(customer_id)
    if kept is None:
        return None
    meta, parts = kept
    source: Mapping[str, Any] = meta.facts.get(SOURCE, {})
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
        modes=source.get("modes", {}),
        sessions=parts.get("sessions", pl.DataFrame(schema=SESSIONS_SCHEMA)),
        facts=source_facts(meta.facts),
        waiting={part.removeprefix(WAITING): frame for part, frame in parts.items() if part.startswith(WAITING)},
        role_ids=parts.get("role_ids", pl.DataFrame(schema=ROLE_IDS_SCHEMA)),
        shared=bool(source.get("shared", False)),
    )


def last_snapshot_of(store: Store, customer: str) -> Snapshot | None:
    """What changes may be laid over, by the customer's name, in a view of its own: for a thread beside the one that
    reads the store. Raises Refusal where a later roster, which is not good yet, waits for a person: laid over the one
    before, changes would bring back what that one said."""
    with store.reading() as reader:
        record = reader.customers().get(customer)
        source = reader.last_source(record.id) if record else None
        if source is not None and source.facts.get(OVERTAKEN):
            raise Refusal([_overtaken(customer)])
        return last_snapshot(reader, record.id) if record else None


def _overtaken(customer: str) -> Diagnostic:
    return error(
        "delta-without-whole",
        "the roster before these changes waits for a person: there is none that they could be laid over",
        hint=f"approve what `reconciler holds` says of {customer}, or send a whole roster first",
    )


def earlier_roster(reader: Reader, customer_id: int | None) -> Earlier:
    """What a source may go on from. Nothing where no roster is kept, or where a later one waits, in whole or in part:
    what changed since names nobody of those who are held, and they would be forgotten."""
    source = reader.last_source(customer_id) if customer_id is not None else None
    if customer_id is None or source is None or source.facts.get(OVERTAKEN) or reader.roster_is_held(customer_id):
        return Earlier()
    return Earlier(
        since=source_facts(source.facts).modified_at,
        whole_at=source.facts.get(WHOLE_AT),
        rows=source_rows(source.rows, source.facts),
    )


def newest_roster(reader: Reader, customer_id: int | None) -> str | None:
    """When the newest roster that the store knows was fetched, ISO-8601 UTC: the last good one, or one after it that
    waits. None where there is none."""
    source = reader.last_source(customer_id) if customer_id is not None else None
    if source is None:
        return None
    later = source.facts.get(OVERTAKEN)
    # Older stores have no moment of what waits.
    return max(source.fetched_at, later) if isinstance(later, str) else source.fetched_at


def whole_at(snapshot: Snapshot, before: str | None) -> str | None:
    """When all of it was fetched last. before: of the roster before it."""
    return before if any(mode == "delta" for mode in snapshot.modes.values()) else snapshot.fetched_at


def kept_source(snapshot: Snapshot, kept: Mapping[str, pl.DataFrame]) -> dict[str, object]:
    """What is kept of a source beside its rows, as JSON takes it. kept: the snapshot's frames as they are stored.

    rows: of files that a bundle of changes (delta) was laid over, those of the roster that came of it.
    """
    changed = [stem for stem, mode in snapshot.modes.items() if mode == "delta" and stem in kept]
    return {
        **asdict(snapshot.facts),
        "files": list(snapshot.facts.files),
        "modes": dict(snapshot.modes),
        "rows": {stem: kept[stem].height for stem in changed},
        "shared": snapshot.shared or kept["orgs"].height < snapshot.orgs.height,
    }


def source_facts(facts: Mapping[str, Any]) -> SourceFacts:
    """facts: all that are kept of a roster; those of the source may be missing."""
    source: Mapping[str, Any] = facts.get(SOURCE, {})
    return SourceFacts(
        files=tuple(source.get("files", ())),
        system=source.get("system"),
        modified_at=source.get("modified_at"),
        packed_at=source.get("packed_at"),
    )


def source_rows(rows: Mapping[str, int], facts: Mapping[str, Any]) -> dict[str, int]:
    """Rows by file stem that the roster had: as they were read, or as changes made them."""
    source: Mapping[str, Any] = facts.get(SOURCE, {})
    return {**rows, **source.get("rows", {})}
