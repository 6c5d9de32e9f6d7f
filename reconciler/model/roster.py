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


@dataclass(frozen=True, slots=True)
class Field:
    """One compared column of a roster kind.

    personal: tells who somebody is, so that masked reports hide its values.
    boolean: held as a boolean; every other column is text (dates as YYYY-MM-DD, lists joined by commas).
    reference: the kind whose sourcedId it holds.
    """

    name: str
    personal: bool = False
    boolean: bool = False
    reference: Kind | None = None


FIELDS: dict[Kind, tuple[Field, ...]] = {
    Kind.ORG: (
        Field("name"),
        Field("type"),
        Field("identifier"),
        Field("parent", reference=Kind.ORG),
    ),
    Kind.USER: (
        Field("username", personal=True),
        Field("roster_username", personal=True),
        Field("given_name", personal=True),
        Field("family_name", personal=True),
        Field("middle_name", personal=True),
        Field("email", personal=True),
        Field("identifier", personal=True),
        Field("grades"),
        Field("role"),
        Field("roles"),
        Field("status"),
        Field("bound", boolean=True),
        Field("aliases", personal=True),
    ),
    Kind.CLASS: (
        Field("title"),
        Field("class_code"),
        Field("class_type"),
        Field("school", reference=Kind.ORG),
        Field("course"),
        Field("terms"),
        Field("grades"),
    ),
    Kind.ENROLLMENT: (
        Field("class", reference=Kind.CLASS),
        Field("user", personal=True, reference=Kind.USER),
        Field("role"),
        Field("primary", boolean=True),
        Field("begin_date"),
        Field("end_date"),
    ),
}


def field_names(kind: Kind) -> list[str]:
    """The compared columns of a kind, in order."""
    return [field.name for field in FIELDS[kind]]


class AccountStatus(StrEnum):
    """Whether the person may sign in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class Manager(StrEnum):
    """Who looks after an account. A roster deletes only what a roster manages."""

    ROSTER = "roster"
    LTI = "lti"
    JOIN_LINK = "join_link"
    PORTAL = "portal"
    CONFIG = "config"
