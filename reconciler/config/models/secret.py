"""Secrets in a document: only ever a reference to one. A literal is refused and never repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ConfigDict, model_validator
from pydantic_core import PydanticCustomError

from reconciler.config.fields.values import Id, TrueOnly
from reconciler.config.models.declaration import (
    Declaration,
    DeclarationWithRules,
    RuleViolation,
    ValidationContext,
    mark_rule,
)

#: keys whose values are never repeated, wherever they stand
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
            "literal-secret", "must name a secret as {secret: NAME}; the secret itself does not belong in this file"
        )
    return value


class SecretReference(Declaration):
    """The name of a secret, looked up under the customer's own name."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"secret": "canvas"}]})

    secret: Id
    """Its name: RECONCILER_SECRET__CUSTOMER__NAME in the environment, or the file CUSTOMER/NAME of the directory."""

    _literal = model_validator(mode="before")(_refuse_literal)


class SharedSecret(DeclarationWithRules):
    """The name of a secret, or {generated: true}: made at apply and read with `reconciler lti-key`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["secret"]}, {"required": ["generated"]}]})

    secret: Id | None = None
    """Its name, looked up under the customer's own name."""
    generated: TrueOnly | None = None
    """True: reconciler makes the secret when it applies."""

    _literal = model_validator(mode="before")(_refuse_literal)

    @mark_rule
    def _check_one_secret_source(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.has_value("secret") == self.has_value("generated"):
            yield RuleViolation(
                "secret-or-generated", "shared_secret is either {secret: NAME} or {generated: true}, exactly one"
            )


#: (dotted path, name) of one
SecretName = tuple[str, str]


def find_secret_references(document: Mapping[str, object]) -> tuple[SecretName, ...]:
    """Every `{secret: NAME}` in a document, in order."""
    found: list[SecretName] = []
    _collect_references(document, "", found)
    return tuple(found)


def _collect_references(document: Mapping[str, object], above: str, found: list[SecretName]) -> None:
    for name, value in document.items():
        if type(value) is str or not isinstance(value, Mapping):
            continue
        if len(value) == 1 and "secret" in value:
            found.append((f"{above}{name}", str(value["secret"])))
        else:
            _collect_references(value, f"{above}{name}.", found)
