"""A setting that protected people more before than it would now: what a reviewer reads before anything else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.diagnostic import Span
from reconciler.model.kind import Kind


class Protection(StrEnum):
    """What was weakened, in the order of reports."""

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

    @property
    def sentence(self) -> str:
        """For people who are no programmers."""
        return SENTENCES[self]


SENTENCES = {
    Protection.LIMIT: "More people or things may be removed or changed without anybody's approval.",
    Protection.GATE: "A check of the roster file is let pass.",
    Protection.APPROVAL: "Removals are approved in advance, before anybody has seen whom they concern.",
    Protection.PROTECT: "Somebody who could never be removed by a roster now can be.",
    Protection.MISSING: "Who is missing from the roster is treated more harshly.",
    Protection.SELECT: "Fewer people are synced; those who fall out lose their accounts.",
    Protection.MATCH_WITH: "People are recognised in another way; some may get somebody else's account.",
    Protection.CALENDAR: "A time in which nobody is removed is gone or shorter.",
    Protection.RETENTION: "Deleted people can be brought back for a shorter time.",
    Protection.AGREEMENTS: "An accepted agreement is withdrawn or put earlier.",
    Protection.AUTO_PROVISIONING: "Accounts are made for whoever is launched from the LMS.",
    Protection.CREDENTIALS: "A password, key or roster would go to, or come from, another place.",
    Protection.NETWORK: "Private or unencrypted hosts may be connected to.",
}


@dataclass(frozen=True, slots=True)
class Weakening:
    """kind, key: the document's; kind is None for reconciler.yaml. path: dotted, as in `FieldChange`. before, after:
    JSON-able, never a secret's value. origin: where the new value stands; None where it is a built-in default."""

    protection: Protection
    kind: Kind | None
    key: str
    path: str
    before: object
    after: object
    origin: Span | None = None
