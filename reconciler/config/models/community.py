"""Describes a community: a customer's site license, its members and its lessons."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Discriminator, Tag, WithJsonSchema

from reconciler.config.fields.values import (
    ID_PATTERN,
    Boolean,
    Day,
    Id,
    OneOf,
    Positive,
    SessionTime,
    Text,
    VisibleText,
)
from reconciler.config.models import declaration
from reconciler.model.role import Role


class SiteLicense(declaration.DeclarationWithRules):
    """The number of people who may use the community, and its dates."""

    seats: Positive
    """One seat for each active member."""
    starts: Day
    """The first date."""
    ends: Day
    """The last date."""

    @declaration.mark_rule
    def _check_dates_in_order(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        if self.starts > self.ends:
            yield declaration.RuleViolation(
                "dates-reversed", f"ends ({self.ends}) is before starts ({self.starts})", ("ends",)
            )


class Members(declaration.Declaration):
    """The people of the roster who belong to the community. A list that is left out selects all."""

    schools: tuple[VisibleText, ...] | None = None
    """sourcedIds of schools."""
    roles: tuple[Annotated[Role, OneOf()], ...] | None = None
    """Roles of people."""


class CommunityLti(declaration.Declaration):
    """Rights of LMS launches into the community."""

    auto_provisioning: Boolean = False
    """true: a launch creates an account for anyone who has none. Use it only if almost all people arrive through their
    LMS."""


class JoinLink(declaration.Declaration):
    """A link that lets people join the community by themselves."""

    role: Annotated[Literal["student", "instructor"], OneOf()]
    """The role of people who join with the link."""


def _detect_lessons_form(value: object) -> str | None:
    if value == "all":
        return "all"
    return "list" if isinstance(value, list | tuple) else None


Lessons = Annotated[
    Annotated[Literal["all"], Tag("all")] | Annotated[tuple[Id, ...], Tag("list")],
    Discriminator(
        _detect_lessons_form,
        custom_error_type="wrong-type",
        custom_error_message="must be all, or a list of lesson IDs",
    ),
    WithJsonSchema(
        {"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "string", "pattern": ID_PATTERN}}]}
    ),
]


class Community(declaration.DeclarationWithRules):
    """A site license, as customers/CUSTOMER/communities/ID.yaml declares it."""

    kind: Annotated[Literal["community"], OneOf()]
    """The kind of document."""
    id: Id
    """Also the file's name. Unique within the customer."""
    previously: tuple[Id, ...] = ()
    """Former IDs, for a rename instead of a removal."""
    name: Text
    """The community's name."""
    site_license: SiteLicense
    """The number of people who may use the community, and its dates."""
    members: Members = Members()
    """The people of the roster who belong to the community. Default: all people of the customer."""
    lessons: Lessons = "all"
    """all: the customer's own lessons. Or a list of lesson IDs, from the customer or the catalog."""
    lti: CommunityLti = CommunityLti()
    """Rights of LMS launches into the community."""
    join_links: tuple[JoinLink, ...] = ()
    """Links that let people join by themselves, one for each role."""
    login_timeout: SessionTime = timedelta(hours=8)
    """The time after sign-in at which people are signed out. At most 30d."""

    @declaration.mark_rule
    def _check_one_link_per_role(self, context: declaration.ValidationContext) -> Iterable[declaration.RuleViolation]:
        seen: set[str] = set()
        for place, role in declaration.iter_item_values(self.join_links, "role"):
            if role in seen:
                yield declaration.RuleViolation(
                    "duplicate-join-link",
                    f"two join links have role {role}",
                    ("join_links", place),
                    "Keep one of the two.",
                )
            seen.add(role)
