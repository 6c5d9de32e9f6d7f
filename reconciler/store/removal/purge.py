"""Preview and run a purge: the deletion of a customer's data past its retention, in one transaction under its lock."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.ids import CustomerId, CustomerNumber, Moment
from reconciler.model.plan import CATALOG
from reconciler.store.database.connection import Connection
from reconciler.store.database.lock import lock_customer
from reconciler.store.open import Store
from reconciler.store.removal import rows
from reconciler.store.removal.certificates import Certificate, CertificateKind, issue_certificate
from reconciler.store.removal.retention import DeletionSpan, RetentionCounts, find_expired_rows
from reconciler.store.removal.volatile import count_volatile_rows, enable_secure_delete, remove_volatile_rows
from reconciler.store.sync.held_plans import count_held_plans, delete_held_plans

#: Held plans contain names too, and are too old to approve after the retention period.
HELD_PLANS = "held_plans"


@dataclass(frozen=True, slots=True)
class PurgePreview:
    """The rows that a purge of a customer would delete."""

    #: number of rows to purge by table
    counts: Mapping[str, int]
    #: when the rows were deleted, by table
    spans: Mapping[str, DeletionSpan]
    retention: RetentionCounts
    #: when the customer was removed, if all of it is to be purged; else None
    customer_removed_at: Moment | None = None
    #: number of active accounts that a purge of the whole customer deletes
    people: int = 0


NOTHING_TO_PURGE = PurgePreview({}, {}, RetentionCounts())


def build_purge_preview(store: Store, slug: CustomerId, cut: Moment, *, is_configured: bool) -> PurgePreview:
    """Return the rows that a purge of a customer would delete.

    cut: rows deleted before this moment are purged. is_configured: True if the YAML files contain the customer, so
    that the customer itself stays.
    """
    with store.open_connection() as connection, connection.open_read_transaction():
        customer, removed_at = _find_customer(connection, slug)
        if removed_at is not None and removed_at < cut and not is_configured:
            accounts = _list_accounts(connection, customer)
            counts = rows.count_rows(connection, rows.CUSTOMER_TARGETS, {"customer": customer})
            people = connection.fetch_scalar(
                "SELECT count(*) FROM accounts WHERE customer_id = :customer AND tombstoned_at IS NULL",
                {"customer": customer},
            )
            counts |= count_volatile_rows(store, accounts)
            return PurgePreview(counts, {}, RetentionCounts(), removed_at, int(people))
        expired = find_expired_rows(connection, store, customer, cut)
        with rows.stage_doomed_ids(connection, expired.ids):
            counts = rows.count_rows(connection, rows.ROW_TARGETS, {})
        counts |= count_volatile_rows(store, expired.ids.get("accounts", pl.Series([], dtype=pl.Int64)))
        if customer is not None and (plans := count_held_plans(connection, customer, cut)):
            counts[HELD_PLANS] = plans
        return PurgePreview(counts, expired.spans, expired.retention)


def purge_customer(
    store: Store,
    slug: CustomerId,
    cut: Moment,
    *,
    is_configured: bool,
    now: Moment,
    actor: str,
    lock_timeout: float = 0.0,
) -> Certificate | None:
    """Delete what `build_purge_preview` returns by now; return the certificate, or None if nothing is left to purge.

    lock_timeout: seconds. Raises StoreProblem if the customer is locked or the database fails; then nothing durable is
    deleted.
    """
    with lock_customer(store.dialect, slug, lock_timeout) as connection:
        enable_secure_delete(connection)
        with connection.open_write_transaction():
            customer, removed_at = _find_customer(connection, slug, lock=True)
            # A key that nobody else may take any more says nothing of its former customer.
            connection.execute("DELETE FROM lti_platforms WHERE reserved_until <= :now", {"now": now})
            if customer is not None and removed_at is not None and removed_at < cut and not is_configured:
                counts = remove_customer_rows(connection, store, customer)
            else:
                counts = _remove_expired_rows(connection, store, customer, cut)
            if not counts:
                return None
            certificate = Certificate(0, CertificateKind.PURGE, slug, cut, now, actor, counts)
            return issue_certificate(connection, store.key, certificate)


def remove_customer_rows(connection: Connection, store: Store, customer_number: CustomerNumber) -> rows.RowCounts:
    """Delete all rows of a customer, active or not, and return their numbers by table. Call inside a write
    transaction.
    """
    volatile = remove_volatile_rows(store, _list_accounts(connection, customer_number))
    return rows.remove_rows(connection, rows.CUSTOMER_TARGETS, {"customer": customer_number}) | volatile


def _remove_expired_rows(
    connection: Connection, store: Store, customer_number: CustomerNumber | None, cut: Moment
) -> rows.RowCounts:
    expired = find_expired_rows(connection, store, customer_number, cut)
    volatile = remove_volatile_rows(store, expired.ids.get("accounts", pl.Series([], dtype=pl.Int64)))
    plans = 0
    if customer_number is not None:
        plans = delete_held_plans(connection, customer_number, cutoff=cut)
        rows.delete_run_effects(connection, customer_number, cutoff=cut)
    with rows.preserve_write_counters(connection, customer_number), rows.stage_doomed_ids(connection, expired.ids):
        rows.blank_limit_uses(connection)
        return rows.remove_rows(connection, rows.ROW_TARGETS, {}) | volatile | ({HELD_PLANS: plans} if plans else {})


def _find_customer(
    connection: Connection, slug: CustomerId, *, lock: bool = False
) -> tuple[CustomerNumber | None, Moment | None]:
    """Return the customer's id, or None for the catalog, and the moment it was removed, or None if it is active."""
    if slug == CATALOG:
        return None, None
    locked = connection.dialect.for_update if lock else ""
    row = connection.fetch_row(f"SELECT id, tombstoned_at FROM customers WHERE slug = :slug{locked}", {"slug": slug})
    if row is None:
        # Another process has just purged it: -1 matches no rows.
        return CustomerNumber(-1), None
    return CustomerNumber(int(row[0])), row[1]


def _list_accounts(connection: Connection, customer_number: CustomerNumber | None) -> pl.Series:
    return connection.fetch_frame(
        "SELECT id FROM accounts WHERE customer_id = :customer", {"id": pl.Int64}, {"customer": customer_number}
    )["id"]
