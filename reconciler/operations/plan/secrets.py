"""The secrets that a customer's configuration names: which are set, and which are not what the store was given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from reconciler.config.models.secret import SecretName
from reconciler.config.secrets import SecretBackend
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity, Span, build_warning
from reconciler.operations.notify.deliver import describe_invalid_signing_secret, is_invalid_signing_secret
from reconciler.store.key import StoreKey

#: An administrator's password is used at creation only, so a changed one changes nothing.
ADMINISTRATORS = "administrators."


@dataclass(frozen=True, slots=True)
class SecretStates:
    """changed: by dotted path, what a report says. missing: path -> (name, where it
    would be set). unreadable: why some cannot be read, or cannot be what they are for."""

    changed: Mapping[str, str]
    missing: Mapping[str, tuple[str, str]]
    unreadable: tuple[Diagnostic, ...]

    def build_warnings(self, customer: str, origins: Mapping[str, Span]) -> tuple[Diagnostic, ...]:
        """A path that holds an administrator's username is kept out of the words: a masked report shows them."""
        return self.unreadable + tuple(
            build_warning(
                "secret-not-set",
                f"the secret {name} of {customer} is not set here; "
                + (
                    "a new administrator's account is made with it"
                    if path.startswith(ADMINISTRATORS)
                    else f"whether {path} changed is unknown"
                ),
                origins.get(path),
                f"an apply needs it: set {place}",
            )
            for path, (name, place) in sorted(self.missing.items())
        )


def check_secrets(
    customer: str,
    references: Iterable[SecretName],
    stored: Mapping[str, tuple[str | None, str]],
    administrators: Collection[str],
    backend: SecretBackend,
    key: StoreKey,
    *,
    former_id: str | None = None,
) -> SecretStates:
    """references: of the customer's document. kept: by path, (reference, HMAC) as the store has them. former: the id
    that it has them under, where that is another. administrators: usernames that have accounts already."""
    unreadable: list[Diagnostic] = []
    changed: dict[str, str] = {}
    missing: dict[str, tuple[str, str]] = {}
    for path, name in references:
        try:
            value = backend.get_secret(customer, name)
        except Refusal as refusal:
            unreadable += refusal.diagnostics
            continue
        if value is None:
            if not path.startswith(ADMINISTRATORS) or _parse_username(path) not in administrators:
                missing[path] = (name, backend.describe_place(customer, name))
            continue
        if is_invalid_signing_secret(path, value):
            unreadable.append(describe_invalid_signing_secret(backend, customer, name, severity=Severity.WARNING))
        if path in stored and not path.startswith(ADMINISTRATORS):
            reference, digest = stored[path]
            if reference == name and digest != key.compute_secret_hmac(
                former_id or customer, path, value.get_secret_value()
            ):
                changed[path] = "(changed)"
    return SecretStates(changed, missing, tuple(unreadable))


def _parse_username(path: str) -> str:
    """Of `administrators.USERNAME.password`; a username may hold dots."""
    return path.removeprefix(ADMINISTRATORS).rpartition(".")[0]
