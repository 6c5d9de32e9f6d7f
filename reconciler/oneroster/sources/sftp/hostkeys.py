"""A server's public key: as it is pinned, as it is shown, and which signatures are asked for to see it."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.model.diagnostic import Refusal, error

#: How a server may sign with a key of each type. RSA keys sign with SHA-2 (RFC 8332); SHA-1 is not asked for.
SIGNATURES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}


@dataclass(frozen=True, slots=True)
class HostKey:
    """type: as OpenSSH names it, `ssh-rsa` for every RSA key. blob: RFC 4253, 6.6."""

    type: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"

    @property
    def line(self) -> str:
        """As it is pasted into YAML behind `host_key:`."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    def __str__(self) -> str:
        return f"{self.type} {self.fingerprint}"


def pinned(line: str) -> HostKey:
    """What was pasted into YAML. Raises Refusal `host-key-unreadable` where the base64 was cut or belongs elsewhere."""
    kind, _, rest = line.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0].encode(), validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    parts = list(_strings(blob))
    if len(parts) < 2 or parts[0] != kind.encode() or sum(4 + len(part) for part in parts) != len(blob):
        raise Refusal(
            [
                error(
                    "host-key-unreadable",
                    "host_key is no whole public key: its base64 cannot be read",
                    hint="paste the whole line that `reconciler roster probe CUSTOMER` prints, after comparing the"
                    " fingerprint with the server's owner",
                )
            ]
        )
    return HostKey(kind, blob)


def _strings(blob: bytes) -> Iterator[bytes]:
    """Of a blob, its parts, each behind its length (RFC 4251, 5); only those that are whole."""
    while blob and (end := 4 + int.from_bytes(blob[:4], "big")) <= len(blob):
        yield blob[4:end]
        blob = blob[end:]


def asked_for(key: HostKey | None) -> tuple[str, ...]:
    """Signatures in the order of preference: those of the pinned key's type first, so that a server with several keys
    shows that one; then all others, so that another key can be seen and shown."""
    first = SIGNATURES.get(key.type, ()) if key is not None else ()
    others = (signature for kind in SIGNATURES.values() for signature in kind)
    return tuple(dict.fromkeys((*first, *others)))
