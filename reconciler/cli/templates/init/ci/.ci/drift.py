"""Every night: whether the store is as the default branch says. One open issue says what is not; it closes by itself.

Exits 0 where that could be found out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import forge
import program

MARKER = "<!-- reconciler-drift -->"
TITLE = "The store differs from git"
ADVICE = (
    "Somebody changed it in the store, or a merge was not applied yet. Bring git up to date by a proposal, or apply "
    "what git says:  reconciler apply --roster none"
)


def main() -> None:
    options = ("--roster", "none", "--detailed-exitcode", "--people", "masked")
    answer = program.reconciler(Path.cwd(), "plan", *options, "--format", "markdown")
    if answer.code not in (program.DONE, program.CHANGES, program.HELD):
        sys.exit(answer.code)
    differs = answer.code != program.DONE
    body = f"{MARKER}\n{answer.out.strip()}\n\n{ADVICE}\n" if differs else None
    forge.issue(MARKER, TITLE, body)
    forge.summary(answer.out)
    print("the store differs from git: see the issue" if differs else "the store is as git says")


if __name__ == "__main__":
    main()
