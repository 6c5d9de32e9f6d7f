"""The columns of roster frames, as data: the snapshot's, the store's and the plan's are the same names.

A frame's columns are named here once; oneroster fills them, planning compares them, store keeps them.
All text columns hold null, never an empty string. A reference holds the sourcedId it points to. A user's `roles` are
lines of `ORG=role`, sorted; `bound` says whether a roster row is the account's at all, `aliases` are further sourcedIds
of the same person, sorted, one a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.kind import Kind

#: Between the entries of a person's `roles`; control characters never reach a frame.
ROLE_SEPARATOR = "\n"
#: Between the entries of a person's `aliases`.
ALIAS_SEPARATOR = "\n"


@dataclass(frozen=True, slots=True)
class RosterField:
    """One compared column of a roster kind.

    personal: tells who somebody is, so that masked reports hide its values.
    boolean: held as a boolean; every other column is text (dates as YYYY-MM-DD, lists joined by commas).
    reference: the kind whose sourcedId it holds.
    """

    name: str
    personal: bool = False
    boolean: bool = False
    reference: Kind | None = None


ROSTER_FIELDS: dict[Kind, tuple[RosterField, ...]] = {
    Kind.ORG: (
        RosterField("name"),
        RosterField("type"),
        RosterField("identifier"),
        RosterField("parent", reference=Kind.ORG),
    ),
    Kind.USER: (
        RosterField("username", personal=True),
        RosterField("roster_username", personal=True),
        RosterField("given_name", personal=True),
        RosterField("family_name", personal=True),
        RosterField("middle_name", personal=True),
        RosterField("email", personal=True),
        RosterField("identifier", personal=True),
        RosterField("grades"),
        RosterField("role"),
        RosterField("roles"),
        RosterField("status"),
        RosterField("bound", boolean=True),
        RosterField("aliases", personal=True),
    ),
    Kind.CLASS: (
        RosterField("title"),
        RosterField("class_code"),
        RosterField("class_type"),
        RosterField("school", reference=Kind.ORG),
        RosterField("course"),
        RosterField("terms"),
        RosterField("grades"),
    ),
    Kind.ENROLLMENT: (
        RosterField("class", reference=Kind.CLASS),
        RosterField("user", personal=True, reference=Kind.USER),
        RosterField("role"),
        RosterField("primary", boolean=True),
        RosterField("begin_date"),
        RosterField("end_date"),
    ),
}


def list_field_names(kind: Kind) -> list[str]:
    """The compared columns of a kind, in order."""
    return [field.name for field in ROSTER_FIELDS[kind]]


class AccountStatus(StrEnum):
    """Whether the person may sign in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class AccountManager(StrEnum):
    """Who looks after an account. A roster deletes only what a roster manages."""

    ROSTER = "roster"
    LTI = "lti"
    JOIN_LINK = "join_link"
    PORTAL = "portal"
    CONFIG = "config"
