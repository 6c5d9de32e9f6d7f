"""A community: a site licence of a customer, who belongs to it, and what it may read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Discriminator, Tag, WithJsonSchema

from reconciler.config.fields.values import ID, Boolean, Day, Duration, Id, OneOf, Positive, Text
from reconciler.config.models.declaration import Circumstances, Declaration, Problem, Ruled, each, rule
from reconciler.model.role import Role


class SiteLicense(Ruled):
    """How many people may use it, and when."""

    seats: Positive
    """One for each live member."""
    starts: Day
    """The first day."""
    ends: Day
    """The last day."""

    @rule
    def _ends_after_it_starts(self, known: Circumstances) -> Iterable[Problem]:
        if self.starts > self.ends:
            yield Problem("dates-reversed", f"ends ({self.ends}) is before starts ({self.starts})", ("ends",))


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


def _shape(value: object) -> str | None:
    if value == "all":
        return "all"
    return "list" if isinstance(value, list | tuple) else None


Lessons = Annotated[
    Annotated[Literal["all"], Tag("all")] | Annotated[tuple[Id, ...], Tag("list")],
    Discriminator(
        _shape,
        custom_error_type="wrong-type",
        custom_error_message="must be all, or a list of ids of lessons",
    ),
    WithJsonSchema({"anyOf": [{"const": "all"}, {"type": "array", "items": {"type": "string", "pattern": ID}}]}),
]


class Community(Ruled):
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

    @rule
    def _one_link_for_each_role(self, known: Circumstances) -> Iterable[Problem]:
        seen: set[str] = set()
        for place, role in each(self.join_links, "role"):
            if role in seen:
                yield Problem(
                    "duplicate-join-link",
                    f"there are two join links for {role}",
                    ("join_links", place),
                    "keep one of the two",
                )
            seen.add(role)
