"""Makes good and bad TLS certificates for a roster server."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import trustme

HOST = "127.0.0.1"
Kind = Literal["good", "expired", "wrong-host", "unknown-issuer"]


class Authority:
    """An issuer. Whoever is to believe it reads the file that `believed` writes (SSL_CERT_FILE)."""

    def __init__(self) -> None:
        self._known = trustme.CA()
        self._unknown = trustme.CA()

    def believed(self, path: Path) -> Path:
        self._known.cert_pem.write_to_path(str(path))
        return path

    def context(self, kind: Kind) -> ssl.SSLContext:
        """What a server on loopback shows."""
        issuer = self._unknown if kind == "unknown-issuer" else self._known
        name = "elsewhere.example" if kind == "wrong-host" else HOST
        ends = datetime(2020, 1, 1, tzinfo=UTC) if kind == "expired" else None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer.issue_cert(name, not_after=ends).configure_cert(context)
        return context
