"""reconciler.yaml: the environments, and what holds for all customers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from reconciler.config.fields.addresses import WebUrl
from reconciler.config.fields.values import (
    HOST_PATTERN,
    Email,
    FormatVersion,
    Host,
    Id,
    OneOf,
    Port,
    Positive,
    StoreUrl,
    Text,
)
from reconciler.config.models.declaration import Declaration
from reconciler.config.models.limits import Limits
from reconciler.config.models.partial import make_partial_model
from reconciler.model.diagnostic import ConfigurationRefusal, build_error

DEFAULT_STORE = "sqlite:///.reconciler/store.db"
DEFAULT_OUTBOX = ".reconciler/outbox"
DEFAULT_PUBLIC_URL = "http://127.0.0.1:8000"


class EnvironmentSecrets(Declaration):
    """Secrets are variables of the environment, RECONCILER_SECRET__CUSTOMER__NAME."""

    backend: Literal["env"] = "env"
    """Where secrets are looked up."""


class DirectorySecrets(Declaration):
    """Secrets are files, PATH/CUSTOMER/NAME."""

    backend: Literal["directory"]
    """Where secrets are looked up."""
    path: Text
    """The directory; where relative, seen from the current directory."""


Secrets = Annotated[EnvironmentSecrets | DirectorySecrets, Field(discriminator="backend")]


class FileMail(Declaration):
    """Mail is put into a folder, one file each, for somebody else to send or to read."""

    backend: Literal["file"] = "file"
    """How mail leaves."""
    path: Text = DEFAULT_OUTBOX
    """The folder; where relative, seen from the current directory."""


class SmtpMail(Declaration):
    """Mail is handed to an SMTP server."""

    backend: Literal["smtp"]
    """How mail leaves."""
    host: Host
    """The server's name."""
    port: Port = 587
    """The server's port."""
    security: Annotated[Literal["starttls", "tls", "none"], OneOf()] = "starttls"
    """How the connection is kept private; none only for a server on this machine."""
    username: Text | None = None
    """The user to sign in as, if the server asks; the password is the variable RECONCILER_SMTP_PASSWORD."""
    sender: Email
    """Whom the mail is from."""


Mail = Annotated[FileMail | SmtpMail, Field(discriminator="backend")]


class Environment(Declaration):
    """One live store and what belongs to it."""

    store: StoreUrl = DEFAULT_STORE
    """sqlite:///FILE or postgresql://HOST/NAME. A password belongs in PGPASSWORD or ~/.pgpass, not here."""
    public_url: WebUrl = DEFAULT_PUBLIC_URL
    """The address by which people reach the web application."""
    secrets: Secrets = EnvironmentSecrets()
    """Where secrets are looked up."""
    mail: Mail = FileMail()
    """How mail leaves."""


class Operator(Declaration):
    """A person of the platform team who may sign in to /platform."""

    name: Text
    """The person's name."""
    email: Email
    """Where mail reaches the person."""
    role: Annotated[Literal["operator"], OneOf()]
    """What the person may do."""


if TYPE_CHECKING:
    Ceilings = Limits
else:
    Ceilings = make_partial_model(Limits, name="Ceilings")


class Policy(Declaration):
    """What no customer may exceed."""

    limits: Ceilings | None = None
    """Ceilings for the customers' limits; only those that are named."""


def _check_network_entry(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        if "/" in value or not re.fullmatch(HOST_PATTERN, value):
            raise PydanticCustomError(
                "invalid-network", "must be a host's name, an address or a network such as 10.20.0.0/16"
            ) from None
    return value


class Network(Declaration):
    """Hosts that are taken although they are private or speak plain http."""

    allow: tuple[Annotated[Text, AfterValidator(_check_network_entry)], ...] = ()
    """Names, addresses or networks such as 10.20.0.0/16; default none."""
    fetches_per_host: Positive = 2
    """As many rosters are fetched from one host at once, over all customers of a run."""
    requests_per_second: Positive | None = None
    """As many requests one host gets in a second, over all customers of a run; none: as many as it answers."""

    def is_allowed(self, host: str) -> bool:
        """Whether a host, by name or address, is named here. Nothing is looked up."""
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
        raise PydanticCustomError("no-environment", "must name at least one environment")
    return value


class Settings(Declaration):
    """What reconciler.yaml says; without the file, one environment with a store beside the customers."""

    format: FormatVersion = 1
    """The version of this file's form."""
    environments: Annotated[dict[Id, Environment], AfterValidator(_check_not_empty)] = Field(
        default_factory=lambda: {"default": Environment()}
    )
    """Chosen by --env or RECONCILER_ENV; the first is the default."""
    operators: tuple[Operator, ...] = ()
    """People of the platform team who may sign in to /platform."""
    policy: Policy = Policy()
    """What no customer may exceed."""
    network: Network = Network()
    """Hosts that are taken although they are private or speak plain http."""

    def get_environment(self, name: str | None = None) -> tuple[str, Environment]:
        """The environment of this name, or the first, with its name. Refusal where there is none."""
        chosen = name or next(iter(self.environments))
        if chosen not in self.environments:
            known = ", ".join(self.environments)
            raise ConfigurationRefusal(
                [
                    build_error(
                        "unknown-environment",
                        f"there is no environment {chosen}",
                        hint=f"known are {known}; they stand in reconciler.yaml",
                    )
                ]
            )
        return chosen, self.environments[chosen]
