"""Lists the kinds of things that a plan changes."""

from enum import StrEnum


class Kind(StrEnum):
    """Declared kinds are YAML documents; roster kinds are rows of OneRoster files."""

    CUSTOMER = "customer"
    COMMUNITY = "community"
    LESSON = "lesson"
    ORG = "org"
    USER = "user"
    CLASS = "class"
    ENROLLMENT = "enrollment"

    @property
    def plural(self) -> str:
        return PLURALS[self]


PLURALS = {
    Kind.CUSTOMER: "customers",
    Kind.COMMUNITY: "communities",
    Kind.LESSON: "lessons",
    Kind.ORG: "orgs",
    Kind.USER: "users",
    Kind.CLASS: "classes",
    Kind.ENROLLMENT: "enrollments",
}

DECLARED_KINDS = (Kind.CUSTOMER, Kind.COMMUNITY, Kind.LESSON)
ROSTER_KINDS = (Kind.ORG, Kind.USER, Kind.CLASS, Kind.ENROLLMENT)
