"""The store's key: what it derives from it, and where it is kept.

One 32-byte key per store, from `RECONCILER_KEY` (base64 or hex) or a 0600 file made with the store. Every use
derives its own key from it, so that a pseudonym says nothing about a secret's HMAC.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.store.errors import StoreProblem

KEY_VARIABLE = "RECONCILER_KEY"
KEY_BYTES = 32
NONCE_BYTES = 12
PSEUDONYM_DIGITS = 8


@dataclass(frozen=True, slots=True)
class StoreKey:
    secret: bytes = field(repr=False)

    def derive_key(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for one purpose, such as a cipher or a signature."""
        return hmac.digest(self.secret, f"reconciler/{purpose}".encode(), hashlib.sha256)

    def start_hmac(self, purpose: str) -> hmac.HMAC:
        """A running one, for what is too large to be one text."""
        return hmac.new(self.derive_key(purpose), digestmod=hashlib.sha256)

    def compute_hmac_hex(self, purpose: str, text: str) -> str:
        return hmac.new(self.derive_key(purpose), text.encode(), hashlib.sha256).hexdigest()

    def compute_secret_hmac(self, customer_id: str, path: str, value: str) -> str:
        """Tells that a customer's secret changed, and nothing else of it."""
        return self.compute_hmac_hex("secret", "\0".join((customer_id, path, value)))

    @property
    def effect_key(self) -> str:
        """The key, as hex, of the digests that plan ids are made of."""
        return self.derive_key("effects").hex()

    @property
    def key_check(self) -> str:
        """What a store keeps, to know its key again."""
        return self.compute_hmac_hex("key-check", "reconciler")

    def make_pseudonym(self, kind: str, customer_id: str, key: str) -> str:
        """The same within a store, meaningless outside: `P-7F3A0C1E`."""
        digest = self.compute_hmac_hex("pseudonym", "\0".join((kind, customer_id, key)))
        return f"P-{digest[:PSEUDONYM_DIGITS].upper()}"

    def encrypt(self, text: str, place: str) -> bytes:
        """AES-GCM, nonce first. `place` (customer and path) is bound in: a ciphertext fits nowhere else."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self.derive_key("encrypt")).encrypt(nonce, text.encode(), place.encode())

    def decrypt(self, ciphertext: bytes, place: str) -> str:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, sealed = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
        try:
            return AESGCM(self.derive_key("encrypt")).decrypt(nonce, sealed, place.encode()).decode()
        except InvalidTag:
            raise StoreProblem(
                "secret-unreadable", f"the secret kept for {place} cannot be decrypted", "Apply the customer again."
            ) from None


def parse_key(text: str, source: str) -> StoreKey:
    """Hex or base64 of 32 bytes. Raises StoreProblem `store-key` naming the source, never the text."""
    text = text.strip()
    secret = b""
    try:
        secret = bytes.fromhex(text) if len(text) == KEY_BYTES * 2 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise StoreProblem(
            "store-key", f"{source} does not hold a key: 32 bytes as hex or base64", "Put back the key of this store."
        )
    return StoreKey(secret)


def read_key_from_environment() -> StoreKey | None:
    given = os.environ.get(KEY_VARIABLE)
    return parse_key(given, KEY_VARIABLE) if given else None


def read_key(path: Path) -> StoreKey | None:
    """None where there is no file. A file that others may read is refused."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise StoreProblem("store-key", f"{path} cannot be read: {problem.strerror}", "Check its rights.") from None
    if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreProblem("store-key-mode", f"{path} may be read by others", f"Run `chmod 600 {path}`.")
    return parse_key(text, str(path))


def make_key(path: Path) -> StoreKey:
    """Writes a new key to a 0600 file; takes the one that is there already."""
    secret = secrets.token_bytes(KEY_BYTES)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64encode(secret) + b"\n")
    except FileExistsError:
        return read_key(path) or make_key(path)
    except OSError as problem:
        # A part of a key would be taken for the store's the next time.
        path.unlink(missing_ok=True)
        raise StoreProblem(
            "store-key",
            f"{path} cannot be written: {problem.strerror}",
            f"Set {KEY_VARIABLE}, or check the folder's rights.",
        ) from None
    return StoreKey(secret)
