"""Give a store another key: encrypt its secrets anew, and keep what only earlier keys can check under their ids."""

from dataclasses import dataclass
from pathlib import Path

from reconciler.store.database.connection import Connection
from reconciler.store.database.dialect import MIN_WAITING_SECONDS
from reconciler.store.database.lock import lock_customer
from reconciler.store.errors import StoreProblem
from reconciler.store.key import KEY_VARIABLE, StoreKey
from reconciler.store.open import KEY_FOLDER, Store, load_known_keys, prepare_next_key
from reconciler.store.read.chain import is_history_signed, lock_store, sign_history

#: In place of a customer's id, to let one rotation run at a time.
LOCK = "@key"
#: Tables with a key_id.
TABLES = ("secrets", "erased", "certificates")
#: What ids under the earlier key name: held plans and digests of applied plans. Both are made again.
NAMED_BY_KEY = ("held_plans", "run_effects")


@dataclass(frozen=True, slots=True)
class KeyRotation:
    """The result of a rotation."""

    key: StoreKey
    #: id of the key before
    before: str
    #: number of secrets that were encrypted anew
    encrypted: int
    #: number of rows, by table, that the earlier keys are still needed for
    kept: dict[str, int]
    #: number of holds, which get new ids
    holds: int


def rotate_key(store: Store, key_folder: Path = KEY_FOLDER) -> KeyRotation:
    """Replace the store's key in one transaction.

    key_folder: of a PostgreSQL store's key file. The new key is in its place before the transaction begins, beside the
    present one. A process that is killed before the commit leaves the present key in use, and the next rotation goes on
    with the new one. Raises StoreProblem; then the store has the key that it had.
    """
    with lock_customer(store.dialect, LOCK, MIN_WAITING_SECONDS) as connection:
        key = load_known_keys(store, key_folder)
        new = prepare_next_key(store, key, key_folder)
        _refuse_earlier_key(connection, new)
        with connection.open_write_transaction():
            # In the order in which an apply locks them, so that neither waits for the other in a circle.
            connection.fetch_rows(f"SELECT path FROM secrets{connection.dialect.for_update}")
            head = lock_store(connection, key)
            was_signed = is_history_signed(connection, key)
            for table in TABLES:
                connection.execute(f"UPDATE {table} SET key_id = :id WHERE key_id IS NULL", {"id": key.id})
            encrypted = _encrypt_secrets(connection, key, new)
            for table in NAMED_BY_KEY:
                connection.execute(f"DELETE FROM {table}")
            # The next sync compares again, and saves the held plan under its new id.
            connection.execute("UPDATE syncs SET settled = NULL, settled_until = NULL")
            connection.execute("UPDATE store SET key_check = :check", {"check": new.key_check})
            if head is not None and was_signed:
                # Never sign a history that was altered, so that the alteration stays visible.
                sign_history(connection, new, head)
            kept = {
                table: int(connection.fetch_scalar(f"SELECT count(*) FROM {table} WHERE key_id <> :id", {"id": new.id}))
                for table in TABLES
            }
            holds = int(connection.fetch_scalar("SELECT count(*) FROM holds"))
    return KeyRotation(new, key.id, encrypted, kept, holds)


def _refuse_earlier_key(connection: Connection, new: StoreKey) -> None:
    for table in TABLES:
        if connection.fetch_scalar(f"SELECT count(*) FROM {table} WHERE key_id = :id", {"id": new.id}):
            raise StoreProblem(
                "key-retired",
                f"key {new.id} is an earlier key of the store, and cannot become the present one; nothing was changed",
                f'Put a new key first: export {KEY_VARIABLE}="$(openssl rand -base64 32) ${KEY_VARIABLE}"',
            )


def _encrypt_secrets(connection: Connection, key: StoreKey, new: StoreKey) -> int:
    """Encrypt every value again, and compute its HMAC. A secret of which only the HMAC is stored keeps it."""
    rows = connection.fetch_rows(
        "SELECT s.customer_id, c.slug, s.path, s.ciphertext, s.key_id FROM secrets s"
        " JOIN customers c ON c.id = s.customer_id WHERE s.ciphertext IS NOT NULL ORDER BY s.customer_id, s.path"
    )
    for customer, slug, path, ciphertext, key_id in rows:
        value = key.find(key_id).decrypt(bytes(ciphertext), f"{slug}/{path}")
        connection.execute(
            "UPDATE secrets SET hmac = :digest, ciphertext = :sealed, key_id = :key"
            " WHERE customer_id = :customer AND path = :path",
            {
                "digest": new.compute_secret_hmac(slug, path, value),
                "sealed": new.encrypt(value, f"{slug}/{path}"),
                "key": new.id,
                "customer": customer,
                "path": path,
            },
        )
    return len(rows)
