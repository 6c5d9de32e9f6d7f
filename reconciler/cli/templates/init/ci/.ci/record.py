"""What was reviewed of a proposal: one signed line, which apply believes and nobody else can write.

Statuses and comments can be written by every job of the repository; the signature is under the store's key, which only
jobs on the default branch are given.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from dataclasses import dataclass

#: nothing held, nothing weakened · a code owner agreed to this very commit · nobody did yet
CLEAR, APPROVED, WAITING = "clear", "approved", "waiting"


@dataclass(frozen=True)
class ReviewRecord:
    """number, head: of the proposal. plan_id: of its declared kinds alone. word: one of the above. holds: a digest of
    the ids of what it holds back."""

    number: int
    head: str
    plan_id: str
    review_status: str
    holds: str

    @property
    def line(self) -> str:
        """At most 140 characters: a status has no more."""
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
    """Of ids of holds, in any order."""
    return hashlib.sha256("\n".join(sorted(holds)).encode()).hexdigest()[:12]


def parse_record(line: str | None, number: int, head: str) -> ReviewRecord | None:
    """None where it is not of this proposal and commit, or was not signed with this key."""
    words = (line or "").split(" ")
    if len(words) != 4:
        return None
    found = ReviewRecord(number, head, *words[:3])
    return found if hmac.compare_digest(found.line.encode(), (line or "").encode()) else None
