"""Describes secrets in a document: always a reference, never a literal, which is refused and never repeated."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from reconciler.config.fields.values import Id, TrueOnly
from reconciler.config.models import declaration

#: keys whose values no message repeats
SECRET_KEYS = frozenset(
    {
        "password",
        "shared_secret",
        "previous_secret",
        "secret_key",
        "private_key",
        "secret",
        "token",
        "consumer_key",
        "authorization",
        "store",
        "url",
        "token_url",
        "webhook",
    }
)


def _refuse_literal(value: Any) -> Any:
    if isinstance(value, str | int | float | list):
        raise PydanticCustomError(
            "literal-secret", "must be a reference {secret: NAME}; the secret itself does not belong in this file"
        )
    return value


class SecretReference(declaration.Declaration):
    """The name of a secret, looked up under the customer's own name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"secret": "canvas"}]})

    secret: Id
    """The secret's name: RECONCILER_SECRET__CUSTOMER__NAME in the environment, or the file CUSTOMER/NAME of the
    directory."""

    _literal = model_validator(mode="before")(_refuse_literal)


class SharedSecret(declaration.DeclarationWithRules):
    """The name of a secret, or {generated: true}: created by apply and read with `reconciler lti-key`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["secret"]}, {"required": ["generated"]}]})

    secret: Id | None = None
    """The secret's name, looked up under the customer's own name."""
    generated: TrueOnly | None = None
    """true: apply creates the secret."""

    _literal = model_validator(mode="before")(_refuse_literal)

    @declaration.mark_rule
    def _check_one_secret_source(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        if self.has_value("secret") == self.has_value("generated"):
            yield declaration.RuleViolation(
                "secret-or-generated", "shared_secret must be either {secret: NAME} or {generated: true}"
            )


#: (dotted path in the document, name of the secret)
SecretName = tuple[str, str]


def find_secret_references(document: Mapping[str, object]) -> tuple[SecretName, ...]:
    """Return every `{secret: NAME}` in a JSON-able document, in order."""
    references: list[SecretName] = []
    _collect_references(document, "", references)
    return tuple(references)


def _collect_references(document: Mapping[str, object], prefix: str, references: list[SecretName]) -> None:
    for name, value in document.items():
        if type(value) is str or not isinstance(value, Mapping):
            continue
        if len(value) == 1 and "secret" in value:
            references.append((f"{prefix}{name}", str(value["secret"])))
        else:
            _collect_references(value, f"{prefix}{name}.", references)
