"""Roles in the course, and nothing beyond it."""

from __future__ import annotations

import pytest

from reconciler.model.role import Role
from reconciler.service.lti.roles import choose_role, parse_roles


@pytest.mark.parametrize(
    ("text", "role"),
    [
        ("Learner", Role.STUDENT),
        ("Instructor", Role.TEACHER),
        (" Instructor , Learner ", Role.TEACHER),
        ("urn:lti:role:ims/lis/Learner", Role.STUDENT),
        ("urn:lti:role:ims/lis/Learner/Instructor", Role.STUDENT),
        ("urn:lti:role:ims/lis/Instructor/PrimaryInstructor", Role.TEACHER),
        ("urn:lti:role:ims/lis/TeachingAssistant", Role.AIDE),
        ("urn:lti:role:ims/lis/Mentor", Role.PARENT),
        ("urn:lti:role:ims/lis/ContentDeveloper", Role.TEACHER),
        ("learner", Role.STUDENT),
        # Administration of an institution or a system is none of a course, and none of ours.
        ("urn:lti:instrole:ims/lis/Instructor", None),
        ("urn:lti:instrole:ims/lis/Administrator,urn:lti:role:ims/lis/Learner", Role.STUDENT),
        ("urn:lti:sysrole:ims/lis/SysAdmin", None),
        ("urn:lti:role:ims/lis/Administrator", Role.TEACHER),
        ("Gardener", None),
        ("", None),
    ],
)
def test_the_role_of_an_account_is_that_in_the_course(text: str, role: Role | None) -> None:
    assert choose_role(parse_roles(text)) is role


def test_no_role_of_an_lms_is_one_of_administrators() -> None:
    every = (
        "Administrator,urn:lti:sysrole:ims/lis/Administrator,urn:lti:instrole:ims/lis/Administrator,SysAdmin,Creator"
    )
    assert not any(role.is_administrator for role in parse_roles(every))
