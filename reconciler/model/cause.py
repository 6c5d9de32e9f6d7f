"""Names what caused a change, relative to a base in git: this pull request, an earlier merge, or drift."""

from collections.abc import Iterable
from enum import StrEnum


class ChangeCause(StrEnum):
    """What caused a change, relative to a base in git."""

    #: the files differ from the base
    PR = "pr"
    #: the base has the value already, but it was not applied yet
    PENDING = "pending"
    #: the store was changed outside reconciler
    DRIFT = "drift"

    @property
    def sentence(self) -> str:
        """Return a plain sentence for school administrators."""
        return SENTENCES[self]


SENTENCES = {
    ChangeCause.PR: "This pull request changes it.",
    ChangeCause.PENDING: "It was merged earlier but has not been applied yet.",
    ChangeCause.DRIFT: "It was changed in the store outside reconciler; this plan sets it back to the value in git.",
}


def choose_main_cause(causes: Iterable[ChangeCause | None]) -> ChangeCause | None:
    """Return the cause to show for several values: `pr` before `drift` before `pending`; None if none is known."""
    present = set(causes)
    return next((cause for cause in (ChangeCause.PR, ChangeCause.DRIFT, ChangeCause.PENDING) if cause in present), None)
