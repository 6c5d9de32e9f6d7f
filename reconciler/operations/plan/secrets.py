"""Check the secrets that a customer's configuration names: are they set, and do they differ from the store's?"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.config.models import SecretName
from reconciler.config.secrets import SecretBackend
from reconciler.model.diagnostic import Diagnostic, Refusal, Severity, Span, build_warning
from reconciler.model.ids import CustomerId
from reconciler.operations.notify.deliver import describe_invalid_webhook_value
from reconciler.store.key import StoreKey
from reconciler.store.read import SecretRecord

#: Path prefix of administrators' passwords, which are used only to create accounts: a changed one changes nothing.
ADMINISTRATORS = "administrators."


@dataclass(frozen=True, slots=True)
class SecretStates:
    #: by dotted path, the words of a report
    changed: Mapping[str, str]
    #: by dotted path, the secret's name and the place to set it
    missing: Mapping[str, tuple[str, str]]
    #: for secrets that cannot be read or are invalid
    unreadable: tuple[Diagnostic, ...]

    def build_warnings(self, customer: CustomerId, origins: Mapping[str, Span]) -> tuple[Diagnostic, ...]:
        """Return all warnings; none contains an administrator's username, because masked reports show messages."""
        return self.unreadable + tuple(
            build_warning(
                "secret-not-set",
                f"secret {name} of {customer} is not set here; "
                + (
                    "the account of a new administrator needs it"
                    if path.startswith(ADMINISTRATORS)
                    else f"the plan cannot tell if {path} changed"
                ),
                origins.get(path),
                f"Set {place} before the apply.",
            )
            for path, (name, place) in sorted(self.missing.items())
        )


def check_secrets(
    customer: CustomerId,
    references: Iterable[SecretName],
    stored: Mapping[str, SecretRecord],
    administrators: Collection[str],
    backend: SecretBackend,
    key: StoreKey,
    *,
    former_id: CustomerId | None = None,
) -> SecretStates:
    """Return the states of the secrets that a customer's document references.

    stored: by path, from the store; administrators: usernames that have accounts already;
    former_id: the store's id of a renamed customer."""
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
        invalid = describe_invalid_webhook_value(backend, customer, path, name, value)
        if invalid is not None:
            unreadable.append(replace(invalid, severity=Severity.WARNING))
        if path in stored and not path.startswith(ADMINISTRATORS):
            record = stored[path]
            if record.reference == name and record.digest != key.find(record.key_id).compute_secret_hmac(
                former_id or customer, path, value.get_secret_value()
            ):
                changed[path] = "(changed)"
    return SecretStates(changed, missing, tuple(unreadable))


def _parse_username(path: str) -> str:
    """Return USERNAME from `administrators.USERNAME.password`; it may contain dots."""
    return path.removeprefix(ADMINISTRATORS).rpartition(".")[0]
