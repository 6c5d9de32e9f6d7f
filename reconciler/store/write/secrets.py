"""Save the reference and HMAC of a customer's secrets, and the encrypted value of those that the web service needs."""

import secrets as randomness
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from reconciler.store.read.records import SecretRecord
from reconciler.store.write.rows import WriteContext

#: The web service needs the values of secrets below this path.
SERVED_PREFIX = "lti."
GENERATED_BYTES = 32


def find_secret_paths(document: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Yield (dotted path, name) of every secret in a document; the name is None for a generated one."""
    for name, value in document.items():
        if not isinstance(value, Mapping):
            continue
        path = f"{prefix}{name}"
        if set(value) == {"secret"}:
            yield path, str(value["secret"])
        elif dict(value) == {"generated": True}:
            yield path, None
        else:
            yield from find_secret_paths(value, f"{path}.")


def save_secrets(context: WriteContext, document: Mapping[str, object], values: Mapping[str, SecretStr]) -> None:
    """Save the secrets of a customer's document, and delete those that it no longer has.

    values: by path; a secret without a value keeps the stored one.
    """
    stored = {
        path: SecretRecord(*facts)
        for path, *facts in context.connection.fetch_rows(
            "SELECT path, reference, hmac, key_id FROM secrets WHERE customer_id = :customer", context.facts
        )
    }
    places = dict(find_secret_paths(document))
    for path in sorted(set(stored) - set(places)):
        context.connection.execute(
            "DELETE FROM secrets WHERE customer_id = :customer AND path = :path", {**context.facts, "path": path}
        )
    for path, name in sorted(places.items()):
        value = _choose_secret_value(path, name, values, stored)
        if value is not None:
            _save_secret(context, path, name, value, stored.get(path))


def _choose_secret_value(
    path: str, name: str | None, values: Mapping[str, SecretStr], stored: Mapping[str, SecretRecord]
) -> str | None:
    if name is not None:
        return values[path].get_secret_value() if path in values else None
    exists = path in stored and stored[path].reference is None
    return None if exists else randomness.token_urlsafe(GENERATED_BYTES)


def _save_secret(
    context: WriteContext, path: str, reference: str | None, value: str, before: SecretRecord | None
) -> None:
    known = context.key if before is None else context.key.find(before.key_id)
    is_same = before is not None and before.digest == known.compute_secret_hmac(context.slug, path, value)
    if before is not None and is_same and before.reference == reference and known is context.key:
        return
    digest = context.key.compute_secret_hmac(context.slug, path, value)
    ciphertext = context.key.encrypt(value, f"{context.slug}/{path}") if path.startswith(SERVED_PREFIX) else None
    context.connection.execute(
        "INSERT INTO secrets (customer_id, path, reference, hmac, ciphertext, changed_run, key_id)"
        " VALUES (:customer, :path, :reference, :digest, :ciphertext, :run, :key)"
        " ON CONFLICT (customer_id, path) DO UPDATE SET reference = excluded.reference, hmac = excluded.hmac,"
        " ciphertext = excluded.ciphertext, key_id = excluded.key_id,"
        # The same value under another key is no change of the secret.
        f" changed_run = {'secrets.changed_run' if is_same else 'excluded.changed_run'}",
        {
            **context.facts,
            "path": path,
            "reference": reference,
            "digest": digest,
            "ciphertext": ciphertext,
            "key": context.key.id,
        },
    )
