"""When each customer is synced next, and what became of it last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from reconciler.store.connection import Connection

if TYPE_CHECKING:
    from reconciler.store.live import Store


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
    s.next_at <= :now OR s.schedule IS NULL OR c.settings_digest IS NULL OR s.schedule <> c.settings_digest || :version
) ORDER BY c.slug
"""


def to_be_looked_at(connection: Connection, now: str, version: str) -> tuple[str, ...]:
    """Customers that may be due: whose moment has come, or whose configuration is not the one that it was told by.
    version: what a schedule's digest ends with."""
    rows = connection.rows(TO_BE_LOOKED_AT, {"now": now, "version": version})
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


def roster_is_held(connection: Connection, customer: int) -> bool:
    held = "SELECT 1 FROM holds WHERE customer_id = :customer AND scope = 'roster'"
    return bool(connection.rows(held, {"customer": customer}))


def erasures(connection: Connection, customer: int) -> int:
    """How many traces of erased people keep somebody out."""
    return int(connection.scalar("SELECT count(*) FROM erased WHERE customer_id = :customer", {"customer": customer}))
