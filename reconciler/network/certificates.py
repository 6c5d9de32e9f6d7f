"""Which certificates are believed, and what is wrong with one that is not, in words."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

import certifi

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error

#: The variable that OpenSSL, curl and Python know: a file of authorities that takes the system's place.
OWN_AUTHORITIES = "SSL_CERT_FILE"

#: OpenSSL's X509_V_ERR_… (x509_vfy.h): what is said of the certificate, and what to do about it.
_MISTRUST = {
    9: ("is not valid yet", "the server's owner has to set it right; check this machine's clock too"),
    10: ("has expired", "the server's owner has to renew it; check this machine's clock too"),
    62: ("is of another host", "correct the host name, or have the server's owner get a certificate for this one"),
    64: ("is of another host", "write the name that the certificate has in place of the address"),
}
_UNKNOWN_ISSUER = (
    "is from an issuer that this machine does not know",
    f"the server may leave out its intermediate certificate; an authority of your own goes into a file that "
    f"{OWN_AUTHORITIES} names",
)
_UNKNOWN_ISSUERS = {2, 18, 19, 20, 21}
_OTHER = ("is not in order", "the server's owner has to replace it")


def get_ssl_context() -> ssl.SSLContext:
    """Certificates are always checked, host name included: nothing turns that off. Believed are the authorities of
    the file that SSL_CERT_FILE names, else the system's, else certifi's where a system has none.

    Raises Refusal (`authorities-unreadable`) where the named file cannot be read."""
    named = os.environ.get(OWN_AUTHORITIES)
    return _load_ssl_context(named, _get_modified_time(named) if named else 0)


def _get_modified_time(file: str) -> int:
    try:
        return os.stat(file).st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=8)
def _load_ssl_context(authorities_file: str | None, modified_time: int) -> ssl.SSLContext:
    """Reading the system's authorities takes a tenth of a second; a context may be shared by threads."""
    if not authorities_file:
        context = ssl.create_default_context()
        places = ssl.get_default_verify_paths()
        if not (places.cafile or places.capath):
            context.load_verify_locations(certifi.where())
        return context
    try:
        return ssl.create_default_context(cafile=authorities_file)
    except (OSError, ssl.SSLError) as problem:
        raise Refusal(
            [
                build_error(
                    "authorities-unreadable",
                    f"the file that {OWN_AUTHORITIES} names holds no certificates that can be read",
                    hint="name a PEM file of certificates that the program may read, or unset the variable",
                )
            ]
        ) from problem


def make_tls_error(host: str, problem: ssl.SSLError) -> Diagnostic:
    """Why no encrypted connection came about."""
    if isinstance(problem, ssl.SSLCertVerificationError):
        number = problem.verify_code
        what, hint = _UNKNOWN_ISSUER if number in _UNKNOWN_ISSUERS else _MISTRUST.get(number, _OTHER)
        return build_error("tls-failed", f"the certificate of {host} {what}; nothing was sent", hint=hint)
    return build_error(
        "tls-failed",
        f"{host} does not answer in TLS that is safe enough; nothing was sent",
        hint="check the port, which may speak no TLS at all; a server that knows only TLS 1.1 or older has to be"
        " renewed by its owner",
    )
