"""Where secrets are looked up: in the environment, or in a directory. Only ever under the customer's own name."""

from __future__ import annotations

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

PREFIX = "RECONCILER_SECRET"


class SecretBackend(Protocol):
    def get_secret(self, customer: str, name: str) -> SecretStr | None:
        """The secret of this customer, None where it is not set. Refusal where it cannot be read, ValueError for
        a customer or a name that is no id."""

    def describe_place(self, customer: str, name: str) -> str:
        """Where it would be set, for a person."""


@dataclass(frozen=True, slots=True)
class EnvironmentSecretBackend:
    """`RECONCILER_SECRET__SPRINGFIELD__CANVAS`. An empty variable is not set."""

    variables: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def get_secret(self, customer: str, name: str) -> SecretStr | None:
        value = self.variables.get(build_variable_name(customer, name))
        return SecretStr(value) if value else None

    def describe_place(self, customer: str, name: str) -> str:
        return f"the variable {build_variable_name(customer, name)}"


@dataclass(frozen=True, slots=True)
class DirectorySecretBackend:
    """`PATH/springfield/canvas`, without the newline that an editor puts behind it. An empty file is not set."""

    path: Path

    def get_secret(self, customer: str, name: str) -> SecretStr | None:
        file = self.path / _check_name(customer) / _check_name(name)
        try:
            text = file.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise _build_unreadable_refusal(customer, name, str(problem.strerror)) from problem
        except UnicodeDecodeError:
            # not chained: the exception holds the file's bytes
            raise _build_unreadable_refusal(customer, name, "it is not UTF-8") from None
        value = text.removesuffix("\n").removesuffix("\r")
        return SecretStr(value) if value else None

    def describe_place(self, customer: str, name: str) -> str:
        return f"the file {self.path / _check_name(customer) / _check_name(name)}"


class NoSecretBackend:
    """For work on files that anybody may have written. Whoever asks it all the same has a defect."""

    def get_secret(self, customer: str, name: str) -> SecretStr | None:
        raise AssertionError(f"the secret {name} of {customer} must not be asked for here")

    def describe_place(self, customer: str, name: str) -> str:
        return f"the secret {_check_name(name)} of {_check_name(customer)}"


def create_backend(settings: EnvironmentSecrets | DirectorySecrets) -> SecretBackend:
    """The backend that an environment names."""
    match settings:
        case EnvironmentSecrets():
            return EnvironmentSecretBackend()
        case DirectorySecrets():
            return DirectorySecretBackend(Path(settings.path))
        case _:
            assert_never(settings)


def build_variable_name(customer: str, name: str) -> str:
    """The environment's variable for a secret: upper-case, hyphens as `_`, joined by `__`."""
    parts = (PREFIX, *(_check_name(each).upper().replace("-", "_") for each in (customer, name)))
    return "__".join(parts)


def _build_unreadable_refusal(customer: str, name: str, why: str) -> Refusal:
    return Refusal(
        [
            build_error(
                "secret-unreadable",
                f"the secret {name} of {customer} cannot be read: {why}",
                hint="make it a readable text file in the directory of this environment's secrets",
            )
        ]
    )


def _check_name(name: str) -> str:
    """Names are ids, so no path and no other customer can be reached through them."""
    if not re.fullmatch(ID_PATTERN, name):
        raise ValueError("customers and secrets are named by lower-case letters, digits and single hyphens")
    return name
