"""Read and create the store key, and derive HMACs, pseudonyms and encryption from it.

Each store has one 32-byte key, from `RECONCILER_KEY` (base64 or hex) or a 0600 file created with the store. Each use
derives its own key from it, so that a pseudonym reveals nothing about a secret's HMAC. Keys that the store had before
follow in the same place, separated by whitespace: HMACs of values that nobody knows anymore need them.
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
#: Hex digits of a key's id.
ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class StoreKey:
    """The key that the store uses, and the other keys that are known."""

    secret: bytes = field(repr=False)
    #: keys that the store had before, or will have next; they check and decrypt, and write nothing
    others: tuple["StoreKey", ...] = field(default=(), repr=False)

    @property
    def id(self) -> str:
        """Return the name of the key in the store, which reveals nothing about it."""
        return self.compute_hmac_hex("key-id", "reconciler")[:ID_DIGITS]

    @property
    def known(self) -> tuple["StoreKey", ...]:
        """Return this key and the others."""
        return (self, *self.others)

    def find(self, key_id: str | None) -> "StoreKey":
        """Return the key with this id. None: the store's only key, of a row from before keys had ids.

        Raises StoreProblem `retired-key-missing` if the key is not known here.
        """
        found = self if key_id is None else next((key for key in self.known if key.id == key_id), None)
        if found is None:
            raise StoreProblem(
                "retired-key-missing",
                f"the store refers to key {key_id}, which is missing here; nothing was changed",
                f"Put that key back behind the present one, in the key file or {KEY_VARIABLE}.",
            )
        return found

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


def parse_keys(text: str, source: str) -> StoreKey:
    """Return the first of several keys of 32 bytes in hex or base64, with the others.

    Raises StoreProblem `store-key`, which names the source but never the text.
    """
    first, *others = [_parse_key(word, source) for word in text.split() or [""]]
    return StoreKey(first.secret, tuple(others))


def _parse_key(text: str, source: str) -> StoreKey:
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


def choose_key(keys: StoreKey, check: str) -> StoreKey | None:
    """Return the key whose `key_check` the store has, with the others; None if no key matches."""
    chosen = next((key for key in keys.known if hmac.compare_digest(key.key_check, check)), None)
    if chosen is None:
        return None
    return StoreKey(chosen.secret, tuple(StoreKey(key.secret) for key in keys.known if key.secret != chosen.secret))


def read_key_from_environment() -> StoreKey | None:
    """Return the keys in `RECONCILER_KEY`, or None if the variable is unset or empty."""
    value = os.environ.get(KEY_VARIABLE)
    return parse_keys(value, KEY_VARIABLE) if value else None


def read_key(path: Path) -> StoreKey | None:
    """Return the keys in a file, or None if there is no file. Raises StoreProblem `store-key-mode` if the file's
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
    return parse_keys(text, str(path))


def put_new_key_first(path: Path, keys: StoreKey) -> StoreKey:
    """Put a new key in front of the keys in a file, and return it.

    The file is replaced as a whole, and is on the disk when this returns. Raises StoreProblem `store-key`; the file is
    then unchanged.
    """
    new = StoreKey(secrets.token_bytes(KEY_BYTES))
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.unlink(missing_ok=True)
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.writelines(base64.b64encode(key.secret) + b"\n" for key in (new, *keys.known))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as problem:
        partial.unlink(missing_ok=True)
        raise StoreProblem(
            "store-key",
            f"{path} cannot be written: {problem.strerror}; the key was not changed",
            "Check the directory's permissions and the free space.",
        ) from None
    return new


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
