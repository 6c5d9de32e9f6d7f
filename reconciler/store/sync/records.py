"""When each customer is synced next, and what became of it last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

from reconciler.store.database.connection import Connection
from reconciler.store.open import Store


@dataclass(frozen=True, slots=True)
class SyncRecord:
    """As `store.tables.syncs` has it; moments as in the whole store."""

    customer_id: int
    schedule: str | None = None
    next_at: str | None = None
    first_at: str | None = None
    attempted_at: str | None = None
    tries: int = 0
    outcome: str | None = None
    since: str | None = None
    fresh_at: str | None = None
    changed_at: str | None = None
    whole_at: str | None = None
    stale_since: str | None = None
    sha256: str | None = None
    settled: str | None = None
    settled_until: str | None = None


COLUMNS = tuple(each.name for each in fields(SyncRecord))
#: Of these, the ones that are whole numbers.
NUMBER_COLUMNS = frozenset({"customer_id", "tries"})

#: By the indexes and one column of each customer: nothing is parsed where nothing is due. A customer that another hand
#: changed has no digest and is looked at every time.
SYNC_CANDIDATES_SQL = """
SELECT c.slug FROM customers c LEFT JOIN syncs s ON s.customer_id = c.id
WHERE c.tombstoned_at IS NULL AND (
    s.next_at <= :now OR s.attempted_at > :ahead OR s.schedule IS NULL OR c.settings_digest IS NULL
    OR s.schedule <> c.settings_digest || :version
) ORDER BY c.slug
"""


def list_sync_candidates(connection: Connection, now: str, ahead: str, version: str) -> tuple[str, ...]:
    """Customers that may be due: whose moment has come, or whose configuration is not the one that it was told by, or
    whose last try is after `ahead`, by a clock that went wrong. version: what a schedule's digest ends with."""
    rows = connection.fetch_rows(SYNC_CANDIDATES_SQL, {"now": now, "ahead": ahead, "version": version})
    return tuple(str(slug) for (slug,) in rows)


def read_sync_records(connection: Connection, customer_number: int | None = None) -> dict[int, SyncRecord]:
    """By customer's id; of one, or of all."""
    which = "" if customer_number is None else " WHERE customer_id = :customer"
    rows = connection.fetch_rows(
        f"SELECT {', '.join(COLUMNS)} FROM syncs{which}",
        {} if customer_number is None else {"customer": customer_number},
    )
    return {row[0]: SyncRecord(*row) for row in rows}


def save_sync(store: Store, record: SyncRecord, write_related: Callable[[Connection], object] | None = None) -> None:
    """In place of what was known of the customer; nothing where the customer is gone for good. beside: writes what
    belongs to it, in the same transaction."""
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


#: Nothing where another process has looked at, or begun a sync of, the customer since.
SAVE_SCHEDULE_SQL = """
INSERT INTO syncs (customer_id, schedule, next_at, tries)
SELECT CAST(:customer AS BIGINT), CAST(:schedule AS TEXT), CAST(:next_at AS TEXT), 0
WHERE EXISTS (SELECT 1 FROM customers WHERE id = :customer)
ON CONFLICT (customer_id) DO UPDATE SET schedule = excluded.schedule, next_at = excluded.next_at
WHERE COALESCE(syncs.schedule, '') = :was AND COALESCE(syncs.attempted_at, '') = :attempted
"""


def save_schedule(store: Store, previous: SyncRecord, current: SyncRecord) -> None:
    """When the next fetch is, and by which configuration, and nothing else: what became of a sync is written under the
    customer's sync lock. read: what was known; told: the same with its schedule and next_at told anew."""
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


def find_roster_hold(connection: Connection, customer_number: int) -> str | None:
    """The id of what its roster holds; None where it holds nothing."""
    held = "SELECT hold_id FROM holds WHERE customer_id = :customer AND scope = 'roster'"
    found = connection.fetch_scalar(held, {"customer": customer_number})
    return None if found is None else str(found)


def find_newest_erasure(connection: Connection, customer_number: int) -> int:
    """The newest certificate by which somebody of the customer was erased, or may come back; 0 where there is none."""
    newest = connection.fetch_scalar(
        "SELECT max(t.id) FROM certificates t JOIN customers c ON c.slug = t.customer_slug"
        " WHERE c.id = :customer AND t.kind IN ('erase', 'lift')",
        {"customer": customer_number},
    )
    return int(newest or 0)
