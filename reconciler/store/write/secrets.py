"""Save the reference and HMAC of a customer's secrets, and the encrypted value of those that the web service needs."""

import secrets as randomness
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

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
        path: (reference, digest)
        for path, reference, digest in context.connection.fetch_rows(
            "SELECT path, reference, hmac FROM secrets WHERE customer_id = :customer", context.facts
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
    path: str, name: str | None, values: Mapping[str, SecretStr], stored: Mapping[str, tuple[str | None, str]]
) -> str | None:
    if name is not None:
        return values[path].get_secret_value() if path in values else None
    exists = path in stored and stored[path][0] is None
    return None if exists else randomness.token_urlsafe(GENERATED_BYTES)


def _save_secret(
    context: WriteContext, path: str, reference: str | None, value: str, before: tuple[str | None, str] | None
) -> None:
    digest = context.key.compute_secret_hmac(context.slug, path, value)
    if before == (reference, digest):
        return
    ciphertext = context.key.encrypt(value, f"{context.slug}/{path}") if path.startswith(SERVED_PREFIX) else None
    context.connection.execute(
        "INSERT INTO secrets (customer_id, path, reference, hmac, ciphertext, changed_run)"
        " VALUES (:customer, :path, :reference, :digest, :ciphertext, :run)"
        " ON CONFLICT (customer_id, path) DO UPDATE SET reference = excluded.reference, hmac = excluded.hmac,"
        " ciphertext = excluded.ciphertext, changed_run = excluded.changed_run",
        {**context.facts, "path": path, "reference": reference, "digest": digest, "ciphertext": ciphertext},
    )
