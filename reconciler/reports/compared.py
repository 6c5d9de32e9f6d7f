"""What a plan with a base is compared with, and what it leaves out, in words."""

from __future__ import annotations

from reconciler.model.kind import Kind
from reconciler.model.plan import Base, Elsewhere
from reconciler.reports.wording import things

#: as many digits of a commit as tell it from all others
COMMIT_DIGITS = 12


def short_commit(base: Base) -> str:
    """Empty where the reference is the commit itself."""
    return "" if base.ref == base.commit else base.commit[:COMMIT_DIGITS]


def elsewhere_words(elsewhere: Elsewhere) -> str:
    """`2 other customers are not applied yet, 1 drifted.` Empty where all others are as git has them."""
    words = {
        "not applied yet": elsewhere.pending,
        "drifted from what git says": elsewhere.drifted,
        "left out, as their files do not validate": elsewhere.failed,
    }
    parts = [(number, what) for what, number in words.items() if number]
    if not parts:
        return ""
    (number, what), *more = parts
    who = things(number, Kind.CUSTOMER).replace(" ", " other ", 1)
    first = f"{who} {'is' if number == 1 else 'are'} {what}"
    return ", ".join([first, *(f"{each:,} {words}" for each, words in more)]) + "."
