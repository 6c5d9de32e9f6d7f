"""Whose doing a change is, seen from a base in git: the pull request's, an earlier merge's, or another hand's."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Cause(StrEnum):
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
    Cause.PR: "This pull request changes it.",
    Cause.PENDING: "It was merged earlier and is not applied yet.",
    Cause.DRIFT: "Somebody changed it in the store by hand; it goes back to what git says.",
}


def most_telling(causes: Iterable[Cause | None]) -> Cause | None:
    """Of the causes of several values: `pr` if any is, else `drift` if any is, else `pending`."""
    found = set(causes)
    return next((cause for cause in (Cause.PR, Cause.DRIFT, Cause.PENDING) if cause in found), None)
