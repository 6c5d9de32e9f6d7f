"""Lists the columns of roster frames, with the same names in the snapshot, the store and the plan.

oneroster fills the columns, planning compares them, store saves them. Text columns hold null, never an empty string. A
reference holds the sourcedId that it points to. A user's `roles` are lines of `ORG=role`, sorted; `bound` tells whether
the account has a roster row; `aliases` are further sourcedIds of the same person, sorted, one per line.
"""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.kind import Kind

#: between the entries of a person's `roles`; control characters never reach a frame
ROLE_SEPARATOR = "\n"
#: between the entries of a person's `aliases`
ALIAS_SEPARATOR = "\n"


@dataclass(frozen=True, slots=True)
class RosterField:
    """One compared column of a roster kind."""

    name: str
    #: True if the value identifies a person, so that masked reports hide it
    personal: bool = False
    #: False for text (dates as YYYY-MM-DD, lists joined by commas)
    boolean: bool = False
    #: the kind whose sourcedId the column holds; None if it is not a reference
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
    """Return the names of the compared columns of a kind, in order."""
    return [field.name for field in ROSTER_FIELDS[kind]]


class AccountStatus(StrEnum):
    """An account's status: a suspended person cannot sign in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class AccountManager(StrEnum):
    """The manager of an account. A roster deletes only accounts that a roster manages."""

    ROSTER = "roster"
    LTI = "lti"
    JOIN_LINK = "join_link"
    PORTAL = "portal"
    CONFIG = "config"
