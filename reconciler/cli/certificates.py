"""Convert certificates of permanent deletion for the reports."""

from reconciler.reports.removal import CertificateReport
from reconciler.store.removal import Certificate


def build_certificate_report(certificate: Certificate) -> CertificateReport:
    return CertificateReport(
        id=certificate.id,
        kind=certificate.kind.value,
        customer=certificate.customer,
        request=certificate.request,
        at=certificate.at,
        actor=certificate.actor,
        counts=certificate.counts,
        signature=certificate.signature,
    )
