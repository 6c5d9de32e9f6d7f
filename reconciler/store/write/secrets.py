"""What the store keeps of a customer's secrets: which reference, an HMAC to see that one changed, and the encrypted
value only where the web service needs it."""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterator, Mapping

from pydantic import SecretStr

from reconciler.store.write.rows import Writing

#: Below this, `serve` needs the values themselves.
SERVED = "lti."
GENERATED_BYTES = 32


def secret_places(document: Mapping[str, object], above: str = "") -> Iterator[tuple[str, str | None]]:
    """(dotted path, name) of every secret in a document; the name is None for one that is generated."""
    for name, value in document.items():
        if not isinstance(value, Mapping):
            continue
        path = f"{above}{name}"
        if set(value) == {"secret"}:
            yield path, str(value["secret"])
        elif dict(value) == {"generated": True}:
            yield path, None
        else:
            yield from secret_places(value, f"{path}.")


def keep_secrets(writing: Writing, document: Mapping[str, object], given: Mapping[str, SecretStr]) -> None:
    """given: values by path. A place without a value keeps what the store has; places that are gone are forgotten."""
    kept = {
        path: (reference, digest)
        for path, reference, digest in writing.connection.rows(
            "SELECT path, reference, hmac FROM secrets WHERE customer_id = :customer", writing.facts
        )
    }
    places = dict(secret_places(document))
    for path in sorted(set(kept) - set(places)):
        writing.connection.execute(
            "DELETE FROM secrets WHERE customer_id = :customer AND path = :path", {**writing.facts, "path": path}
        )
    for path, name in sorted(places.items()):
        value = _value(path, name, given, kept)
        if value is not None:
            _keep(writing, path, name, value, kept.get(path))


def _value(
    path: str, name: str | None, given: Mapping[str, SecretStr], kept: Mapping[str, tuple[str | None, str]]
) -> str | None:
    if name is not None:
        return given[path].get_secret_value() if path in given else None
    is_there = path in kept and kept[path][0] is None
    return None if is_there else randomness.token_urlsafe(GENERATED_BYTES)


def _keep(
    writing: Writing, path: str, reference: str | None, value: str, before: tuple[str | None, str] | None
) -> None:
    digest = writing.key.secret_hmac(writing.slug, path, value)
    if before == (reference, digest):
        return
    sealed = writing.key.encrypt(value, f"{writing.slug}/{path}") if path.startswith(SERVED) else None
    writing.connection.execute(
        "INSERT INTO secrets (customer_id, path, reference, hmac, ciphertext, changed_run)"
        " VALUES (:customer, :path, :reference, :digest, :sealed, :run)"
        " ON CONFLICT (customer_id, path) DO UPDATE SET reference = excluded.reference, hmac = excluded.hmac,"
        " ciphertext = excluded.ciphertext, changed_run = excluded.changed_run",
        {**writing.facts, "path": path, "reference": reference, "digest": digest, "sealed": sealed},
    )
