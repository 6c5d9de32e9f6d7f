"""Describes how a roster arrives: by upload, from an SFTP server, or from a OneRoster API."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.config.fields import values
from reconciler.config.fields.addresses import (
    PublicHostKey,
    WebUrl,
    find_secret_parameter,
    get_host,
    is_https,
    is_private_host,
)
from reconciler.config.models.declaration import (
    Declaration,
    DeclarationWithRules,
    RuleViolation,
    ValidationContext,
    iter_known_values,
    mark_rule,
)
from reconciler.config.models.secret import SecretReference

PeriodName = Annotated[
    Literal["hourly", "every_6_hours", "every_12_hours", "daily", "weekly", "monthly"], values.OneOf()
]


def _check_manual(value: str) -> str:
    if value != "manual":
        raise PydanticCustomError(
            "zip-is-manual", "sync type zip is always manual; frequency: auto requires sftp or api", {"whole": True}
        )
    return value


class ZipSync(Declaration):
    """A person uploads a OneRoster ZIP file, or passes it with --zip."""

    type: Literal["zip"]
    """How the roster arrives."""
    frequency: Annotated[values.Frequency, AfterValidator(_check_manual), WithJsonSchema({"const": "manual"})] = (
        "manual"
    )
    """Always manual: a person uploads the file."""


class SchedulableSync(DeclarationWithRules):
    """Settings of every roster that can be fetched automatically."""

    frequency: values.Frequency = "manual"
    """manual: only on request. auto: automatically, once in each period."""
    period: PeriodName | None = None
    """How often to fetch, with frequency: auto."""
    at: values.Clock | None = None
    """Time of day in the customer's time zone, with frequency: auto."""
    timeout: values.FetchTime = timedelta(hours=2)
    """A fetch that takes longer is stopped, and nothing is compared. At most 24h."""

    @mark_rule
    def _check_period_for_auto(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.frequency == "auto" and not self.has_value("period"):
            yield RuleViolation(
                "period-missing",
                "period is missing; frequency: auto requires it",
                ("frequency",),
                "Add a period, for example period: daily.",
                is_absence=True,
            )

    @mark_rule
    def _check_no_times_for_manual(self, context: ValidationContext) -> Iterable[RuleViolation]:
        for key in ("period", "at"):
            if self.frequency == "manual" and self.has_value(key):
                yield RuleViolation(
                    "period-without-auto",
                    f"{key} requires frequency: auto",
                    (key,),
                    f"Add frequency: auto, or remove {key}.",
                )


class SftpSync(SchedulableSync):
    """A OneRoster ZIP file or a folder of CSV files on an SFTP server."""

    type: Literal["sftp"]
    """How the roster arrives."""
    host: values.Host
    """The server's host name, without sftp://."""
    port: values.Port = 22
    """The server's port."""
    username: values.Key
    """The user to sign in as."""
    password: SecretReference | None = None
    """The secret that holds the user's password; an alternative to private_key."""
    private_key: SecretReference | None = None
    """The secret that holds the user's private key; an alternative to password."""
    path: values.RemotePath
    """The roster's path on the server: a ZIP file, a folder of CSV files, or a pattern such as /out/roster-*.zip."""
    pick: Annotated[Literal["newest", "last_by_name"], values.OneOf()] | None = None
    """How to choose the roster if several files match a pattern."""
    done_marker: values.RemoteSuffix | None = None
    """The suffix of a file that the sender writes next to a complete roster, such as .done; the checksum in a .sha256
    file is verified."""
    host_key: PublicHostKey
    """The server's public key, as `ssh-keyscan HOST` prints it without the host; any other key is refused."""

    @mark_rule
    def _check_pick_fits_path(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if values.is_pattern(self.path) and not self.has_value("pick"):
            yield RuleViolation(
                "pick-missing",
                "pick is missing; path is a pattern, which several files may match",
                ("path",),
                "Add pick: newest or pick: last_by_name, or write the path of one file.",
                is_absence=True,
            )
        if not values.is_pattern(self.path) and self.has_value("pick"):
            yield RuleViolation("pick-without-pattern", "pick requires a path that is a pattern", ("pick",))

    @mark_rule
    def _check_one_sign_in_method(self, context: ValidationContext) -> Iterable[RuleViolation]:
        methods = [key for key in ("password", "private_key") if self.has_value(key)]
        if not methods:
            yield RuleViolation(
                "password-or-key",
                "password or private_key is missing; sync type sftp requires one of them",
                (),
                "Add one of them, for example password: {secret: sftp}.",
                is_absence=True,
            )
        if len(methods) > 1:
            yield RuleViolation(
                "password-or-key",
                "password and private_key cannot be combined",
                ("private_key",),
                "Keep the one that the server requires.",
            )

    @mark_rule
    def _check_host(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if context.network is not None and is_private_host(self.host) and not context.network.is_allowed(self.host):
            yield _build_private_host_violation("host")


class ApiSync(SchedulableSync):
    """A OneRoster REST API."""

    type: Literal["api"]
    """How the roster arrives."""
    url: WebUrl
    """The base URL, including /ims/oneroster/v1p1 (or …/rostering/v1p2)."""
    authorization: Annotated[Literal["oauth1", "oauth2"], values.OneOf()]
    """How the API requires requests to be authorized; OneRoster 1.2 requires oauth2."""
    consumer_key: values.Key
    """The consumer key (oauth2: client ID) issued by the API's owner."""
    secret_key: SecretReference
    """The secret that belongs to the consumer key."""
    token_url: WebUrl | None = None
    """oauth2: the URL that issues tokens."""
    scopes: tuple[values.Key, ...] = ()
    """oauth2: the scopes to request. Default: the scopes that OneRoster defines."""
    signature: Annotated[Literal["hmac-sha1", "hmac-sha256"], values.OneOf()] | None = None
    """oauth1: the signature method. Default: hmac-sha1, which most servers support."""
    page_size: values.PageSize = 1000
    """Rows to request at once. A server may send fewer."""
    delta: values.Boolean = False
    """Between full rosters, fetch only changes. The full roster is still fetched at least once a week."""

    @mark_rule
    def _check_token_url_for_oauth2(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.authorization == "oauth2" and not self.has_value("token_url"):
            yield RuleViolation(
                "token-url-missing",
                "token_url is missing; authorization: oauth2 requires it",
                ("authorization",),
                "Ask the API's owner for the URL that issues tokens.",
                is_absence=True,
            )

    @mark_rule
    def _check_no_token_keys_for_oauth1(self, context: ValidationContext) -> Iterable[RuleViolation]:
        for key in ("token_url", "scopes"):
            if self.authorization == "oauth1" and self.has_value(key):
                yield RuleViolation("oauth2-only", f"{key} requires authorization: oauth2", (key,))

    @mark_rule
    def _check_no_signature_for_oauth2(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.authorization == "oauth2" and self.has_value("signature"):
            yield RuleViolation("oauth1-only", "signature requires authorization: oauth1", ("signature",))

    @mark_rule
    def _check_address_hosts(self, context: ValidationContext) -> Iterable[RuleViolation]:
        for key, url in iter_known_values(self, "url", "token_url"):
            if url is None or context.network is None or context.network.is_allowed(get_host(url)):
                continue
            if not is_https(url):
                yield RuleViolation(
                    "plain-http",
                    f"{key} must start with https://",
                    (key,),
                    "To allow a host that supports only plain http, add it to network.allow in reconciler.yaml.",
                )
            elif is_private_host(get_host(url)):
                yield _build_private_host_violation(key)

    @mark_rule
    def _check_no_secret_in_addresses(self, context: ValidationContext) -> Iterable[RuleViolation]:
        for key, url in iter_known_values(self, "url", "token_url"):
            if url is not None and (name := find_secret_parameter(url)):
                yield RuleViolation(
                    "secret-in-url",
                    f"{key} has a parameter {name}, which looks like a secret",
                    (key,),
                    "Use secret_key instead, and change this secret: plans and messages show URLs.",
                )


def _build_private_host_violation(key: str) -> RuleViolation:
    return RuleViolation(
        "private-host",
        f"{key} is in a private network",
        (key,),
        "To allow the host, add it or its network to network.allow in reconciler.yaml.",
    )


Sync = Annotated[ZipSync | SftpSync | ApiSync, Field(discriminator="type")]
