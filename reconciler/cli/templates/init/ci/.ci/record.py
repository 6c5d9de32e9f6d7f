"""Sign and verify the record of a review: one line that apply trusts and nobody else can write.

Every job of the repository can write statuses and comments. The signature uses the store's key, which only jobs on the
default branch receive.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass

#: nothing held or weakened, and no access given · a code owner approved this commit · nobody approved it yet
CLEAR, APPROVED, WAITING = "clear", "approved", "waiting"


@dataclass(frozen=True)
class ReviewRecord:
    #: of the pull or merge request
    number: int
    #: its last commit
    head: str
    #: of the plan without rosters
    plan_id: str
    #: CLEAR, APPROVED or WAITING
    review_status: str
    #: digest of the IDs of the plan's holds
    holds: str

    @property
    def line(self) -> str:
        """The record with its signature, at most 140 characters, which is the most that a status takes."""
        return f"{self.plan_id} {self.review_status} {self.holds} {self._compute_signature()}"

    def _compute_signature(self) -> str:
        facts = [
            os.environ["RECONCILER_PROJECT"],
            str(self.number),
            self.head,
            self.plan_id,
            self.review_status,
            self.holds,
        ]
        key = os.environ["RECONCILER_KEY"].encode()
        return hmac.new(key, "\0".join(["reviewed-plan", *facts]).encode(), hashlib.sha256).hexdigest()[:32]


def compute_holds_digest(holds: Iterable[str]) -> str:
    """Return a digest of hold IDs that does not depend on their order."""
    return hashlib.sha256("\n".join(sorted(holds)).encode()).hexdigest()[:12]


def parse_record(line: str | None, number: int, head: str) -> ReviewRecord | None:
    """Return the record, or None if it is of another change or commit, or was not signed with this key."""
    words = (line or "").split(" ")
    if len(words) != 4:
        return None
    found = ReviewRecord(number, head, *words[:3])
    return found if hmac.compare_digest(found.line.encode(), (line or "").encode()) else None
