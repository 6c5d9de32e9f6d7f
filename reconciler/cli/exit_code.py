"""Exit codes, their meanings and their precedence."""

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
    ExitCode.DONE: "success (with plan --detailed-exitcode: no changes)",
    ExitCode.ERROR: "error; the message says what failed, where and what to do next",
    ExitCode.CHANGES: "changes (only with plan --detailed-exitcode)",
    ExitCode.HELD: "changes are held for approval, or a roster was refused",
    ExitCode.STALE: "stale plan: its changes differ from what was reviewed",
    ExitCode.PARTLY: "partly applied: some customers were applied, others failed",
    ExitCode.WRONG_USE: "invalid command-line usage",
    ExitCode.INVALID_CONFIGURATION: "invalid configuration",
    ExitCode.INTERRUPTED: "interrupted from the keyboard",
}

#: if several apply, the program exits with the first
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
    """Return the code to exit with if several apply; DONE if none does."""
    return min(codes, key=PRECEDENCE.index, default=ExitCode.DONE)
