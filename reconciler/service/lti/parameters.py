"""Name what a launch says, whatever the version of LTI: who arrives, in which course, through which link."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from reconciler.model.role import Role
from reconciler.service.lti.roles import choose_role, parse_roles
from reconciler.service.text import clean_line

#: Largest number of characters of an ID that an LMS may send; the same limit as the store's columns
MAX_ID = 255
MAX_NAME = 100
MAX_TITLE = 200
MAX_EMAIL = 254


@dataclass(frozen=True)
class LaunchParameters:
    """A launch whose signature was right, in the terms of LTI 1.1 (Implementation Guide, section 3).

    Every value is untrusted text from the LMS: cleaned for display here, and never part of a decision beyond what
    each property says. The claims of LTI 1.3 have the same names in another spelling, and can fill this value too.
    """

    #: values by parameter name; each parameter was sent once
    values: Mapping[str, str]

    def get(self, name: str) -> str:
        """Return a value without surrounding white space, empty if it was not sent."""
        return self.values.get(name, "").strip()

    @property
    def message_type(self) -> str:
        return self.get("lti_message_type")

    @property
    def user_id(self) -> str:
        """Return the LMS's ID of the person, unique within one platform; empty for a guest."""
        return self.get("user_id")

    @property
    def resource_link_id(self) -> str:
        return self.get("resource_link_id")

    @property
    def lesson(self) -> str:
        """Return the lesson that the link names; empty if none, which opens the library."""
        return self.get("custom_lesson")

    @property
    def instance_guid(self) -> str:
        """Return the LMS instance's name for itself. It proves nothing, but tells a copied LMS from the known one."""
        return self.get("tool_consumer_instance_guid")[:MAX_ID]

    @cached_property
    def roles(self) -> frozenset[Role]:
        """Return the known roles in the course."""
        return parse_roles(self.get("roles"))

    @property
    def role(self) -> Role | None:
        """Return the role that a new account has, None if the LMS names none that is known."""
        return choose_role(self.roles)

    @property
    def email(self) -> str:
        """Return the e-mail address as sent, empty if it is not one. It proves nothing."""
        sent = self.get("lis_person_contact_email_primary")
        address = clean_line(sent, MAX_EMAIL) if len(sent) <= MAX_EMAIL else ""
        local, _, domain = address.rpartition("@")
        return address if local and "." in domain and " " not in address else ""

    @property
    def given_name(self) -> str:
        return clean_line(self.get("lis_person_name_given"), MAX_NAME)

    @property
    def family_name(self) -> str:
        return clean_line(self.get("lis_person_name_family"), MAX_NAME)

    @property
    def full_name(self) -> str:
        """Return the name to show, built from its parts if the LMS sends no full name; empty if it sends none."""
        whole = clean_line(self.get("lis_person_name_full"), MAX_NAME)
        return whole or " ".join(part for part in (self.given_name, self.family_name) if part)

    @property
    def course_title(self) -> str:
        return clean_line(self.get("context_title") or self.get("context_label"), MAX_TITLE)

    @property
    def platform_name(self) -> str:
        return clean_line(self.get("tool_consumer_instance_name") or self.instance_guid, MAX_TITLE)

    @property
    def product(self) -> str:
        """Return the LMS product's family code in lower case, such as `canvas` or `moodle`."""
        return self.get("tool_consumer_info_product_family_code").lower()[:MAX_NAME]

    @property
    def locale(self) -> str:
        return self.get("launch_presentation_locale")[:MAX_NAME]

    @property
    def return_url(self) -> str:
        """Return the URL to which the LMS wants people to return. The caller checks that its origin is the LMS's."""
        return self.get("launch_presentation_return_url")
