"""Read and save the sync state of each customer: its schedule and last result."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

from reconciler.model.ids import CustomerId, CustomerNumber, HoldId, Moment
from reconciler.store.database.connection import Connection
from reconciler.store.open import Store


@dataclass(frozen=True, slots=True)
class SyncRecord:
    """The sync state of a customer; fields as in `store.tables.syncs`."""

    customer_id: CustomerNumber
    schedule: str | None = None
    next_at: Moment | None = None
    first_at: Moment | None = None
    attempted_at: Moment | None = None
    tries: int = 0
    outcome: str | None = None
    since: Moment | None = None
    fresh_at: Moment | None = None
    changed_at: Moment | None = None
    whole_at: Moment | None = None
    stale_since: Moment | None = None
    sha256: str | None = None
    settled: str | None = None
    settled_until: str | None = None


COLUMNS = tuple(each.name for each in fields(SyncRecord))
NUMBER_COLUMNS = frozenset({"customer_id", "tries"})

#: Uses indexes and one column of each customer, so that no document is parsed if nothing is due. A customer changed
#: outside reconciler has no digest and is always a candidate.
SYNC_CANDIDATES_SQL = """
SELECT c.slug FROM customers c LEFT JOIN syncs s ON s.customer_id = c.id
WHERE c.tombstoned_at IS NULL AND (
    s.next_at <= :now OR s.attempted_at > :ahead OR s.schedule IS NULL OR c.settings_digest IS NULL
    OR s.schedule <> c.settings_digest || :version
) ORDER BY c.slug
"""


def list_sync_candidates(connection: Connection, now: Moment, ahead: str, version: str) -> tuple[CustomerId, ...]:
    """Return the customers that may be due for a sync.

    They are those that are scheduled by `now`, whose settings changed since they were scheduled, or whose last attempt
    is after `ahead` because a clock was wrong. version: the suffix of a schedule's digest.
    """
    rows = connection.fetch_rows(SYNC_CANDIDATES_SQL, {"now": now, "ahead": ahead, "version": version})
    return tuple(CustomerId(slug) for (slug,) in rows)


def read_sync_records(
    connection: Connection, customer_number: CustomerNumber | None = None
) -> dict[CustomerNumber, SyncRecord]:
    """Return the sync state of one customer, or of all (None), by customer number."""
    which = "" if customer_number is None else " WHERE customer_id = :customer"
    rows = connection.fetch_rows(
        f"SELECT {', '.join(COLUMNS)} FROM syncs{which}",
        {} if customer_number is None else {"customer": customer_number},
    )
    return {row[0]: SyncRecord(*row) for row in rows}


def save_sync(store: Store, record: SyncRecord, write_related: Callable[[Connection], object] | None = None) -> None:
    """Replace the sync state of a customer; do nothing if the customer was purged or erased.

    write_related: writes related rows in the same transaction; None to write none.
    """
    values = ", ".join(f"CAST(:{name} AS {'BIGINT' if name in NUMBER_COLUMNS else 'TEXT'})" for name in COLUMNS)
    changed = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
    with store.open_connection() as connection, connection.open_write_transaction():
        connection.execute(
            f"INSERT INTO syncs ({', '.join(COLUMNS)}) SELECT {values}"
            " WHERE EXISTS (SELECT 1 FROM customers WHERE id = :customer_id)"
            f" ON CONFLICT (customer_id) DO UPDATE SET {changed}",
            asdict(record),
        )
        if write_related is not None:
            write_related(connection)


#: Writes nothing if another process has since rescheduled the customer or begun to sync it.
SAVE_SCHEDULE_SQL = """
INSERT INTO syncs (customer_id, schedule, next_at, tries)
SELECT CAST(:customer AS BIGINT), CAST(:schedule AS TEXT), CAST(:next_at AS TEXT), 0
WHERE EXISTS (SELECT 1 FROM customers WHERE id = :customer)
ON CONFLICT (customer_id) DO UPDATE SET schedule = excluded.schedule, next_at = excluded.next_at
WHERE COALESCE(syncs.schedule, '') = :was AND COALESCE(syncs.attempted_at, '') = :attempted
"""


def save_schedule(store: Store, previous: SyncRecord, current: SyncRecord) -> None:
    """Save only schedule and next_at of `current`: the other fields are written under the customer's sync lock.

    previous: the state as it was read.
    """
    with store.open_connection() as connection, connection.open_write_transaction():
        connection.execute(
            SAVE_SCHEDULE_SQL,
            {
                "customer": current.customer_id,
                "schedule": current.schedule,
                "next_at": current.next_at,
                "was": previous.schedule or "",
                "attempted": previous.attempted_at or "",
            },
        )


def find_roster_hold(connection: Connection, customer_number: CustomerNumber) -> HoldId | None:
    """Return the id of a customer's roster hold, or None."""
    sql = "SELECT hold_id FROM holds WHERE customer_id = :customer AND scope = 'roster'"
    hold = connection.fetch_scalar(sql, {"customer": customer_number})
    return None if hold is None else HoldId(hold)


def find_newest_erasure(connection: Connection, customer_number: CustomerNumber) -> int:
    """Return the id of the customer's newest certificate of an erasure or its lifting, or 0."""
    newest = connection.fetch_scalar(
        "SELECT max(t.id) FROM certificates t JOIN customers c ON c.slug = t.customer_slug"
        " WHERE c.id = :customer AND t.kind IN ('erase', 'lift')",
        {"customer": customer_number},
    )
    return int(newest or 0)
