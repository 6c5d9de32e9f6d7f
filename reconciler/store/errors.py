"""Errors of the store, each with a message and a hint for people."""

from collections.abc import Iterable
from typing import Self

from reconciler.model.diagnostic import Diagnostic, Refusal, build_error
from reconciler.model.ids import CustomerId

#: An error names this many changed rows and counts the rest.
MAX_NAMED_CHANGES = 10


class StoreProblem(Refusal):
    """Report with one diagnostic that the store cannot do what was asked; nothing was written.

    Never contains a URL's password, a secret or the text of a row.
    """

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        self.diagnostic: Diagnostic = build_error(code, message, None, hint)
        super().__init__([self.diagnostic])


class StalePlan(StoreProblem):
    """Report that the plan's changes to a customer differ from what was reviewed; nothing was written."""

    def __init__(self, customer: CustomerId, changes: tuple[tuple[str, str], ...], more: int = 0) -> None:
        #: (kind, key) of the first `MAX_NAMED_CHANGES` rows that differ
        self.changed = changes
        #: number of further rows that differ
        self.more = more
        kinds = sorted({kind for kind, _ in changes})
        super().__init__(
            "stale-plan",
            f"{customer}: the store changed after the plan was made ({', '.join(kinds)}); nothing was written",
            "Make a new plan and review it.",
        )

    @classmethod
    def from_changes(cls, customer: CustomerId, changes: Iterable[tuple[str, str]]) -> Self:
        """Build the error of (kind, key) pairs: it names the first `MAX_NAMED_CHANGES` and counts the rest."""
        pairs = tuple(changes)
        return cls(customer, pairs[:MAX_NAMED_CHANGES], max(0, len(pairs) - MAX_NAMED_CHANGES))


#: Codes after which it is unknown whether the database carried out the last statement.
CONNECTION_LOST_CODES = frozenset({"store-gone"})
#: The code of an apply that cannot know whether it was committed.
ANSWER_LOST = "answer-lost"


class UnconfirmedCommit(StoreProblem):
    """Report that the connection ended during a commit: either all of it was written or nothing."""

    def __init__(self, where: object) -> None:
        super().__init__(
            ANSWER_LOST,
            f"{where} closed the connection before it confirmed the write; either all or none of it was written",
            "Check `reconciler history`. You can safely apply the same plan again; nothing is applied twice.",
        )


def build_unknown_error(where: object, state: str) -> StoreProblem:
    """Return the problem of an unexpected database error. The database's own text may contain names: only `--debug`
    shows it.

    state: such as `SQLSTATE 22012`.
    """
    return StoreProblem(
        "store-error",
        f"{where} reported an error ({state}); nothing was written",
        "Run again with --debug and report it.",
    )
