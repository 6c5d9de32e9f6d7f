"""What each exit code means, and which one counts where several hold."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    DONE = 0
    ERROR = 1
    CHANGES = 2
    HELD = 3
    STALE = 4
    PARTLY = 5
    WRONG_USE = 64
    INVALID_CONFIGURATION = 65
    INTERRUPTED = 130


EXIT_CODE_MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "done; or, for plan, computed (with --detailed-exitcode: nothing to change)",
    ExitCode.ERROR: "error: it says what, where and what to do next",
    ExitCode.CHANGES: "plan with --detailed-exitcode: there are changes",
    ExitCode.HELD: "something is held by a limit or gate, or a source was refused",
    ExitCode.STALE: "the plan is stale: what it would do is no longer what was reviewed",
    ExitCode.PARTLY: "partly applied: some customers were applied, others failed",
    ExitCode.WRONG_USE: "wrong use of the command line",
    ExitCode.INVALID_CONFIGURATION: "configuration does not validate",
    ExitCode.INTERRUPTED: "interrupted by the keyboard",
}

PRECEDENCE = (
    ExitCode.INTERRUPTED,
    ExitCode.WRONG_USE,
    ExitCode.INVALID_CONFIGURATION,
    ExitCode.ERROR,
    ExitCode.PARTLY,
    ExitCode.STALE,
    ExitCode.HELD,
    ExitCode.CHANGES,
    ExitCode.DONE,
)


def select_worst_exit_code(codes: Iterable[ExitCode]) -> ExitCode:
    """The code to exit with where several hold; DONE where there is none."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.DONE)
