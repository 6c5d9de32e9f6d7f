"""Certificates of what was removed for good, as the reports take them."""

from __future__ import annotations

from reconciler.reports.removal import Issued
from reconciler.store.removal.certificates import Certificate


def issued(certificate: Certificate) -> Issued:
    return Issued(
        id=certificate.id,
        kind=certificate.kind.value,
        customer=certificate.customer,
        request=certificate.request,
        at=certificate.at,
        actor=certificate.actor,
        counts=certificate.counts,
        seal=certificate.seal,
    )
