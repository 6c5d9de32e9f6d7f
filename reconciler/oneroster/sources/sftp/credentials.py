"""The private key that we sign in with, from the text of a secret."""

from __future__ import annotations

import io

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

from reconciler.model.diagnostic import Diagnostic, Refusal, error

OPENSSH = "-----BEGIN OPENSSH PRIVATE KEY-----"
KINDS: tuple[tuple[type, type[PKey]], ...] = (
    (Ed25519PrivateKey, Ed25519Key),
    (RSAPrivateKey, RSAKey),
    (EllipticCurvePrivateKey, ECDSAKey),
)


def private_key(secret: SecretStr) -> PKey:
    """A key of type Ed25519, RSA or ECDSA in OpenSSH's form, PKCS#1, SEC 1 or PKCS#8.

    Raises Refusal: `private-key-encrypted` where it is under a passphrase, `private-key-unreadable` where it is none of
    these. Neither holds anything of it.
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
        # What cryptography raises where a passphrase is missing.
        raise Refusal([_encrypted()]) from None
    except (ValueError, UnsupportedAlgorithm, SSHException):
        pass
    raise Refusal([_unreadable(text)])


def _encrypted() -> Diagnostic:
    return error(
        "private-key-encrypted",
        "the private key is under a passphrase, and nobody is there to type it",
        hint="make a key without one for this fetch (ssh-keygen -p), and keep it where secrets are kept",
    )


def _unreadable(text: str) -> Diagnostic:
    if "\\n" in text:
        hint = "its lines are joined by a written \\n: give it with real line ends"
    elif text.startswith(("ssh-", "ecdsa-", "---- BEGIN SSH2 PUBLIC KEY")):
        hint = "that is the public half: the secret has to hold the private one"
    elif text.startswith("PuTTY-User-Key-File"):
        hint = "that is PuTTY's form: convert it with `puttygen KEY.ppk -O private-openssh-new -o KEY`"
    else:
        hint = "give the whole text from -----BEGIN to -----END, of type Ed25519, RSA or ECDSA"
    return error("private-key-unreadable", "the private key cannot be read", hint=hint)
