"""Describes a customer's LMSs, which launch lessons by LTI 1.1."""

from collections.abc import Iterable
from typing import Annotated, Literal

from reconciler.config.fields.addresses import Origin
from reconciler.config.fields.values import ConsumerKey, Id, OneOf
from reconciler.config.models import declaration
from reconciler.config.models.secret import SecretReference, SharedSecret


class Platform(declaration.Declaration):
    """One LMS."""

    id: Id
    """Identifies people together with their user_id, so it must never change; the consumer key may."""
    version: Annotated[Literal["1.1"], OneOf()] = "1.1"
    """The version of LTI."""
    consumer_key: ConsumerKey
    """The key that the LMS signs with; unique across all customers."""
    shared_secret: SharedSecret
    """The secret that the LMS signs with."""
    previous_secret: SecretReference | None = None
    """The previous secret, also accepted while the LMS is switched over."""
    origins: tuple[Origin, ...] = ()
    """Pages that may show the application in a frame: scheme, host and port."""
    community: Id
    """The community of people who arrive through this LMS."""


class Lti(declaration.DeclarationWithRules):
    """The customer's LMSs."""

    platforms: tuple[Platform, ...] = ()
    """One entry for each LMS."""

    @declaration.mark_rule
    def _check_platform_ids_differ(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        first: dict[str, int] = {}
        for place, name in declaration.iter_item_values(self.platforms, "id"):
            if first.setdefault(name, place) != place:
                yield declaration.RuleViolation(
                    "duplicate-platform",
                    f"two platforms have the ID {name}",
                    ("platforms", place, "id"),
                    "Give each LMS a different ID.",
                )
