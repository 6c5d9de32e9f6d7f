"""What the store keeps of a customer's secrets: which reference, an HMAC to see that one changed, and the encrypted
value only where the web service needs it."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from reconciler.store.write.rows import WriteContext

#: Below this, `serve` needs the values themselves.
SERVED_PREFIX = "lti."
GENERATED_BYTES = 32


def find_secret_paths(document: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """(dotted path, name) of every secret in a document; the name is None for one that is generated."""
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
    """given: values by path. A place without a value keeps what the store has; places that are gone are forgotten."""
    kept = {
        path: (reference, digest)
        for path, reference, digest in context.connection.fetch_rows(
            "SELECT path, reference, hmac FROM secrets WHERE customer_id = :customer", context.facts
        )
    }
    places = dict(find_secret_paths(document))
    for path in sorted(set(kept) - set(places)):
        context.connection.execute(
            "DELETE FROM secrets WHERE customer_id = :customer AND path = :path", {**context.facts, "path": path}
        )
    for path, name in sorted(places.items()):
        value = _choose_secret_value(path, name, values, kept)
        if value is not None:
            _save_secret(context, path, name, value, kept.get(path))


def _choose_secret_value(
    path: str, name: str | None, values: Mapping[str, SecretStr], kept: Mapping[str, tuple[str | None, str]]
) -> str | None:
    if name is not None:
        return values[path].get_secret_value() if path in values else None
    is_there = path in kept and kept[path][0] is None
    return None if is_there else randomness.token_urlsafe(GENERATED_BYTES)


def _save_secret(
    context: WriteContext, path: str, reference: str | None, value: str, before: tuple[str | None, str] | None
) -> None:
    digest = context.key.compute_secret_hmac(context.slug, path, value)
    if before == (reference, digest):
        return
    sealed = context.key.encrypt(value, f"{context.slug}/{path}") if path.startswith(SERVED_PREFIX) else None
    context.connection.execute(
        "INSERT INTO secrets (customer_id, path, reference, hmac, ciphertext, changed_run)"
        " VALUES (:customer, :path, :reference, :digest, :sealed, :run)"
        " ON CONFLICT (customer_id, path) DO UPDATE SET reference = excluded.reference, hmac = excluded.hmac,"
        " ciphertext = excluded.ciphertext, changed_run = excluded.changed_run",
        {**context.facts, "path": path, "reference": reference, "digest": digest, "sealed": sealed},
    )
