"""Certificates: what was removed for good, when, by whom and at whose request, without naming anybody.

Each is sealed under the store's key over its columns and the seal before it, so that none can be altered, and none
taken out before the last.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import orjson

from reconciler.store.database.connection import Connection
from reconciler.store.json_text import dump_sorted_json
from reconciler.store.key import StoreKey

COLUMNS = ("id", "kind", "customer_slug", "request", "at", "actor", "counts", "seal")


class CertificateKind(StrEnum):
    """lift: a person who was erased may come back by a roster."""

    PURGE = "purge"
    ERASE = "erase"
    LIFT = "lift"


@dataclass(frozen=True, slots=True)
class Certificate:
    """request: the reference that was given; of a purge, the moment before which everything was deleted that went.
    counts: rows by table."""

    id: int
    kind: CertificateKind
    customer: str
    request: str | None
    at: str
    actor: str
    counts: Mapping[str, int]
    signature: str = ""

    def compute_signature(self, key: StoreKey, previous: str) -> str:
        """previous: the seal of the certificate before it, empty for the first."""
        facts = [self.id, self.kind.value, self.customer, self.request, self.at, self.actor, dict(self.counts)]
        return key.compute_hmac_hex("certificate", dump_sorted_json([previous, *facts]))


def issue_certificate(connection: Connection, key: StoreKey, certificate: Certificate) -> Certificate:
    """Keeps it under an id of its own, and returns it with that and its seal. The store's row is locked, so that two
    are never issued side by side."""
    connection.fetch_rows(f"SELECT uuid FROM store{connection.dialect.for_update}")
    previous = connection.fetch_scalar("SELECT seal FROM certificates ORDER BY id DESC LIMIT 1") or ""
    numbered = replace(certificate, id=int(connection.generate_ids("certificates", 1)[0]))
    sealed = replace(numbered, signature=numbered.compute_signature(key, previous))
    connection.execute(
        f"INSERT INTO certificates ({', '.join(COLUMNS)}) VALUES ({', '.join(f':{name}' for name in COLUMNS)})",
        {
            "id": sealed.id,
            "kind": sealed.kind.value,
            "customer_slug": sealed.customer,
            "request": sealed.request,
            "at": sealed.at,
            "actor": sealed.actor,
            "counts": dump_sorted_json(dict(sealed.counts)),
            "seal": sealed.signature,
        },
    )
    return sealed


def list_certificates(connection: Connection) -> tuple[Certificate, ...]:
    """Oldest first."""
    rows = connection.fetch_rows(f"SELECT {', '.join(COLUMNS)} FROM certificates ORDER BY id")
    return tuple(
        Certificate(number, CertificateKind(kind), customer, request, at, actor, orjson.loads(counts), seal)
        for number, kind, customer, request, at, actor, counts, seal in rows
    )


def find_broken_certificate(connection: Connection, key: StoreKey) -> int | None:
    """The first that is not as it was issued, or stands where another was; None where all are as they were issued."""
    previous = ""
    known = list_certificates(connection)
    for certificate in known:
        if not hmac.compare_digest(certificate.signature, certificate.compute_signature(key, previous)):
            return certificate.id
        previous = certificate.signature
    named = connection.fetch_rows("SELECT DISTINCT certificate_id FROM erased ORDER BY certificate_id")
    ids = {certificate.id for certificate in known}
    return next((int(number) for (number,) in named if number not in ids), None)


def find_purge_moment(connection: Connection, slugs: frozenset[str]) -> str | None:
    """Return the moment before which purges removed what was known of a customer's people, or None if nothing was
    purged. slugs: the ids that the customer has and had."""
    moments = (
        connection.fetch_scalar(
            "SELECT max(request) FROM certificates WHERE kind = :kind AND customer_slug = :slug",
            {"kind": CertificateKind.PURGE.value, "slug": slug},
        )
        for slug in slugs
    )
    return max(filter(None, moments), default=None)
