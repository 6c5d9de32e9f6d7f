"""Compare the store with the default branch every night. One issue lists the differences; it closes when they are gone.

Exits 0 if the comparison succeeded.
"""

import sys
from pathlib import Path

import forge
import program

MARKER = "<!-- reconciler-drift -->"
TITLE = "The store differs from git"
ADVICE = (
    "Someone changed the store, or a merge has not been applied yet. Update git with a "
    f"{forge.PROPOSAL_NOUN}, or apply git to the store:  reconciler apply --roster none"
)


def main() -> None:
    options = ("--roster", "none", "--detailed-exitcode", "--people", "masked")
    answer = program.run_reconciler(Path.cwd(), "plan", *options, "--format", "markdown")
    if answer.code not in (program.DONE, program.CHANGES, program.HELD):
        sys.exit(answer.code)
    differs = answer.code != program.DONE
    body = f"{MARKER}\n{answer.out.strip()}\n\n{ADVICE}\n" if differs else None
    forge.update_issue(MARKER, TITLE, body)
    forge.write_job_summary(answer.out)
    print("the store differs from git: see the issue" if differs else "the store matches git")


if __name__ == "__main__":
    main()
