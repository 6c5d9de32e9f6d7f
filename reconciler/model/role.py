"""Lists people's roles with their names in OneRoster, LTI and the YAML files."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """A person's role, as the store and plans write it."""

    STUDENT = "student"
    TEACHER = "teacher"
    AIDE = "aide"
    PROCTOR = "proctor"
    COUNSELOR = "counselor"
    GUARDIAN = "guardian"
    PARENT = "parent"
    RELATIVE = "relative"
    PRINCIPAL = "principal"
    SITE_ADMINISTRATOR = "site_administrator"
    DISTRICT_ADMINISTRATOR = "district_administrator"
    SYSTEM_ADMINISTRATOR = "system_administrator"
    ADMINISTRATOR = "administrator"

    @property
    def is_administrator(self) -> bool:
        """Return whether a roster may never delete people with this role."""
        return self in ADMINISTRATOR_ROLES


ADMINISTRATOR_ROLES = frozenset(
    {Role.ADMINISTRATOR, Role.SITE_ADMINISTRATOR, Role.DISTRICT_ADMINISTRATOR, Role.SYSTEM_ADMINISTRATOR}
)


@dataclass(frozen=True, slots=True)
class RoleNames:
    """Names of one role elsewhere; empty if a format has no name for it."""

    #: `users.role` of OneRoster 1.1 CSV
    oneroster_1_1: str = ""
    #: `roles.role` of OneRoster 1.2.1 CSV
    oneroster_1_2: str = ""
    #: `enrollments.role` of both versions
    enrollment: str = ""
    #: context roles of LTI 1.1, without the prefix of the URN
    lti: tuple[str, ...] = ()
    #: the YAML files (administrators, join links)
    yaml: str = ""


ROLE_NAMES: dict[Role, RoleNames] = {
    Role.STUDENT: RoleNames("student", "student", "student", ("Learner",), "student"),
    Role.TEACHER: RoleNames("teacher", "teacher", "teacher", ("Instructor",), "instructor"),
    Role.AIDE: RoleNames("aide", "aide", "", ("TeachingAssistant",)),
    Role.PROCTOR: RoleNames("proctor", "proctor", "proctor"),
    Role.COUNSELOR: RoleNames("", "counselor"),
    Role.GUARDIAN: RoleNames("guardian", "guardian"),
    Role.PARENT: RoleNames("parent", "parent", "", ("Mentor",)),
    Role.RELATIVE: RoleNames("relative", "relative"),
    Role.PRINCIPAL: RoleNames("", "principal"),
    Role.SITE_ADMINISTRATOR: RoleNames("", "siteAdministrator"),
    Role.DISTRICT_ADMINISTRATOR: RoleNames("", "districtAdministrator"),
    Role.SYSTEM_ADMINISTRATOR: RoleNames("", "systemAdministrator"),
    Role.ADMINISTRATOR: RoleNames("administrator", "", "administrator", (), "admin"),
}
