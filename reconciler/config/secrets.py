"""Looks up secrets in the environment or in a directory, only under the customer's own name."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, assert_never

from pydantic import SecretStr

from reconciler.config.fields.values import ID_PATTERN
from reconciler.config.models.settings import DirectorySecrets, EnvironmentSecrets
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.model.ids import CustomerId

PREFIX = "RECONCILER_SECRET"


class SecretBackend(Protocol):
    """Looks up secrets under a customer's own name."""

    def get_secret(self, customer: CustomerId, name: str) -> SecretStr | None:
        """Return the customer's secret, or None if it is not set.

        Raises Refusal if it cannot be read, ValueError if the customer or the name is not an ID.
        """

    def describe_place(self, customer: CustomerId, name: str) -> str:
        """Return the place where the secret is set, for a message."""


@dataclass(frozen=True, slots=True)
class EnvironmentSecretBackend:
    """Reads `RECONCILER_SECRET__SPRINGFIELD__CANVAS`, without a newline at the end.

    An empty variable counts as not set."""

    variables: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def get_secret(self, customer: CustomerId, name: str) -> SecretStr | None:
        return _build_secret(self.variables.get(build_variable_name(customer, name), ""))

    def describe_place(self, customer: CustomerId, name: str) -> str:
        return f"the variable {build_variable_name(customer, name)}"


@dataclass(frozen=True, slots=True)
class DirectorySecretBackend:
    """Reads `PATH/springfield/canvas`, without a newline at the end. An empty file counts as not set."""

    path: Path

    def get_secret(self, customer: CustomerId, name: str) -> SecretStr | None:
        file = self.path / _check_name(customer) / _check_name(name)
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise _build_unreadable_refusal(customer, name, str(problem.strerror)) from problem
        except UnicodeDecodeError:
            # Not chained: the exception contains the file's bytes.
            raise _build_unreadable_refusal(customer, name, "the file is not UTF-8") from None
        return _build_secret(text)

    def describe_place(self, customer: CustomerId, name: str) -> str:
        return f"the file {self.path / _check_name(customer) / _check_name(name)}"


class NoSecretBackend:
    """For work on files from untrusted authors. A call is a bug."""

    def get_secret(self, customer: CustomerId, name: str) -> SecretStr | None:
        raise AssertionError(f"secret {name} of {customer} must not be read here")

    def describe_place(self, customer: CustomerId, name: str) -> str:
        return f"the secret {_check_name(name)} of {_check_name(customer)}"


def create_backend(settings: EnvironmentSecrets | DirectorySecrets) -> SecretBackend:
    """Return the backend of an environment's settings."""
    match settings:
        case EnvironmentSecrets():
            return EnvironmentSecretBackend()
        case DirectorySecrets():
            return DirectorySecretBackend(Path(settings.path))
        case _:
            assert_never(settings)


def build_variable_name(customer: CustomerId, name: str) -> str:
    """Return the environment variable of a secret: uppercase, hyphens as `_`, joined by `__`."""
    parts = (PREFIX, *(_check_name(each).upper().replace("-", "_") for each in (customer, name)))
    return "__".join(parts)


def _build_secret(text: str) -> SecretStr | None:
    """Return the secret without the newline that `echo` and editors append; None if nothing is left."""
    value = text.removesuffix("\n").removesuffix("\r")
    return SecretStr(value) if value else None


def _build_unreadable_refusal(customer: CustomerId, name: str, why: str) -> Refusal:
    return Refusal(
        [
            build_error(
                "secret-unreadable",
                f"secret {name} of {customer} cannot be read: {why}",
                hint="Make it a readable text file in the secrets directory of this environment.",
            )
        ]
    )


def _check_name(name: str) -> str:
    """Return the name, which must be an ID, so that no path and no other customer can be reached through it."""
    if not re.fullmatch(ID_PATTERN, name):
        raise ValueError("names of customers and secrets are lowercase letters, digits and single hyphens")
    return name
