"""The end of retention for one customer: what would go, and its removal in one transaction under its lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from reconciler.model.plan import CATALOGUE
from reconciler.store.database.connection import Connection
from reconciler.store.database.lock import customer_lock
from reconciler.store.open import Store
from reconciler.store.removal.certificates import Certificate, CertificateKind, issue
from reconciler.store.removal.retention import Kept, Span, past_retention
from reconciler.store.removal.rows import OF_CUSTOMER, OF_ROWS, Counts, counted, remove, staged, undoubted
from reconciler.store.removal.volatile import count_volatile, overwrite_freed, remove_volatile
from reconciler.store.sync.held_plans import count_held_plans, forget_held_plans

#: What waits for a person is full of names as well; what was compared so long ago is no basis for approving anything.
HELD_PLANS = "held_plans"


@dataclass(frozen=True, slots=True)
class Purgeable:
    """counts: rows by table that would go. spans: of what was deleted itself, by table, since when. whole: when the
    customer was removed, where all of it would go; people: how many accounts go with it that were not deleted."""

    counts: Mapping[str, int]
    spans: Mapping[str, Span]
    kept: Kept
    whole: str | None = None
    people: int = 0


def purgeable(store: Store, slug: str, cut: str, *, declared: bool) -> Purgeable:
    """cut: what was deleted before this moment goes. declared: the files have the customer (again), so that it stays
    whatever the store says."""
    with store.connected() as connection, connection.reading():
        customer, removed_at = _customer(connection, slug)
        if removed_at is not None and removed_at < cut and not declared:
            accounts = _accounts(connection, customer)
            counts = counted(connection, OF_CUSTOMER, {"customer": customer})
            people = connection.scalar(
                "SELECT count(*) FROM accounts WHERE customer_id = :customer AND tombstoned_at IS NULL",
                {"customer": customer},
            )
            counts |= count_volatile(store, accounts)
            return Purgeable(counts, {}, Kept(), removed_at, int(people))
        past = past_retention(connection, store, customer, cut)
        with staged(connection, past.ids):
            counts = counted(connection, OF_ROWS, {})
        counts |= count_volatile(store, past.ids.get("accounts", pl.Series([], dtype=pl.Int64)))
        if customer is not None and (plans := count_held_plans(connection, customer, cut)):
            counts[HELD_PLANS] = plans
        return Purgeable(counts, past.spans, past.kept)


def purge_customer(
    store: Store, slug: str, cut: str, *, declared: bool, now: str, actor: str, lock_timeout: float = 0.0
) -> Certificate | None:
    """As `purgeable` says it by then; None where nothing is left to go. Raises StoreProblem where the customer is
    locked or the database refuses; nothing durable is removed then."""
    with customer_lock(store, slug, lock_timeout) as connection:
        overwrite_freed(connection)
        with connection.writing():
            customer, removed_at = _customer(connection, slug, lock=True)
            if removed_at is not None and removed_at < cut and not declared:
                counts = _all_of(connection, store, customer)
            else:
                counts = _past(connection, store, customer, cut)
            if not counts:
                return None
            certificate = Certificate(0, CertificateKind.PURGE, slug, cut, now, actor, counts)
            return issue(connection, store.key, certificate)


def remove_customer(connection: Connection, store: Store, customer: int) -> Counts:
    """All of it, whether deleted before or not. Inside a writing transaction."""
    return _all_of(connection, store, customer)


def _past(connection: Connection, store: Store, customer: int | None, cut: str) -> Counts:
    past = past_retention(connection, store, customer, cut)
    volatile = remove_volatile(store, past.ids.get("accounts", pl.Series([], dtype=pl.Int64)))
    plans = forget_held_plans(connection, customer, before=cut) if customer is not None else 0
    with undoubted(connection, customer), staged(connection, past.ids):
        return remove(connection, OF_ROWS, {}) | volatile | ({HELD_PLANS: plans} if plans else {})


def _all_of(connection: Connection, store: Store, customer: int | None) -> Counts:
    volatile = remove_volatile(store, _accounts(connection, customer))
    return remove(connection, OF_CUSTOMER, {"customer": customer}) | volatile


def _customer(connection: Connection, slug: str, *, lock: bool = False) -> tuple[int | None, str | None]:
    """Its id, None for the catalogue, and when it was removed."""
    if slug == CATALOGUE:
        return None, None
    locked = connection.dialect.for_update if lock else ""
    row = connection.row(f"SELECT id, tombstoned_at FROM customers WHERE slug = :slug{locked}", {"slug": slug})
    if row is None:
        # Another process removed it a moment ago: nothing is left.
        return -1, None
    return int(row[0]), row[1]


def _accounts(connection: Connection, customer: int | None) -> pl.Series:
    return connection.frame(
        "SELECT id FROM accounts WHERE customer_id = :customer", {"id": pl.Int64}, {"customer": customer}
    )["id"]
