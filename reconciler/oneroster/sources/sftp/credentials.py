"""Loads the private key to sign in with, and parses host keys."""

import base64
import binascii
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from paramiko import ECDSAKey, Ed25519Key, PKey, RSAKey
from paramiko.ssh_exception import SSHException
from pydantic import SecretStr

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error

OPENSSH = "-----BEGIN OPENSSH PRIVATE KEY-----"
KINDS: tuple[tuple[type, type[PKey]], ...] = (
    (Ed25519PrivateKey, Ed25519Key),
    (RSAPrivateKey, RSAKey),
    (EllipticCurvePrivateKey, ECDSAKey),
)


def load_private_key(secret: SecretStr) -> PKey:
    """Load an Ed25519, RSA or ECDSA key in OpenSSH's form, PKCS#1, SEC 1 or PKCS#8.

    Raises Refusal: `private-key-encrypted` if it has a passphrase, `private-key-unreadable` if it is none of these.
    Neither repeats any of the key.
    """
    text = secret.get_secret_value().replace("\r\n", "\n").strip() + "\n"
    load = load_ssh_private_key if text.startswith(OPENSSH) else load_pem_private_key
    try:
        loaded = load(text.encode(), password=None)
        for kind, made in KINDS:
            if isinstance(loaded, kind):
                plain = loaded.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
                return made.from_private_key(io.StringIO(plain.decode()))
    except TypeError:
        # cryptography raises TypeError if a passphrase is missing.
        raise Refusal([_make_encrypted_key_error()]) from None
    except (ValueError, UnsupportedAlgorithm, SSHException):
        pass
    raise Refusal([_make_unreadable_key_error(text)])


def _make_encrypted_key_error() -> Diagnostic:
    return build_error(
        "private-key-encrypted",
        "the private key has a passphrase",
        hint="Use a key without a passphrase for this fetch (ssh-keygen -p), and store it as a secret.",
    )


def _make_unreadable_key_error(text: str) -> Diagnostic:
    if "\\n" in text:
        hint = "Its line ends are written as \\n. Store it with real line ends."
    elif text.startswith(("ssh-", "ecdsa-", "---- BEGIN SSH2 PUBLIC KEY")):
        hint = "This is the public key. Store the private key as the secret."
    elif text.startswith("PuTTY-User-Key-File"):
        hint = "This is a PuTTY key. Convert it: puttygen KEY.ppk -O private-openssh-new -o KEY"
    else:
        hint = "Store the whole text from -----BEGIN to -----END. The type must be Ed25519, RSA or ECDSA."
    return build_error("private-key-unreadable", "the private key cannot be read", hint=hint)


# A server's public key: its pinned form, its fingerprint, and the signatures to request.


#: Signature algorithms by key type. RSA keys sign with SHA-2 (RFC 8332); SHA-1 is never requested.
SIGNATURES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key of a server."""

    #: as OpenSSH names it; `ssh-rsa` for every RSA key
    type: str
    #: RFC 4253, 6.6
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """The fingerprint as `ssh-keygen -l` prints it."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip('=')}"

    @property
    def line(self) -> str:
        """The key as `host_key` has it in YAML."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    def __str__(self) -> str:
        return f"{self.type} {self.fingerprint}"


def parse_host_key(line: str) -> HostKey:
    """Parse a host key as pasted into YAML.

    Raises Refusal `host-key-unreadable` if the base64 was cut or belongs to another key type.
    """
    kind, _, rest = line.strip().partition(" ")
    try:
        blob = base64.b64decode(rest.split(" ")[0].encode(), validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    parts = list(_iter_ssh_strings(blob))
    if len(parts) < 2 or parts[0] != kind.encode() or sum(4 + len(part) for part in parts) != len(blob):
        raise Refusal(
            [
                build_error(
                    "host-key-unreadable",
                    "host_key is not a complete public key: its base64 cannot be read",
                    hint="Compare the fingerprint with the server's owner, then paste the whole line that"
                    " `reconciler roster probe CUSTOMER` prints.",
                )
            ]
        )
    return HostKey(kind, blob)


def _iter_ssh_strings(blob: bytes) -> Iterator[bytes]:
    """Yield the complete strings of a blob, each preceded by its length (RFC 4251, 5)."""
    while blob and (end := 4 + int.from_bytes(blob[:4], "big")) <= len(blob):
        yield blob[4:end]
        blob = blob[end:]


def list_signature_algorithms(key: HostKey | None) -> tuple[str, ...]:
    """Return signature algorithms in order of preference: those of the pinned key's type first, so that a server with
    several keys presents that one, then all others, so that a different key can be reported."""
    first = SIGNATURES.get(key.type, ()) if key is not None else ()
    others = (signature for kind in SIGNATURES.values() for signature in kind)
    return tuple(dict.fromkeys((*first, *others)))
