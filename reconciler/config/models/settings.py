"""Describes reconciler.yaml: the environments, and settings for all customers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from reconciler.config.fields import values
from reconciler.config.fields.addresses import WebUrl
from reconciler.config.models.declaration import Declaration
from reconciler.config.models.limits import Limits
from reconciler.config.models.partial import make_partial_model
from reconciler.model.diagnostic import ConfigurationRefusal, build_error

DEFAULT_STORE = "sqlite:///.reconciler/store.db"
DEFAULT_OUTBOX = ".reconciler/outbox"
DEFAULT_PUBLIC_URL = "http://127.0.0.1:8000"


class EnvironmentSecrets(Declaration):
    """Secrets are environment variables, RECONCILER_SECRET__CUSTOMER__NAME."""

    backend: Literal["env"] = "env"
    """The place of secrets."""


class DirectorySecrets(Declaration):
    """Secrets are files, PATH/CUSTOMER/NAME."""

    backend: Literal["directory"]
    """The place of secrets."""
    path: values.Text
    """The directory; a relative path starts at the folder of reconciler.yaml."""


Secrets = Annotated[EnvironmentSecrets | DirectorySecrets, Field(discriminator="backend")]


class FileMail(Declaration):
    """Mail is written to a directory, one file each, for another program to send or for people to read."""

    backend: Literal["file"] = "file"
    """How mail is sent."""
    path: values.Text = DEFAULT_OUTBOX
    """The directory; a relative path starts at the folder of reconciler.yaml."""


class SmtpMail(Declaration):
    """Mail is sent through an SMTP server."""

    backend: Literal["smtp"]
    """How mail is sent."""
    host: values.Host
    """The server's host name."""
    port: values.Port = 587
    """The server's port."""
    security: Annotated[Literal["starttls", "tls", "none"], values.OneOf()] = "starttls"
    """The encryption of the connection; none is only for a server on this machine."""
    username: values.Key | None = None
    """The user to sign in as, if the server requires it; the password is the variable RECONCILER_SMTP_PASSWORD."""
    sender: values.Email
    """The sender's email address."""


Mail = Annotated[FileMail | SmtpMail, Field(discriminator="backend")]


class Environment(Declaration):
    """One store and its surroundings."""

    store: values.StoreUrl = DEFAULT_STORE
    """sqlite:///FILE or postgresql://HOST/NAME; a relative FILE starts at the folder of reconciler.yaml. A password
    belongs in PGPASSWORD or ~/.pgpass, not here."""
    public_url: WebUrl = DEFAULT_PUBLIC_URL
    """The URL at which people reach the web application."""
    secrets: Secrets = EnvironmentSecrets()
    """The place of secrets."""
    mail: Mail = FileMail()
    """How mail is sent."""

    def resolve_paths(self, folder: Path) -> Self:
        """Return the environment with its relative paths below the folder of reconciler.yaml."""
        changed: dict[str, object] = {}
        scheme, mark, path = self.store.partition(":///")
        if scheme.startswith("sqlite") and path and not path.startswith(("~", ":", "file:")):
            changed["store"] = f"{scheme}{mark}{folder / path}"
        if isinstance(self.secrets, DirectorySecrets):
            changed["secrets"] = self.secrets.model_copy(update={"path": str(folder / self.secrets.path)})
        if isinstance(self.mail, FileMail):
            changed["mail"] = self.mail.model_copy(update={"path": str(folder / self.mail.path)})
        return self.model_copy(update=changed)


class Operator(Declaration):
    """A person of the platform team who may sign in to /platform."""

    name: values.Text
    """The person's name."""
    email: values.Email
    """The person's email address."""
    role: Annotated[Literal["operator"], values.OneOf()]
    """The person's rights."""


if TYPE_CHECKING:
    Ceilings = Limits
else:
    Ceilings = make_partial_model(Limits, name="Ceilings")


class Policy(Declaration):
    """Bounds that no customer may exceed."""

    limits: Ceilings | None = None
    """Upper bounds for the customers' limits; a limit that is left out has no bound."""


def _check_network_entry(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        if "/" in value or not re.fullmatch(values.HOST_PATTERN, value):
            raise PydanticCustomError(
                "invalid-network", "must be a host name, an address or a network such as 10.20.0.0/16"
            ) from None
    return value


class Network(Declaration):
    """Access to other hosts."""

    allow: tuple[Annotated[values.Key, AfterValidator(_check_network_entry)], ...] = ()
    """Private or plain-http hosts that are allowed: names, addresses or networks such as 10.20.0.0/16. Default: none.
    """
    fetches_per_host: values.Positive = 2
    """Maximum number of rosters fetched from one host at the same time, across all customers of a run."""
    requests_per_second: values.Positive | None = None
    """Maximum number of requests per second to one host, across all customers of a run. Default: no limit."""

    def is_allowed(self, host: str) -> bool:
        """Return whether `allow` lists a host, by name or address. Nothing is looked up."""
        name = host.strip("[]").rstrip(".").lower()
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return name in (entry.lower() for entry in self.allow)
        for entry in self.allow:
            try:
                if address in ipaddress.ip_network(entry):
                    return True
            except ValueError:
                continue
        return False


def _check_not_empty(value: Mapping[str, Environment]) -> Mapping[str, Environment]:
    if not value:
        raise PydanticCustomError("no-environment", "must list at least one environment")
    return value


class Settings(Declaration):
    """The content of reconciler.yaml. Without the file there is one environment; its store is next to the customers."""

    format: values.FormatVersion = 1
    """The version of the file format."""
    environments: Annotated[dict[values.Id, Environment], AfterValidator(_check_not_empty)] = Field(
        default_factory=lambda: {"default": Environment()}
    )
    """Selected by --env or RECONCILER_ENV; the first is the default."""
    operators: tuple[Operator, ...] = ()
    """People of the platform team who may sign in to /platform."""
    policy: Policy = Policy()
    """Bounds that no customer may exceed."""
    network: Network = Network()
    """Access to other hosts."""

    def get_environment(self, name: str | None = None) -> tuple[str, Environment]:
        """Return the environment of this name, or the first, with its name. Raises Refusal for an unknown name."""
        chosen = name or next(iter(self.environments))
        if chosen not in self.environments:
            known = ", ".join(self.environments)
            raise ConfigurationRefusal(
                [
                    build_error(
                        "unknown-environment",
                        f"unknown environment {chosen}",
                        hint=f"Environments in reconciler.yaml: {known}",
                    )
                ]
            )
        return chosen, self.environments[chosen]
