"""Describes a customer: an institution, its administrators, its LMSs and the source of its people."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta, timezone
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import Discriminator, Tag

from reconciler.config.fields.addresses import WebUrl, get_host, is_capability_url, is_https, is_private_host
from reconciler.config.fields.values import ID_CONSTRAINTS, Country, Day, Email, Key, OneOf, Paragraph, Text, Timezone
from reconciler.config.models import declaration
from reconciler.config.models.lti import Lti
from reconciler.config.models.rostering import ManualRostering, Rostering
from reconciler.config.models.secret import SecretReference
from reconciler.model.ids import CustomerId
from reconciler.model.text_form import make_caseless_form


class Profile(declaration.Declaration):
    """General information about the institution."""

    description: Paragraph | None = None
    """A short description."""
    website: WebUrl | None = None
    """The institution's website."""
    phone: Text | None = None
    """A phone number, as people dial it."""


class Administrator(declaration.Declaration):
    """A person who manages the institution on the portal."""

    given_name: Text
    """First name."""
    family_name: Text
    """Last name."""
    email: Email
    """The person's email address."""
    username: Key
    """The name to sign in with. It also identifies the person: another username is another person."""
    role: Annotated[Literal["admin", "instructor"], OneOf()]
    """At least one person must be admin."""
    password: SecretReference | None = None
    """The secret that holds the first password. Without it, apply prints an invitation link once."""


class PostalAddress(declaration.Declaration):
    """The institution's postal address."""

    street: tuple[Text, ...] = ()
    """The street address, line by line."""
    city: Text | None = None
    """City or town."""
    region: Text | None = None
    """State, province or county."""
    postal_code: Text | None = None
    """The postal code."""
    country: Country
    """Two capital letters, ISO 3166."""


#: the time zone in which each day begins first
_FIRST_ZONE = timezone(timedelta(hours=14))
_DATES_OF_AGREEMENTS = ("privacy_policy", "terms_of_service")


class Agreements(declaration.DeclarationWithRules):
    """The dates on which the institution accepted its agreements."""

    privacy_policy: Day
    """The date on which the institution accepted the privacy policy."""
    terms_of_service: Day
    """The date on which the institution accepted the terms of service."""
    accepted_by: Text | None = None
    """The name or role of the person who accepted them for the institution."""

    @declaration.mark_rule
    def _check_not_in_future(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        # A customer checks the dates by its time zone; here they are also checked in defaults, which may have none.
        if context.moment is not None:
            yield from _find_future_dates(self, context.moment.astimezone(_FIRST_ZONE).date())


def _find_future_dates(agreements: Agreements, today: date) -> Iterator[declaration.RuleViolation]:
    for key, day in declaration.iter_known_values(agreements, *_DATES_OF_AGREEMENTS):
        if day > today:
            yield declaration.RuleViolation(
                "date-in-future",
                f"{key} must not be in the future ({day} is after {today})",
                (key,),
                "Write the date on which it was accepted.",
            )


class Support(declaration.Declaration):
    """Contacts for people with questions, shown on every page that refuses something."""

    email: Email | None = None
    """An email address for questions."""
    url: WebUrl | None = None
    """A page for questions."""


def _get_webhook_tag(value: object) -> str:
    return "url" if isinstance(value, str) else "reference"


#: A mapping is the reference to a secret, and everything else has to be a URL.
WebhookUrl = Annotated[
    Annotated[WebUrl, Tag("url")] | Annotated[SecretReference, Tag("reference")], Discriminator(_get_webhook_tag)
]


class NotificationSettings(declaration.DeclarationWithRules):
    """Recipients of notices about held changes, refused, stale and recovered rosters. Notices contain no people's
    names."""

    email: tuple[Email, ...] = ()
    """Email addresses."""
    webhook: WebhookUrl | None = None
    """The URL that notices are posted to, or the secret that holds it. If everybody who knows the URL can post to it,
    as with Slack or Teams, it must be a secret."""
    webhook_secret: SecretReference | None = None
    """The secret that signs the posts, in addition to the signature by the store key."""

    @declaration.mark_rule
    def _check_webhook_host(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        if not isinstance(self.webhook, str) or context.network is None:
            return
        host = get_host(self.webhook)
        if not context.network.is_allowed(host) and (not is_https(self.webhook) or is_private_host(host)):
            yield declaration.RuleViolation(
                "private-host",
                "webhook must start with https:// and must not point to a private network",
                ("webhook",),
                "To allow this host, add it to network.allow in reconciler.yaml.",
            )
        if is_capability_url(self.webhook):
            yield declaration.RuleViolation(
                "secret-in-url",
                "webhook contains a secret: everybody who knows this URL can post to it",
                ("webhook",),
                "Write webhook: {secret: NAME}, set that secret to the URL, and ask the receiver for a new URL: this "
                "one is in the file's history.",
            )


class Customer(declaration.DeclarationWithRules):
    """An institution, as customers/ID/customer.yaml declares it."""

    kind: Annotated[Literal["customer"], OneOf()]
    """The kind of document."""
    id: Annotated[CustomerId, ID_CONSTRAINTS]
    """Also the folder's name. Unique across all customers. List a former ID under previously."""
    previously: tuple[Annotated[CustomerId, ID_CONSTRAINTS], ...] = ()
    """Former IDs, for a rename instead of a removal."""
    name: Text
    """The institution's name."""
    profile: Profile | None = None
    """General information about the institution."""
    administrators: tuple[Administrator, ...]
    """The people who manage the institution; at least one with role: admin."""
    address: PostalAddress | None = None
    """The institution's postal address."""
    agreements: Agreements
    """The dates on which the institution accepted the privacy policy and the terms of service; both are required."""
    status: Annotated[Literal["active", "deactivated"], OneOf()] = "active"
    """deactivated: nobody can sign in or launch, and nothing is synced."""
    timezone: Timezone = "UTC"
    """An IANA time zone."""
    support: Support | None = None
    """Contacts for people with questions."""
    lti: Lti = Lti()
    """The customer's LMSs."""
    rostering: Rostering = ManualRostering()
    """The source of the customer's people."""
    notify: NotificationSettings | None = None
    """Recipients of notices about held changes and refused rosters."""

    @declaration.mark_rule
    def _check_agreements_by_own_day(
        self, context: declaration.ValidationContext
    ) -> Iterable[declaration.RuleViolation]:
        if context.moment is None:
            return
        first_day = context.moment.astimezone(_FIRST_ZONE).date()
        own_day = context.moment.astimezone(ZoneInfo(self.timezone)).date()
        reported = {each.key_path for each in _find_future_dates(self.agreements, first_day)}
        for each in _find_future_dates(self.agreements, own_day):
            if each.key_path not in reported:
                yield replace(each, key_path=("agreements", *each.key_path))

    @declaration.mark_rule
    def _check_administrator_exists(
        self, context: declaration.ValidationContext
    ) -> Iterable[declaration.RuleViolation]:
        roles = [role for _, role in declaration.iter_item_values(self.administrators, "role")]
        if "admin" not in roles and len(roles) == len(self.administrators):
            yield declaration.RuleViolation(
                "no-administrator",
                "administrators must include at least one person with role: admin",
                ("administrators", "role"),
                "Give one person role: admin, to manage the customer on the portal.",
            )

    @declaration.mark_rule
    def _check_usernames_differ(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        seen: set[str] = set()
        for place, username in declaration.iter_item_values(self.administrators, "username"):
            if make_caseless_form(username) in seen:
                yield declaration.RuleViolation(
                    "duplicate-username",
                    "two administrators have this username",
                    ("administrators", place, "username"),
                    "Give each person a different username (case does not matter).",
                )
            seen.add(make_caseless_form(username))
