"""What can stand in the way of the store, said so that a person can act on it."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error

#: How many changed things an error names; the rest is counted.
MAX_NAMED_CHANGES = 10


class StoreProblem(Refusal):
    """The store cannot be used for what was asked; nothing was written. Carries one diagnostic.

    Never holds a URL's password, a secret, or the text of a row.
    """

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        self.diagnostic: Diagnostic = build_error(code, message, None, hint)
        super().__init__([self.diagnostic])


class StalePlan(StoreProblem):
    """What the plan would do to a customer is no longer what was reviewed. Nothing was written.

    changed: (kind, key) of what differs, the first few; `more` says how many others.
    """

    def __init__(self, customer: str, changes: tuple[tuple[str, str], ...], more: int = 0) -> None:
        self.changed = changes
        self.more = more
        kinds = sorted({kind for kind, _ in changes})
        super().__init__(
            "stale-plan",
            f"{customer}: the store changed after the plan was made ({', '.join(kinds)}); nothing was written",
            "Plan again and look at what it says now.",
        )

    @classmethod
    def from_changes(cls, customer: str, changes: Iterable[tuple[str, str]]) -> StalePlan:
        """Names the first few, and counts the rest."""
        found = tuple(changes)
        return cls(customer, found[:MAX_NAMED_CHANGES], max(0, len(found) - MAX_NAMED_CHANGES))


#: Codes for which the database may or may not have carried out what it was asked for last.
CONNECTION_LOST_CODES = frozenset({"store-gone"})
#: What an apply says that cannot know whether it was carried out.
ANSWER_LOST = "answer-lost"


class UnconfirmedCommit(StoreProblem):
    """The connection ended while a transaction was being committed: all of it was written, or nothing."""

    def __init__(self, where: object) -> None:
        super().__init__(
            ANSWER_LOST,
            f"{where} ended the connection before it said whether all was written; it is either all or nothing",
            "Look at `reconciler history`. To apply the same plan again is safe: what is done is not done twice.",
        )


def build_unknown_error(where: object, state: str) -> StoreProblem:
    """For what a database says and we have no words for. Its own text may hold names: only `--debug` shows it."""
    return StoreProblem(
        "store-error",
        f"{where} reported an error ({state}); nothing was written",
        "Run again with --debug and report it.",
    )
