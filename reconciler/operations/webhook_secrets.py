"""The secret that posts to a webhook are signed with: whether it is set, and of the form that signing needs.

Told wherever secrets are resolved: by a plan and a sync as a warning, by an apply as an error, and at delivery.
"""

from __future__ import annotations

from pydantic import SecretStr

from reconciler.config.secrets import SecretBackend
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity, Span, error
from reconciler.notices.signing import secret_bytes

#: Where a customer's document names it.
PATH = "notify.webhook_secret"


def signing_secret(backend: SecretBackend, customer: str, name: str) -> bytes:
    """Raises Refusal: `secret-not-set`, `webhook-secret-form`, or what the backend raises."""
    value = backend.get(customer, name)
    if value is None:
        place = backend.place(customer, name)
        raise Refusal([error("secret-not-set", f"{place} is not set, so no post can be signed", hint=f"set {place}")])
    secret = secret_bytes(value.get_secret_value())
    if secret is None:
        raise Refusal([misshapen(backend, customer, name)])
    return secret


def is_misshapen(path: str, value: SecretStr) -> bool:
    """Whether no post can be signed with it; never so of other secrets. path: dotted, in a customer's document."""
    return path == PATH and secret_bytes(value.get_secret_value()) is None


def misshapen(
    backend: SecretBackend, customer: str, name: str, span: Span | None = None, severity: Severity = Severity.ERROR
) -> Diagnostic:
    return Diagnostic(
        "webhook-secret-form",
        severity,
        f"the secret {name} of {customer} is not base64 of 24 to 64 bytes, so no post can be signed with it",
        span,
        f"`openssl rand -base64 32` makes one; set {backend.place(customer, name)}",
    )
