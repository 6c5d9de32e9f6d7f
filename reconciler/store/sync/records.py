"""When each customer is synced next, and what became of it last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from reconciler.store.database.connection import Connection

if TYPE_CHECKING:
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
WHOLE = frozenset({"customer_id", "tries"})

#: By the indexes and one column of each customer: nothing is parsed where nothing is due. A customer that another hand
#: changed has no digest and is looked at every time.
TO_BE_LOOKED_AT = """
SELECT c.slug FROM customers c LEFT JOIN syncs s ON s.customer_id = c.id
WHERE c.tombstoned_at IS NULL AND (
    s.next_at <= :now OR s.attempted_at > :ahead OR s.schedule IS NULL OR c.settings_digest IS NULL
    OR s.schedule <> c.settings_digest || :version
) ORDER BY c.slug
"""


def to_be_looked_at(connection: Connection, now: str, ahead: str, version: str) -> tuple[str, ...]:
    """Customers that may be due: whose moment has come, or whose configuration is not the one that it was told by, or
    whose last try is after `ahead`, by a clock that went wrong. version: what a schedule's digest ends with."""
    rows = connection.rows(TO_BE_LOOKED_AT, {"now": now, "ahead": ahead, "version": version})
    return tuple(str(slug) for (slug,) in rows)


def sync_records(connection: Connection, customer: int | None = None) -> dict[int, SyncRecord]:
    """By customer's id; of one, or of all."""
    which = "" if customer is None else " WHERE customer_id = :customer"
    rows = connection.rows(
        f"SELECT {', '.join(COLUMNS)} FROM syncs{which}", {} if customer is None else {"customer": customer}
    )
    return {row[0]: SyncRecord(*row) for row in rows}


def keep_sync(store: Store, record: SyncRecord, beside: Callable[[Connection], object] | None = None) -> None:
    """In place of what was known of the customer; nothing where the customer is gone for good. beside: writes what
    belongs to it, in the same transaction."""
    values = ", ".join(f"CAST(:{name} AS {'BIGINT' if name in WHOLE else 'TEXT'})" for name in COLUMNS)
    changed = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[1:])
    with store.connected() as connection, connection.writing():
        connection.execute(
            f"INSERT INTO syncs ({', '.join(COLUMNS)}) SELECT {values}"
            " WHERE EXISTS (SELECT 1 FROM customers WHERE id = :customer_id)"
            f" ON CONFLICT (customer_id) DO UPDATE SET {changed}",
            asdict(record),
        )
        if beside is not None:
            beside(connection)


#: Nothing where another process has looked at, or begun a sync of, the customer since.
KEEP_SCHEDULE = """
INSERT INTO syncs (customer_id, schedule, next_at, tries)
SELECT CAST(:customer AS BIGINT), CAST(:schedule AS TEXT), CAST(:next_at AS TEXT), 0
WHERE EXISTS (SELECT 1 FROM customers WHERE id = :customer)
ON CONFLICT (customer_id) DO UPDATE SET schedule = excluded.schedule, next_at = excluded.next_at
WHERE COALESCE(syncs.schedule, '') = :was AND COALESCE(syncs.attempted_at, '') = :attempted
"""


def keep_schedule(store: Store, read: SyncRecord, told: SyncRecord) -> None:
    """When the next fetch is, and by which configuration, and nothing else: what became of a sync is written under the
    customer's sync lock. read: what was known; told: the same with its schedule and next_at told anew."""
    with store.connected() as connection, connection.writing():
        connection.execute(
            KEEP_SCHEDULE,
            {
                "customer": told.customer_id,
                "schedule": told.schedule,
                "next_at": told.next_at,
                "was": read.schedule or "",
                "attempted": read.attempted_at or "",
            },
        )


def roster_is_held(connection: Connection, customer: int) -> bool:
    return held_of_roster(connection, customer) is not None


def held_of_roster(connection: Connection, customer: int) -> str | None:
    """The id of what its roster holds; None where it holds nothing."""
    held = "SELECT hold_id FROM holds WHERE customer_id = :customer AND scope = 'roster'"
    found = connection.scalar(held, {"customer": customer})
    return None if found is None else str(found)


def erasures(connection: Connection, customer: int) -> int:
    """The newest certificate by which somebody of the customer was erased, or may come back; 0 where there is none."""
    newest = connection.scalar(
        "SELECT max(t.id) FROM certificates t JOIN customers c ON c.slug = t.customer_slug"
        " WHERE c.id = :customer AND t.kind IN ('erase', 'lift')",
        {"customer": customer},
    )
    return int(newest or 0)
