"""Issue and verify certificates of permanent deletions, which name nobody.

Each is signed with the store key over its columns and the previous signature, so that none can be altered, and none
before the last removed.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import orjson

from reconciler.model.ids import CustomerId, Moment
from reconciler.store.database.connection import Connection
from reconciler.store.json_text import dump_sorted_json
from reconciler.store.key import StoreKey
from reconciler.store.read.chain import is_history_signed, lock_store, sign_history
from reconciler.store.read.image_digests import PENDING, iter_combined_digests

#: The last certificate of the page after `:last`.
PAGE_END_SQL = "SELECT max(id) FROM (SELECT id FROM certificates WHERE id > :last ORDER BY id LIMIT 5000) page"

COLUMNS = ("id", "kind", "customer_slug", "request", "at", "actor", "counts", "seal", "images", "key_id")


class CertificateKind(StrEnum):
    """The operation that a certificate records."""

    PURGE = "purge"
    ERASE = "erase"
    #: a roster may add an erased person again
    LIFT = "lift"
    #: digests of the before-images of an earlier version
    SEAL = "seal"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signed record of a purge, an erasure, its lifting, or the digests of earlier before-images."""

    id: int
    kind: CertificateKind
    customer: CustomerId
    #: reference of the request; of a purge, the moment before which the purged rows were deleted
    request: str | None
    at: Moment
    actor: str
    #: number of rows by table
    counts: Mapping[str, int]
    signature: str = ""
    #: the digests of the before-images that it removed, changed or sealed, combined; None if there are none
    images: str | None = None
    #: of the key of the signature; None for a certificate from before keys had ids
    key_id: str | None = None

    def compute_signature(self, key: StoreKey, previous: str) -> str:
        """Return the HMAC of the certificate. previous: the signature of the previous one, empty for the first.

        `images` is included only if it is set, so that older certificates keep their signatures.
        """
        facts = [self.id, self.kind.value, self.customer, self.request, self.at, self.actor, dict(self.counts)]
        facts += [self.images] if self.images is not None else []
        return key.compute_hmac_hex("certificate", dump_sorted_json([previous, *facts]))


def issue_certificate(connection: Connection, key: StoreKey, certificate: Certificate) -> Certificate:
    """Save a certificate and return it with its id, signature and the digests of the before-images that were removed in
    this transaction. Locks the store's row, so that certificates are issued one at a time.
    """
    head = lock_store(connection, key)
    was_signed = is_history_signed(connection, key)
    previous = connection.fetch_scalar("SELECT seal FROM certificates ORDER BY id DESC LIMIT 1") or ""
    number = int(connection.generate_ids("certificates", 1)[0])
    numbered = replace(certificate, id=number, images=_assign_image_digests(connection, number), key_id=key.id)
    signed = replace(numbered, signature=numbered.compute_signature(key, previous))
    connection.execute(
        f"INSERT INTO certificates ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})",
        {
            "id": signed.id,
            "kind": signed.kind.value,
            "customer_slug": signed.customer,
            "request": signed.request,
            "at": signed.at,
            "actor": signed.actor,
            "counts": dump_sorted_json(dict(signed.counts)),
            "seal": signed.signature,
            "images": signed.images,
            "key_id": signed.key_id,
        },
    )
    if was_signed and head is not None:
        # Never sign a history that was altered, so that the alteration stays visible.
        sign_history(connection, key, head)
    return signed


def _assign_image_digests(connection: Connection, certificate: int) -> str | None:
    """Give the pending digests to a certificate and return them combined, or None if there are none."""
    facts = {"certificate": certificate, "pending": PENDING}
    connection.execute("UPDATE image_digests SET certificate_id = :certificate WHERE certificate_id = :pending", facts)
    return next((digest for _, digest in iter_combined_digests(connection, certificate, certificate)), None)


def list_certificates(connection: Connection, which: str = "1 = 1", **facts: object) -> tuple[Certificate, ...]:
    """Return certificates, oldest first. which: SQL condition with the parameters `facts`."""
    rows = connection.fetch_rows(f"SELECT {', '.join(COLUMNS)} FROM certificates WHERE {which} ORDER BY id", facts)
    return tuple(
        Certificate(number, CertificateKind(kind), customer, request, at, actor, orjson.loads(counts), *more)
        for number, kind, customer, request, at, actor, counts, *more in rows
    )


def list_certified_customers(connection: Connection) -> frozenset[CustomerId]:
    """Return the IDs of customers with a certificate."""
    rows = connection.fetch_rows("SELECT DISTINCT customer_slug FROM certificates WHERE kind <> 'seal'")
    return frozenset(CustomerId(slug) for (slug,) in rows)


def find_broken_certificate(connection: Connection, key: StoreKey) -> int | None:
    """Return the id of the first certificate that was altered, moved or removed, or None if all are as issued.

    Reads a page of certificates at a time.
    """
    previous, last = "", 0
    while page := list_certificates(connection, f"id > :last AND id <= ({PAGE_END_SQL})", last=last):
        for certificate in page:
            used = key.find(certificate.key_id)
            if not hmac.compare_digest(certificate.signature, certificate.compute_signature(used, previous)):
                return certificate.id
            previous = certificate.signature
        last = page[-1].id
    missing = connection.fetch_scalar(
        "SELECT min(certificate_id) FROM erased WHERE certificate_id NOT IN (SELECT id FROM certificates)"
    )
    return None if missing is None else int(missing)


def find_purge_moment(connection: Connection, slugs: frozenset[CustomerId]) -> Moment | None:
    """Return the latest moment before which a purge deleted a customer's data, or None if nothing was purged.

    slugs: the customer's present and former IDs.
    """
    moments = (
        connection.fetch_scalar(
            "SELECT max(request) FROM certificates WHERE kind = :kind AND customer_slug = :slug",
            {"kind": CertificateKind.PURGE.value, "slug": slug},
        )
        for slug in slugs
    )
    return max(filter(None, moments), default=None)
