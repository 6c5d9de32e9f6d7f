"""The roles people have, and what OneRoster, LTI and our own files call them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
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
        """True for a role whose holders no roster may ever delete."""
        return self in ADMINISTRATOR_ROLES


ADMINISTRATOR_ROLES = frozenset(
    {Role.ADMINISTRATOR, Role.SITE_ADMINISTRATOR, Role.DISTRICT_ADMINISTRATOR, Role.SYSTEM_ADMINISTRATOR}
)


@dataclass(frozen=True, slots=True)
class RoleNames:
    """What others call one role; empty where they have no word for it.

    oneroster_1_1: `users.role` of the OneRoster 1.1 CSV tables. oneroster_1_2: `roles.role` of OneRoster
    1.2.1 CSV. enrollment: `enrollments.role` (both). lti: context roles of LTI 1.1 that mean it, without
    the URN's prefix. yaml: our own files (administrators, join links).
    """

    oneroster_1_1: str = ""
    oneroster_1_2: str = ""
    enrollment: str = ""
    lti: tuple[str, ...] = ()
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
