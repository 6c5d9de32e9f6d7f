"""Whose doing a change is, seen from a base in git: the pull request's, an earlier merge's, or another hand's."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class ChangeCause(StrEnum):
    """pr: these files differ from the base's. pending: the base says so and it was not applied yet. drift: the store
    was changed behind git's back."""

    PR = "pr"
    PENDING = "pending"
    DRIFT = "drift"

    @property
    def sentence(self) -> str:
        """For people who are no programmers."""
        return SENTENCES[self]


SENTENCES = {
    ChangeCause.PR: "This pull request changes it.",
    ChangeCause.PENDING: "It was merged earlier and is not applied yet.",
    ChangeCause.DRIFT: "Somebody changed it in the store by hand; it goes back to what git says.",
}


def choose_main_cause(causes: Iterable[ChangeCause | None]) -> ChangeCause | None:
    """Of the causes of several values: `pr` if any is, else `drift` if any is, else `pending`."""
    found = set(causes)
    return next((cause for cause in (ChangeCause.PR, ChangeCause.DRIFT, ChangeCause.PENDING) if cause in found), None)
