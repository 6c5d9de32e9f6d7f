"""Read and create the store key, and derive HMACs, pseudonyms and encryption from it.

Each store has one 32-byte key, from `RECONCILER_KEY` (base64 or hex) or a 0600 file created with the store. Each use
derives its own key from it, so that a pseudonym reveals nothing about a secret's HMAC.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.model.ids import CustomerId
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
        """Return an HMAC to feed piece by piece, for input too large for one string."""
        return hmac.new(self.derive_key(purpose), digestmod=hashlib.sha256)

    def compute_hmac_hex(self, purpose: str, text: str) -> str:
        return hmac.new(self.derive_key(purpose), text.encode(), hashlib.sha256).hexdigest()

    def compute_secret_hmac(self, customer_id: CustomerId, path: str, value: str) -> str:
        """Return an HMAC that reveals whether a customer's secret changed, and nothing else."""
        return self.compute_hmac_hex("secret", "\0".join((customer_id, path, value)))

    @property
    def effect_key(self) -> str:
        """Return the key, as hex, of the digests that make up plan ids."""
        return self.derive_key("effects").hex()

    @property
    def hold_key(self) -> str:
        """Return the key, as hex, of the ids of holds."""
        return self.derive_key("holds").hex()

    @property
    def key_check(self) -> str:
        """Return the HMAC by which a store recognizes its key."""
        return self.compute_hmac_hex("key-check", "reconciler")

    def make_pseudonym(self, kind: str, customer_id: CustomerId, key: str) -> str:
        """Return a pseudonym such as `P-7F3A0C1E`: constant within a store, meaningless outside."""
        digest = self.compute_hmac_hex("pseudonym", "\0".join((kind, customer_id, key)))
        return f"P-{digest[:PSEUDONYM_DIGITS].upper()}"

    def encrypt(self, text: str, place: str) -> bytes:
        """Encrypt with AES-GCM; the nonce comes first. The ciphertext decrypts only with the same `place`, such as a
        customer and path.
        """
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self.derive_key("encrypt")).encrypt(nonce, text.encode(), place.encode())

    def decrypt(self, ciphertext: bytes, place: str) -> str:
        """Decrypt what `encrypt` returned for the same place. Raises StoreProblem `secret-unreadable`."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, sealed = ciphertext[:NONCE_BYTES], ciphertext[NONCE_BYTES:]
        try:
            return AESGCM(self.derive_key("encrypt")).decrypt(nonce, sealed, place.encode()).decode()
        except InvalidTag:
            raise StoreProblem(
                "secret-unreadable", f"the stored secret of {place} cannot be decrypted", "Apply the customer again."
            ) from None


def parse_key(text: str, source: str) -> StoreKey:
    """Parse 32 bytes in hex or base64. Raises StoreProblem `store-key`, which names the source and never the text."""
    text = text.strip()
    secret = b""
    try:
        secret = bytes.fromhex(text) if len(text) == KEY_BYTES * 2 else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise StoreProblem(
            "store-key", f"{source} does not contain a key of 32 bytes in hex or base64", "Restore this store's key."
        )
    return StoreKey(secret)


def read_key_from_environment() -> StoreKey | None:
    """Return the key in `RECONCILER_KEY`, or None if the variable is unset or empty."""
    value = os.environ.get(KEY_VARIABLE)
    return parse_key(value, KEY_VARIABLE) if value else None


def read_key(path: Path) -> StoreKey | None:
    """Return the key in a file, or None if there is no file. Raises StoreProblem `store-key-mode` if the file's
    group or others have any permission.
    """
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise StoreProblem(
            "store-key", f"{path} cannot be read: {problem.strerror}", "Check its permissions."
        ) from None
    if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise StoreProblem("store-key-mode", f"other users can read {path}", f"Run `chmod 600 {path}`.")
    return parse_key(text, str(path))


def make_key(path: Path) -> StoreKey:
    """Create a 0600 file with a new key, or return the key of the existing file."""
    secret = secrets.token_bytes(KEY_BYTES)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(base64.b64encode(secret) + b"\n")
    except FileExistsError:
        return read_key(path) or make_key(path)
    except OSError as problem:
        # The next run would read a partly written file as the key.
        path.unlink(missing_ok=True)
        raise StoreProblem(
            "store-key",
            f"{path} cannot be written: {problem.strerror}",
            f"Set {KEY_VARIABLE}, or check the directory's permissions.",
        ) from None
    return StoreKey(secret)
