"""A community: a site licence of a customer, who belongs to it, and what it may read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Discriminator, Tag, WithJsonSchema

from reconciler.config.fields.values import ID_PATTERN, Boolean, Day, Duration, Id, OneOf, Positive, Text
from reconciler.config.models.declaration import (
    Declaration,
    DeclarationWithRules,
    RuleViolation,
    ValidationContext,
    iter_item_values,
    mark_rule,
)
from reconciler.model.role import Role


class SiteLicense(DeclarationWithRules):
    """How many people may use it, and when."""

    seats: Positive
    """One for each live member."""
    starts: Day
    """The first day."""
    ends: Day
    """The last day."""

    @mark_rule
    def _check_dates_in_order(self, context: ValidationContext) -> Iterable[RuleViolation]:
        if self.starts > self.ends:
            yield RuleViolation("dates-reversed", f"ends ({self.ends}) is before starts ({self.starts})", ("ends",))


class Members(Declaration):
    """Which rostered people belong to it; what is left out takes all."""

    schools: tuple[Text, ...] | None = None
    """sourcedIds of schools."""
    roles: tuple[Annotated[Role, OneOf()], ...] | None = None
    """Roles of people."""


class CommunityLti(Declaration):
    """What launches may do here."""

    auto_provisioning: Boolean = False
    """A launch makes an account for whoever has none. Only where people come almost all by their LMS."""


class JoinLink(Declaration):
    """A link by which people join by themselves."""

    role: Annotated[Literal["student", "instructor"], OneOf()]
    """What people become who join by it."""


def _detect_lessons_form(value: object) -> str | None:
    if value == "all":
        return "all"
    return "list" if isinstance(value, list | tuple) else None


Lessons = Annotated[
    Annotated[Literal["all"], Tag("all")] | Annotated[tuple[Id, ...], Tag("list")],
    Discriminator(
        _detect_lessons_form,
        custom_error_type="wrong-type",
        custom_error_message="must be all, or a list of ids of lessons",
    ),
    WithJsonSchema(
        {"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "string", "pattern": ID_PATTERN}}]}
    ),
]


class Community(DeclarationWithRules):
    """A site licence, as customers/CUSTOMER/communities/ID.yaml says it."""

    kind: Annotated[Literal["community"], OneOf()]
    """What the document describes."""
    id: Id
    """Also the file's name. Unique in the customer."""
    previously: tuple[Id, ...] = ()
    """Former ids: a rename, not a removal."""
    name: Text
    """The community's name."""
    site_license: SiteLicense
    """How many people may use it, and when."""
    members: Members = Members()
    """Which rostered people belong to it; default all of the customer."""
    lessons: Lessons = "all"
    """all: the customer's own lessons. Or a list of ids, own or from the catalogue."""
    lti: CommunityLti = CommunityLti()
    """What launches may do here."""
    join_links: tuple[JoinLink, ...] = ()
    """Links by which people join by themselves, one for each role."""
    login_timeout: Duration = timedelta(hours=8)
    """Counted from the log-in."""

    @mark_rule
    def _check_one_link_per_role(self, context: ValidationContext) -> Iterable[RuleViolation]:
        seen: set[str] = set()
        for place, role in iter_item_values(self.join_links, "role"):
            if role in seen:
                yield RuleViolation(
                    "duplicate-join-link",
                    f"there are two join links for {role}",
                    ("join_links", place),
                    "keep one of the two",
                )
            seen.add(role)
