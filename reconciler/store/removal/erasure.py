"""Erase a person or a removed customer permanently from rows, journal, last roster and the volatile tables.

An anonymous record remains, by which the store recognizes an erased person.
"""

from dataclasses import dataclass

import polars as pl

from reconciler.model.ids import CustomerId, CustomerNumber, Moment, SourcedId
from reconciler.store.database.connection import Connection
from reconciler.store.database.lock import lock_customer
from reconciler.store.erased_people import list_anonymous_records, list_forms, make_anonymous_record
from reconciler.store.errors import StoreProblem
from reconciler.store.key import StoreKey
from reconciler.store.open import Store
from reconciler.store.removal.certificates import Certificate, CertificateKind, issue_certificate, list_certificates
from reconciler.store.removal.image_digests import digest_cleared_images
from reconciler.store.removal.person import (
    PersonIdentifiers,
    build_unbound_person,
    count_document_mentions,
    count_hold_mentions,
    count_snapshot_mentions,
    find_identity_images,
    load_person,
)
from reconciler.store.removal.purge import remove_customer_rows
from reconciler.store.removal.rows import (
    CUSTOMER_TARGETS,
    ROW_TARGETS,
    IdsByTable,
    RowCounts,
    blank_limit_uses,
    count_rows,
    delete_run_effects,
    preserve_write_counters,
    remove_rows,
    stage_doomed_ids,
)
from reconciler.store.removal.volatile import count_volatile_rows, enable_secure_delete, remove_volatile_rows
from reconciler.store.sync.held_plans import count_held_plans, delete_held_plans

#: The counts of a certificate besides the rows of tables.
IMAGES, ROSTER_ROWS, SENTENCES, HELD_PLANS = "documents", "roster_rows", "sentences", "held_plans"


def count_person_rows(store: Store, customer_number: CustomerNumber, who: int | SourcedId) -> RowCounts:
    """Return the numbers of rows, by table, that erasing a person would delete.

    who: an account's id, or a sourcedId without an account.
    """
    with store.open_connection() as connection, connection.open_read_transaction():
        person = _find_person(connection, customer_number, who)
        with stage_doomed_ids(connection, _collect_ids(connection, customer_number, person)):
            counts = count_rows(connection, ROW_TARGETS, {})
        counts |= _count_or_remove_mentions(connection, customer_number, person, remove=False)
        return counts | count_volatile_rows(store, person.accounts, person.values)


def count_customer_rows(store: Store, customer_number: CustomerNumber) -> RowCounts:
    """Return the numbers of rows, by table, that erasing a customer would delete."""
    with store.open_connection() as connection, connection.open_read_transaction():
        accounts = connection.fetch_frame(
            "SELECT id FROM accounts WHERE customer_id = :customer", {"id": pl.Int64}, {"customer": customer_number}
        )
        return count_rows(connection, CUSTOMER_TARGETS, {"customer": customer_number}) | count_volatile_rows(
            store, accounts["id"]
        )


@dataclass(frozen=True, slots=True)
class ErasureJob:
    """A request to erase a person or a customer, or to lift an erasure."""

    slug: CustomerId
    customer_number: CustomerNumber
    #: reference of the request, which the certificate keeps
    request: str
    now: Moment
    actor: str
    #: seconds to wait for an apply of the same customer
    lock_timeout: float = 0.0

    def issue_certificate(
        self, connection: Connection, key: StoreKey, kind: CertificateKind, counts: RowCounts
    ) -> Certificate:
        certificate = Certificate(0, kind, self.slug, self.request, self.now, self.actor, counts)
        return issue_certificate(connection, key, certificate)


def erase_person(store: Store, job: ErasureJob, who: int | SourcedId) -> Certificate:
    """Delete one person permanently. who: as in `count_person_rows`.

    Raises StoreProblem if the customer is locked, the account no longer exists or the database fails; then nothing
    durable is deleted.
    """
    customer_number = job.customer_number
    with lock_customer(store.dialect, job.slug, job.lock_timeout) as connection:
        enable_secure_delete(connection)
        with connection.open_write_transaction():
            connection.fetch_rows(
                f"SELECT id FROM customers WHERE id = :customer{connection.dialect.for_update}",
                {"customer": customer_number},
            )
            person = _find_person(connection, customer_number, who)
            volatile = remove_volatile_rows(store, person.accounts, person.values)
            texts = _count_or_remove_mentions(connection, customer_number, person, remove=True)
            digest_cleared_images(connection, store.key)
            # A digest does not show whose effect it is, so all of the customer's are deleted.
            delete_run_effects(connection, customer_number)
            with (
                preserve_write_counters(connection, customer_number),
                stage_doomed_ids(connection, _collect_ids(connection, customer_number, person)),
            ):
                blank_limit_uses(connection)
                counts = remove_rows(connection, ROW_TARGETS, {}) | texts | volatile
            certificate = job.issue_certificate(connection, store.key, CertificateKind.ERASE, counts)
            _save_anonymous_records(connection, store.key, customer_number, person, certificate.id)
            return certificate


def erase_customer(store: Store, job: ErasureJob) -> Certificate:
    """Delete all data of a customer permanently.

    Raises StoreProblem if the customer is active again or locked, or if the database fails.
    """
    with lock_customer(store.dialect, job.slug, job.lock_timeout) as connection:
        enable_secure_delete(connection)
        with connection.open_write_transaction():
            lock = connection.dialect.for_update
            removed = connection.fetch_scalar(
                f"SELECT tombstoned_at FROM customers WHERE id = :customer{lock}", {"customer": job.customer_number}
            )
            if removed is None:
                raise StoreProblem(
                    "customer-there",
                    f"customer {job.slug} is active again; nothing was erased",
                    "Check `reconciler history`.",
                )
            counts = remove_customer_rows(connection, store, job.customer_number)
            return job.issue_certificate(connection, store.key, CertificateKind.ERASE, counts)


def lift_erasure(store: Store, job: ErasureJob, sourced_id: SourcedId) -> Certificate | None:
    """Let a roster add an erased person again. Return None if nobody of this sourcedId was erased."""
    number = job.customer_number
    with (
        lock_customer(store.dialect, job.slug, job.lock_timeout) as connection,
        connection.open_write_transaction(),
    ):
        removed = 0
        for trace in list_anonymous_records(store.key, number, sourced_id):
            facts = {"customer": number, "trace": trace}
            found = "FROM erased WHERE customer_id = :customer AND trace = :trace"
            removed += len(connection.fetch_rows(f"SELECT 1 {found}", facts))
            connection.execute(f"DELETE {found}", facts)
        if not removed:
            return None
        return job.issue_certificate(connection, store.key, CertificateKind.LIFT, {"erased": 1})


def find_erasure_certificate(
    store: Store, customer_number: CustomerNumber, sourced_id: SourcedId
) -> Certificate | None:
    """Return the certificate of an erased person, or None if nobody with this sourcedId was erased."""
    with store.open_connection() as connection, connection.open_read_transaction():
        for trace in list_anonymous_records(store.key, customer_number, sourced_id):
            for certificate in list_certificates(
                connection,
                "id IN (SELECT certificate_id FROM erased WHERE customer_id = :customer AND trace = :trace)",
                customer=customer_number,
                trace=trace,
            ):
                return certificate
        return None


def is_configured_administrator(connection: Connection, account: int) -> bool:
    """Return True if the applied configuration names this account's person as an administrator."""
    return bool(
        connection.fetch_scalar(
            "SELECT count(*) FROM accounts a JOIN identities i ON i.account_id = a.id"
            " JOIN issuers x ON x.id = i.issuer_id AND x.kind = 'config'"
            " JOIN customers c ON c.id = a.customer_id AND c.tombstoned_at IS NULL"
            " WHERE a.id = :account AND a.tombstoned_at IS NULL AND a.managed_by = 'config'",
            {"account": account},
        )
    )


def list_class_titles(store: Store, account: int) -> tuple[str, ...]:
    """Return the titles of the active classes that an account is enrolled in, sorted."""
    with store.open_connection() as connection:
        rows = connection.fetch_rows(
            "SELECT DISTINCT coalesce(c.title, c.sourced_id) FROM enrollments e JOIN classes c ON c.id = e.class_id"
            " WHERE e.account_id = :account AND e.tombstoned_at IS NULL AND c.tombstoned_at IS NULL ORDER BY 1",
            {"account": account},
        )
    return tuple(str(title) for (title,) in rows)


def _find_person(connection: Connection, customer_number: CustomerNumber, who: int | SourcedId) -> PersonIdentifiers:
    if isinstance(who, str):
        return build_unbound_person(who)
    owner = connection.fetch_scalar("SELECT customer_id FROM accounts WHERE id = :account", {"account": who})
    if owner != customer_number:
        raise StoreProblem(
            "unknown-person", "this person no longer exists; nothing was erased", "Find the person again."
        )
    return load_person(connection, customer_number, who)


def _collect_ids(connection: Connection, customer_number: CustomerNumber, person: PersonIdentifiers) -> IdsByTable:
    return {
        "accounts": person.accounts,
        "enrollments": person.enrollments,
        "journal": find_identity_images(connection, customer_number, person),
    }


def _count_or_remove_mentions(
    connection: Connection, customer_number: CustomerNumber, person: PersonIdentifiers, *, remove: bool
) -> RowCounts:
    counts = {
        IMAGES: count_document_mentions(connection, customer_number, person, remove=remove),
        ROSTER_ROWS: count_snapshot_mentions(connection, customer_number, person, remove=remove),
        SENTENCES: count_hold_mentions(connection, customer_number, person, remove=remove),
        # Deleted without checking for the person, because a sync saves the plan again.
        HELD_PLANS: (delete_held_plans if remove else count_held_plans)(connection, customer_number),
    }
    return {name: number for name, number in counts.items() if number}


def _save_anonymous_records(
    connection: Connection, key: StoreKey, customer_number: CustomerNumber, person: PersonIdentifiers, certificate: int
) -> None:
    """Save the HMAC of every sourcedId that the person ever had."""
    for sourced_id in dict.fromkeys(form for each in person.sourced_ids for form in list_forms(each)):
        connection.execute(
            "INSERT INTO erased (customer_id, trace, certificate_id, key_id)"
            " VALUES (:customer, :trace, :certificate, :key)"
            " ON CONFLICT (customer_id, trace) DO UPDATE SET certificate_id = excluded.certificate_id",
            {
                "customer": customer_number,
                "trace": make_anonymous_record(key, customer_number, sourced_id),
                "certificate": certificate,
                "key": key.id,
            },
        )
