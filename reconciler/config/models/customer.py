"""A customer: an institution, its administrators, its LMSs, and where its people come from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from reconciler.config.fields.addresses import WebUrl, get_host, is_https, is_private_host
from reconciler.config.fields.values import Country, Day, Email, Id, OneOf, Paragraph, Text, Timezone
from reconciler.config.models.declaration import (
    Declaration,
    DeclarationWithRules,
    RuleViolation,
    ValidationContext,
    iter_item_values,
    iter_known_values,
    mark_rule,
)
from reconciler.config.models.lti import Lti
from reconciler.config.models.rostering import ManualRostering, Rostering
from reconciler.config.models.secret import SecretReference


class Profile(Declaration):
    """What there is to know about the institution."""

    description: Paragraph | None = None
    """In a few words."""
    website: WebUrl | None = None
    """The institution's own pages."""
    phone: Text | None = None
    """As people dial it."""


class Administrator(Declaration):
    """A person of the institution who looks after it on the portal."""

    given_name: Text
    """First name."""
    family_name: Text
    """Last name."""
    email: Email
    """Where mail reaches the person."""
    username: Text
    """What the person signs in with; also who it is: another username is another person."""
    role: Annotated[Literal["admin", "instructor"], OneOf()]
    """At least one person must be admin."""
    password: SecretReference | None = None
    """The secret that is the first password; without it apply prints an invitation link, once."""


class PostalAddress(Declaration):
    """Where the institution is."""

    street: tuple[Text, ...] = ()
    """Line by line."""
    city: Text | None = None
    """City or town."""
    region: Text | None = None
    """State, province or county."""
    postal_code: Text | None = None
    """As the post writes it."""
    country: Country
    """Two capital letters, ISO 3166."""


class Agreements(DeclarationWithRules):
    """The days on which the institution accepted what it must accept."""

    privacy_policy: Day
    """The day on which the privacy policy was accepted."""
    terms_of_service: Day
    """The day on which the terms of service were accepted."""

    @mark_rule
    def _check_not_in_future(self, context: ValidationContext) -> Iterable[RuleViolation]:
        for key, day in iter_known_values(self, "privacy_policy", "terms_of_service"):
            if context.today is not None and day > context.today:
                yield RuleViolation(
                    "date-in-future",
                    f"{key} must not lie in the future ({day} is after {context.today})",
                    (key,),
                    "write the day on which it was accepted",
                )


class Support(Declaration):
    """Whom people can ask; shown wherever something was refused."""

    email: Email | None = None
    """An address for questions."""
    url: WebUrl | None = None
    """A page for questions."""


class NotificationSettings(DeclarationWithRules):
    """Who hears of what was held, refused, stale or recovered; no names of people in it."""

    email: tuple[Email, ...] = ()
    """Addresses."""
    webhook: WebUrl | None = None
    """An address that is posted to."""
    webhook_secret: SecretReference | None = None
    """The secret that posts are signed with, beside the signature that the store's own key gives them."""

    @mark_rule
    def _check_webhook_host(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.webhook is None or context.network is None:
            return
        host = get_host(self.webhook)
        if not context.network.is_allowed(host) and (not is_https(self.webhook) or is_private_host(host)):
            yield RuleViolation(
                "private-host",
                "webhook must begin with https:// and be of no private network",
                ("webhook",),
                "name the host under network: allow: in reconciler.yaml if that is meant",
            )


class Customer(DeclarationWithRules):
    """An institution, as customers/ID/customer.yaml says it."""

    kind: Annotated[Literal["customer"], OneOf()]
    """What the document describes."""
    id: Id
    """Also the folder's name. Unique over all customers; a rename is written down in previously."""
    previously: tuple[Id, ...] = ()
    """Former ids: a rename, not a removal."""
    name: Text
    """The institution's name."""
    profile: Profile | None = None
    """What there is to know about the institution."""
    administrators: tuple[Administrator, ...]
    """The people who look after it; at least one of role admin."""
    address: PostalAddress | None = None
    """Where it is."""
    agreements: Agreements
    """The days on which privacy policy and terms of service were accepted; both are needed."""
    status: Annotated[Literal["active", "deactivated"], OneOf()] = "active"
    """deactivated: nobody can sign in or launch, nothing is synced."""
    timezone: Timezone = "UTC"
    """Of the IANA list."""
    support: Support | None = None
    """Whom people can ask."""
    lti: Lti = Lti()
    """The customer's LMSs."""
    rostering: Rostering = ManualRostering()
    """Where people come from."""
    notify: NotificationSettings | None = None
    """Who hears of what was held or refused."""

    @mark_rule
    def _check_administrator_exists(self, context: ValidationContext) -> Iterable[RuleViolation]:
        roles = [role for _, role in iter_item_values(self.administrators, "role")]
        if "admin" not in roles and len(roles) == len(self.administrators):
            yield RuleViolation(
                "no-administrator",
                "administrators needs at least one person of role admin",
                ("administrators", "role"),
                "somebody must be able to look after the customer on the portal",
            )

    @mark_rule
    def _check_usernames_differ(self, context: ValidationContext) -> Iterable[RuleViolation]:
        seen: set[str] = set()
        for place, username in iter_item_values(self.administrators, "username"):
            if username.casefold() in seen:
                yield RuleViolation(
                    "duplicate-username",
                    "this username is used twice among administrators",
                    ("administrators", place, "username"),
                    "give each person a username of their own (capitals make no difference)",
                )
            seen.add(username.casefold())
