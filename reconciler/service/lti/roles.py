"""Read the roles of a launch (LTI 1.1, appendix A): which role a person has in the course, and nothing beyond it."""

from reconciler.model.role import ROLE_NAMES, Role

_CONTEXT_PREFIX = "urn:lti:role:ims/lis/"

#: The role that each context role stands for. Managers, content developers and administrators of a course teach in it,
#: as far as a reading platform is concerned: an LMS never makes administrators of ours.
_CONTEXT_ROLES: dict[str, Role] = {
    **{name.lower(): role for role, names in ROLE_NAMES.items() for name in names.lti},
    "member": Role.STUDENT,
    "contentdeveloper": Role.TEACHER,
    "manager": Role.TEACHER,
    "administrator": Role.TEACHER,
}
#: The strongest first: who teaches in a course and is listed as a member too is a teacher.
_PRECEDENCE = (Role.TEACHER, Role.AIDE, Role.PARENT, Role.STUDENT)


def parse_roles(text: str) -> frozenset[Role]:
    """Return the roles in the course that the parameter `roles` names; unknown ones are ignored.

    It is a list of full URNs or short names, separated by commas; only context roles may have short names. A sub-role
    such as `Instructor/PrimaryInstructor` counts as what stands before the slash. Roles in the institution or the
    system (`urn:lti:instrole:`, `urn:lti:sysrole:`) say nothing about the course, and grant nothing.
    """
    found = set()
    for each in text.split(","):
        name = each.strip()
        if name.lower().startswith(_CONTEXT_PREFIX):
            name = name[len(_CONTEXT_PREFIX) :]
        elif ":" in name:
            continue
        role = _CONTEXT_ROLES.get(name.partition("/")[0].lower())
        if role is not None:
            found.add(role)
    return frozenset(found)


def choose_role(roles: frozenset[Role]) -> Role | None:
    """Return the one role that an account made by a launch has, or None if no role is known."""
    return next((role for role in _PRECEDENCE if role in roles), None)
