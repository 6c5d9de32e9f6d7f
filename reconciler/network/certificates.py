"""TLS certificates: the trusted authorities, and diagnostics for certificates that fail the check."""

import os
import ssl
from functools import lru_cache

import certifi

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error

#: Names a file of authorities that replaces the system's; OpenSSL, curl and Python use the same variable.
OWN_AUTHORITIES = "SSL_CERT_FILE"

#: The message and hint for each verification error of OpenSSL (X509_V_ERR_… in x509_vfy.h).
_MISTRUST = {
    9: ("is not valid yet", "Ask the server's owner to correct it, and check this machine's clock."),
    10: ("has expired", "Ask the server's owner to renew it, and check this machine's clock."),
    62: ("is for another host", "Correct the host name, or ask the server's owner for a certificate for this host."),
    64: ("is for another host", "Use the host name in the certificate instead of the address."),
}
_UNKNOWN_ISSUER = (
    "is from an issuer that this machine does not trust",
    "Ask the server's owner whether the server sends its intermediate certificate. For an authority of your own, set "
    f"{OWN_AUTHORITIES} to a file with its certificate.",
)
_UNKNOWN_ISSUERS = {2, 18, 19, 20, 21}
_OTHER = ("is not valid", "Ask the server's owner to replace it.")


def get_ssl_context() -> ssl.SSLContext:
    """Return an SSL context that always checks certificates and host names; nothing turns that off.

    It trusts the authorities in the file that SSL_CERT_FILE names, else the system's, else certifi's. Raises Refusal
    (`authorities-unreadable`) if that file cannot be read."""
    file = os.environ.get(OWN_AUTHORITIES)
    return _load_ssl_context(file, _get_modified_time(file) if file else 0)


def _get_modified_time(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _load_ssl_context(authorities_file: str | None, modified_time: int) -> ssl.SSLContext:
    # Loading the system's authorities takes a tenth of a second, and threads may share a context.
    if not authorities_file:
        context = ssl.create_default_context()
        paths = ssl.get_default_verify_paths()
        if not (paths.cafile or paths.capath):
            context.load_verify_locations(certifi.where())
        return context
    try:
        return ssl.create_default_context(cafile=authorities_file)
    except (OSError, ssl.SSLError) as problem:
        raise Refusal(
            [
                build_error(
                    "authorities-unreadable",
                    f"the file that {OWN_AUTHORITIES} names has no readable certificates",
                    hint=f"Set {OWN_AUTHORITIES} to a readable PEM file of certificates, or unset it.",
                )
            ]
        ) from problem


def make_tls_error(host: str, problem: ssl.SSLError) -> Diagnostic:
    """Return the diagnostic (`tls-failed`) for a failed TLS handshake."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        code = problem.verify_code
        what, hint = _UNKNOWN_ISSUER if code in _UNKNOWN_ISSUERS else _MISTRUST.get(code, _OTHER)
        return build_error("tls-failed", f"the certificate of {host} {what}; nothing was sent", hint=hint)
    return build_error(
        "tls-failed",
        f"{host} does not offer a secure version of TLS; nothing was sent",
        hint="Check that the port uses TLS. If the server supports only TLS 1.1 or older, ask its owner to upgrade it.",
    )
