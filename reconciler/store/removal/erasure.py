"""Removing one person, or all of a removed customer, at somebody's request: from rows, journal, last roster and the
volatile side, for good. What is left is a trace that knows the person again and says nothing of them."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from reconciler.store.database.connection import Connection
from reconciler.store.database.lock import customer_lock
from reconciler.store.errors import StoreProblem
from reconciler.store.key import StoreKey
from reconciler.store.open import Store
from reconciler.store.read.before_images import erasure_trace
from reconciler.store.removal.certificates import Certificate, CertificateKind, certificates, issue
from reconciler.store.removal.person import (
    KnownPerson,
    identity_images,
    known_person,
    named_in_documents,
    named_in_holds,
    named_in_snapshot,
    unbound_person,
)
from reconciler.store.removal.purge import remove_customer
from reconciler.store.removal.rows import OF_CUSTOMER, OF_ROWS, Counts, Ids, counted, remove, staged, undoubted
from reconciler.store.removal.volatile import count_volatile, overwrite_freed, remove_volatile
from reconciler.store.sync.held_plans import count_held_plans, forget_held_plans

#: What a certificate counts beside rows of tables.
IMAGES, ROSTER_ROWS, SENTENCES, HELD_PLANS = "documents", "roster_rows", "sentences", "held_plans"


def count_person(store: Store, customer: int, who: int | str) -> Counts:
    """What would go, by table. who: an account's id, or the sourcedId of somebody whom no account has."""
    with store.connected() as connection, connection.reading():
        person = _person(connection, customer, who)
        with staged(connection, _ids(connection, customer, person)):
            counts = counted(connection, OF_ROWS, {})
        counts |= _in_texts(connection, customer, person, remove=False)
        return counts | count_volatile(store, person.accounts, person.values)


def count_customer(store: Store, customer: int) -> Counts:
    with store.connected() as connection, connection.reading():
        accounts = connection.frame(
            "SELECT id FROM accounts WHERE customer_id = :customer", {"id": pl.Int64}, {"customer": customer}
        )
        return counted(connection, OF_CUSTOMER, {"customer": customer}) | count_volatile(store, accounts["id"])


def erase_person(
    store: Store,
    slug: str,
    customer: int,
    who: int | str,
    *,
    request: str,
    now: str,
    actor: str,
    lock_timeout: float = 0.0,
) -> Certificate:
    """who: as in `count_person`. Raises StoreProblem where the customer is locked, the account is gone or an
    administrator's, or the database refuses; nothing durable is removed then."""
    with customer_lock(store, slug, lock_timeout) as connection:
        overwrite_freed(connection)
        with connection.writing():
            connection.rows(
                f"SELECT id FROM customers WHERE id = :customer{connection.dialect.for_update}", {"customer": customer}
            )
            person = _person(connection, customer, who)
            volatile = remove_volatile(store, person.accounts, person.values)
            texts = _in_texts(connection, customer, person, remove=True)
            with undoubted(connection, customer), staged(connection, _ids(connection, customer, person)):
                counts = remove(connection, OF_ROWS, {}) | texts | volatile
            certificate = issue(
                connection, store.key, Certificate(0, CertificateKind.ERASE, slug, request, now, actor, counts)
            )
            _remember(connection, store.key, customer, person, certificate.id)
            return certificate


def erase_customer(
    store: Store, slug: str, customer: int, *, request: str, now: str, actor: str, lock_timeout: float = 0.0
) -> Certificate:
    """All of a customer. Raises StoreProblem where it came back meanwhile, is locked, or the database refuses."""
    with customer_lock(store, slug, lock_timeout) as connection:
        overwrite_freed(connection)
        with connection.writing():
            lock = connection.dialect.for_update
            removed = connection.scalar(
                f"SELECT tombstoned_at FROM customers WHERE id = :customer{lock}", {"customer": customer}
            )
            if removed is None:
                raise StoreProblem(
                    "customer-there",
                    f"{slug} is there again; nothing of it was erased",
                    "Look at `reconciler history`.",
                )
            counts = remove_customer(connection, store, customer)
            return issue(
                connection, store.key, Certificate(0, CertificateKind.ERASE, slug, request, now, actor, counts)
            )


def lift(
    store: Store, slug: str, customer: int, sourced_id: str, *, request: str, now: str, actor: str
) -> Certificate | None:
    """Lets somebody who was erased come back by a roster; None where nobody of this sourcedId was."""
    with customer_lock(store, slug) as connection, connection.writing():
        trace = {"customer": customer, "trace": erasure_trace(store.key, customer, sourced_id)}
        known = connection.scalar("SELECT 1 FROM erased WHERE customer_id = :customer AND trace = :trace", trace)
        if not known:
            return None
        connection.execute("DELETE FROM erased WHERE customer_id = :customer AND trace = :trace", trace)
        return issue(
            connection, store.key, Certificate(0, CertificateKind.LIFT, slug, request, now, actor, {"erased": 1})
        )


def erased_by(store: Store, customer: int, sourced_id: str) -> Certificate | None:
    """The certificate of somebody who was erased; None where nobody of this sourcedId was."""
    with store.connected() as connection, connection.reading():
        number = connection.scalar(
            "SELECT certificate_id FROM erased WHERE customer_id = :customer AND trace = :trace",
            {"customer": customer, "trace": erasure_trace(store.key, customer, sourced_id)},
        )
        return next((each for each in certificates(connection) if each.id == number), None)


def configured(connection: Connection, account: int) -> bool:
    """Whether the configuration names this account as an administrator's today."""
    return bool(
        connection.scalar(
            "SELECT count(*) FROM accounts a JOIN identities i ON i.account_id = a.id"
            " JOIN issuers x ON x.id = i.issuer_id AND x.kind = 'config'"
            " JOIN customers c ON c.id = a.customer_id AND c.tombstoned_at IS NULL"
            " WHERE a.id = :account AND a.tombstoned_at IS NULL AND a.managed_by = 'config'",
            {"account": account},
        )
    )


def classes_of(store: Store, account: int) -> tuple[str, ...]:
    """Titles of the classes that the account is in now."""
    with store.connected() as connection:
        rows = connection.rows(
            "SELECT DISTINCT coalesce(c.title, c.sourced_id) FROM enrollments e JOIN classes c ON c.id = e.class_id"
            " WHERE e.account_id = :account AND e.tombstoned_at IS NULL AND c.tombstoned_at IS NULL ORDER BY 1",
            {"account": account},
        )
    return tuple(str(title) for (title,) in rows)


def _person(connection: Connection, customer: int, who: int | str) -> KnownPerson:
    if isinstance(who, str):
        return unbound_person(who)
    owner = connection.scalar("SELECT customer_id FROM accounts WHERE id = :account", {"account": who})
    if owner != customer:
        raise StoreProblem("unknown-person", "this person is not there any more; nothing was erased", "Look again.")
    return known_person(connection, customer, who)


def _ids(connection: Connection, customer: int, person: KnownPerson) -> Ids:
    return {
        "accounts": person.accounts,
        "enrollments": person.enrollments,
        "journal": identity_images(connection, customer, person),
    }


def _in_texts(connection: Connection, customer: int, person: KnownPerson, *, remove: bool) -> Counts:
    counts = {
        IMAGES: named_in_documents(connection, customer, person, remove=remove),
        ROSTER_ROWS: named_in_snapshot(connection, customer, person, remove=remove),
        SENTENCES: named_in_holds(connection, customer, person, remove=remove),
        # Whether it names the person is not asked: a sync makes it anew.
        HELD_PLANS: (forget_held_plans if remove else count_held_plans)(connection, customer),
    }
    return {name: number for name, number in counts.items() if number}


def _remember(connection: Connection, key: StoreKey, customer: int, person: KnownPerson, certificate: int) -> None:
    """Every sourcedId that the person ever had here, as a trace."""
    traces: Iterable[str] = (erasure_trace(key, customer, each) for each in person.sourced_ids)
    for trace in traces:
        connection.execute(
            "INSERT INTO erased (customer_id, trace, certificate_id) VALUES (:customer, :trace, :certificate)"
            " ON CONFLICT (customer_id, trace) DO UPDATE SET certificate_id = excluded.certificate_id",
            {"customer": customer, "trace": trace, "certificate": certificate},
        )
