"""Defines weakenings: settings that protect people less, or give more access, which a reviewer reads first."""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind


class Protection(StrEnum):
    """The protection that a setting weakens, or the access that it gives, in the order of reports."""

    LOCKOUT = "lockout"
    LIMIT = "limit"
    GATE = "gate"
    APPROVAL = "approval"
    PROTECT = "protect"
    MISSING = "missing"
    SELECT = "select"
    MATCH_WITH = "match_with"
    CALENDAR = "calendar"
    RETENTION = "retention"
    AGREEMENTS = "agreements"
    AUTO_PROVISIONING = "auto_provisioning"
    CREDENTIALS = "credentials"
    NETWORK = "network"
    ADMINISTRATORS = "administrators"
    LAUNCHES = "launches"
    JOIN_LINKS = "join_links"
    LESSON_URL = "lesson_url"
    MERGES = "merges"
    CONTACT = "contact"

    @property
    def is_access(self) -> bool:
        """Return True for a setting that gives or moves access, and takes no protection from anybody."""
        return self in _ACCESS

    @property
    def sentence(self) -> str:
        """Return a plain sentence for school administrators."""
        return SENTENCES[self]


_ACCESS = frozenset(
    {
        Protection.ADMINISTRATORS,
        Protection.LAUNCHES,
        Protection.JOIN_LINKS,
        Protection.LESSON_URL,
        Protection.MERGES,
        Protection.CONTACT,
    }
)

SENTENCES = {
    Protection.LOCKOUT: "People can no longer sign in or use a community; nobody is deleted.",
    Protection.LIMIT: "More people or records may be removed or changed without approval.",
    Protection.GATE: "A roster check is bypassed.",
    Protection.APPROVAL: "Removals are approved in advance, before anyone has seen which people they affect.",
    Protection.PROTECT: "A roster can now remove a person that it could not remove before.",
    Protection.MISSING: "People missing from the roster lose more than before.",
    Protection.SELECT: "Fewer people are selected; the others lose their accounts.",
    Protection.MATCH_WITH: "People are matched differently; some may get another person's account.",
    Protection.CALENDAR: "A period in which nobody is removed is shorter or gone.",
    Protection.RETENTION: "Deleted people can be restored for a shorter time.",
    Protection.AGREEMENTS: "An accepted agreement is withdrawn or dated earlier.",
    Protection.AUTO_PROVISIONING: "Anyone who launches from the LMS gets an account.",
    Protection.CREDENTIALS: "A password, key or roster would be sent to, or come from, a different place.",
    Protection.NETWORK: "Connections to private or unencrypted hosts are allowed.",
    Protection.ADMINISTRATORS: "A person gets an administrator's access, or it changes, or goes to another address.",
    Protection.LAUNCHES: "Launches signed with another key, or pages of another site, are accepted.",
    Protection.JOIN_LINKS: "Anyone who has the link can join.",
    Protection.LESSON_URL: "A lesson leads to another address for everyone who reads it.",
    Protection.MERGES: "Two accounts become one; its owner gets everything of both.",
    Protection.CONTACT: "Links or requests for help of all people lead to another address.",
}


@dataclass(frozen=True, slots=True)
class Weakening:
    """One setting that protects people less than before, or gives or moves access."""

    protection: Protection
    #: the document's kind; None for reconciler.yaml
    kind: Kind | None
    key: str
    #: dotted, as in `FieldChange`
    path: str
    #: JSON-able, never a secret's value; `after` likewise
    before: object
    after: object
    #: the place of the new value; None if it is a built-in default
    origin: Span | None = None
