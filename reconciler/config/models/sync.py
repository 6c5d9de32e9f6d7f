"""How a roster gets here: a file that somebody uploads, a file on an SFTP server, or a OneRoster API."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from reconciler.config.fields.addresses import (
    PublicHostKey,
    WebUrl,
    find_secret_parameter,
    get_host,
    is_https,
    is_private_host,
)
from reconciler.config.fields.values import (
    Boolean,
    Clock,
    Duration,
    Frequency,
    Host,
    OneOf,
    PageSize,
    Port,
    RemotePath,
    RemoteSuffix,
    Text,
    is_pattern,
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

PeriodName = Annotated[Literal["hourly", "every_6_hours", "every_12_hours", "daily", "weekly", "monthly"], OneOf()]


def _check_manual(value: str) -> str:
    if value != "manual":
        raise PydanticCustomError(
            "zip-is-manual", "sync type zip is always manual; frequency: auto needs sftp or api", {"whole": True}
        )
    return value


class ZipSync(Declaration):
    """Somebody uploads a bundle, or names it with --zip."""

    type: Literal["zip"]
    """How the roster gets here."""
    frequency: Annotated[Frequency, AfterValidator(_check_manual), WithJsonSchema({"const": "manual"})] = "manual"
    """Always manual: a file is uploaded by a person."""


#: Whoever fetches for longer keeps the place of all others.
MAX_FETCH_TIME = timedelta(hours=24)


def _check_fetch_time(value: timedelta) -> timedelta:
    if value > MAX_FETCH_TIME:
        raise PydanticCustomError("invalid-duration", "must be at most 24h")
    return value


#: 24h in each unit.
FetchTime = Annotated[
    Duration,
    AfterValidator(_check_fetch_time),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^(1d|([1-9]|1[0-9]|2[0-4])h|([1-9][0-9]{0,2}|1[0-3][0-9]{2}|14[0-3][0-9]|1440)m)$",
        }
    ),
]


class SchedulableSync(DeclarationWithRules):
    """What every roster has that can be fetched without a person."""

    frequency: Frequency = "manual"
    """manual: only when somebody asks for it. auto: by itself, once in each period."""
    period: PeriodName | None = None
    """How often, with frequency: auto."""
    at: Clock | None = None
    """At which time of day in the customer's time zone, with frequency: auto."""
    timeout: FetchTime = timedelta(hours=2)
    """A fetch that takes longer is given up, and nothing is compared. At most 24h."""

    @mark_rule
    def _check_period_for_auto(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.frequency == "auto" and not self.has_value("period"):
            yield RuleViolation(
                "period-missing",
                "period is missing: frequency: auto needs it",
                ("frequency",),
                "for example period: daily",
                is_absence=True,
            )

    @mark_rule
    def _check_no_times_for_manual(self, context: ValidationContext) -> Iterable[RuleViolation]:
        for key in ("period", "at"):
            if self.frequency == "manual" and self.has_value(key):
                yield RuleViolation(
                    "period-without-auto",
                    f"{key} goes only with frequency: auto",
                    (key,),
                    f"add frequency: auto, or leave out {key}",
                )


class SftpSync(SchedulableSync):
    """A bundle that lies on an SFTP server."""

    type: Literal["sftp"]
    """How the roster gets here."""
    host: Host
    """The server's name, without sftp://."""
    port: Port = 22
    """The server's port."""
    username: Text
    """The user to sign in as."""
    password: SecretReference | None = None
    """The secret that is the user's password; or give private_key."""
    private_key: SecretReference | None = None
    """The secret that is the user's private key; or give password."""
    path: RemotePath
    """The bundle's path on the server: a ZIP, a folder of CSV files, or a pattern such as /out/roster-*.zip."""
    pick: Annotated[Literal["newest", "last_by_name"], OneOf()] | None = None
    """Which of several files that fit a pattern is the roster."""
    done_marker: RemoteSuffix | None = None
    """The ending of a file that the sender puts beside the roster when it is whole, such as .done; .sha256 is also
    checked."""
    host_key: PublicHostKey
    """The server's public key, as `ssh-keyscan HOST` prints it without the host; another one is refused."""

    @mark_rule
    def _check_pick_fits_path(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if is_pattern(self.path) and not self.has_value("pick"):
            yield RuleViolation(
                "pick-missing",
                "pick is missing: path is a pattern, which several files may fit",
                ("path",),
                "write pick: newest or pick: last_by_name, or the path of one file",
                is_absence=True,
            )
        if not is_pattern(self.path) and self.has_value("pick"):
            yield RuleViolation("pick-without-pattern", "pick goes only with a path that is a pattern", ("pick",))

    @mark_rule
    def _check_one_sign_in_method(self, context: ValidationContext) -> Iterable[RuleViolation]:
        given = [key for key in ("password", "private_key") if self.has_value(key)]
        if not given:
            yield RuleViolation(
                "password-or-key",
                "password or private_key is missing: sync type sftp needs one of them",
                (),
                "for example password: {secret: sftp}",
                is_absence=True,
            )
        if len(given) > 1:
            yield RuleViolation(
                "password-or-key",
                "password and private_key exclude each other",
                ("private_key",),
                "keep the one that the server asks for",
            )

    @mark_rule
    def _check_host(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if context.network is not None and is_private_host(self.host) and not context.network.is_allowed(self.host):
            yield _build_private_host_violation("host")


class ApiSync(SchedulableSync):
    """A OneRoster REST API."""

    type: Literal["api"]
    """How the roster gets here."""
    url: WebUrl
    """The base address, /ims/oneroster/v1p1 (or …/rostering/v1p2) included."""
    authorization: Annotated[Literal["oauth1", "oauth2"], OneOf()]
    """How the API wants requests to be signed; OneRoster 1.2 is oauth2 only."""
    consumer_key: Text
    """The consumer key (oauth2: client id) that the API's owner gave us."""
    secret_key: SecretReference
    """The secret that goes with the consumer key."""
    token_url: WebUrl | None = None
    """oauth2: where tokens are given out."""
    scopes: tuple[Text, ...] = ()
    """oauth2: the scopes to ask for; none asks for what OneRoster names."""
    signature: Annotated[Literal["hmac-sha1", "hmac-sha256"], OneOf()] | None = None
    """oauth1: the method by which requests are signed; none is hmac-sha1, which most servers know."""
    page_size: PageSize = 1000
    """Rows to ask for at once. A server may send fewer."""
    delta: Boolean = False
    """Between whole rosters, ask only for what changed. The whole is fetched at least once a week all the same."""

    @mark_rule
    def _check_token_url_for_oauth2(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.authorization == "oauth2" and not self.has_value("token_url"):
            yield RuleViolation(
                "token-url-missing",
                "token_url is missing: authorization oauth2 needs it",
                ("authorization",),
                "the API's owner names the address where tokens are given out",
                is_absence=True,
            )

    @mark_rule
    def _check_no_token_keys_for_oauth1(self, context: ValidationContext) -> Iterable[RuleViolation]:
        for key in ("token_url", "scopes"):
            if self.authorization == "oauth1" and self.has_value(key):
                yield RuleViolation("oauth2-only", f"{key} goes only with authorization: oauth2", (key,))

    @mark_rule
    def _check_no_signature_for_oauth2(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.authorization == "oauth2" and self.has_value("signature"):
            yield RuleViolation("oauth1-only", "signature goes only with authorization: oauth1", ("signature",))

    @mark_rule
    def _check_address_hosts(self, context: ValidationContext) -> Iterable[RuleViolation]:
        for key, url in iter_known_values(self, "url", "token_url"):
            if url is None or context.network is None or context.network.is_allowed(get_host(url)):
                continue
            if not is_https(url):
                yield RuleViolation(
                    "plain-http",
                    f"{key} must begin with https://",
                    (key,),
                    "a host that speaks only plain http must be named under network: allow: in reconciler.yaml",
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
                    "addresses are shown in plans and messages: give a secret by secret_key, and change this one",
                )


def _build_private_host_violation(key: str) -> RuleViolation:
    return RuleViolation(
        "private-host",
        f"{key} is of a private network",
        (key,),
        "name the host or its network under network: allow: in reconciler.yaml if that is meant",
    )


Sync = Annotated[ZipSync | SftpSync | ApiSync, Field(discriminator="type")]
