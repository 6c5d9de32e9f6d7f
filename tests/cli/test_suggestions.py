"""Suggestions for verbs and options that do not exist."""

from __future__ import annotations

import pytest

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.main import run
from reconciler.cli.suggestions import COMMAND_SYNONYMS, OPTION_SYNONYMS

VERBOSE = "To see each step, begin with: reconciler --log-level info"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ("paln", "Did you mean reconciler plan?"),
        ("histroy", "Did you mean reconciler history?"),
        ("diff", "Did you mean reconciler plan?"),
        ("rollback 3", "Did you mean reconciler undo?"),
        ("roster chek", "Did you mean reconciler roster check?"),
        ("store status2", "Did you mean reconciler store status?"),
        ("frobnicate", None),
        ("apply --auto-approve", "Did you mean --yes?"),
        ("apply -y", "Did you mean --yes?"),
        ("plan --json", "Did you mean --format json?"),
        ("validate --json", "Did you mean --format json?"),
        ("holds --html", None),
        ("schema --json", None),
        ("plan --detialed-exitcode", "Did you mean --detailed-exitcode?"),
        ("plan --force", None),
        ("plan --yes", None),
        ("apply --dry-run", "To see the changes without applying them, run reconciler plan."),
        ("plan -v", VERBOSE),
    ],
)
def test_a_hint_names_what_was_meant_or_is_left_out(
    arguments: str, hint: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments.split()) == ExitCode.WRONG_USE
    error = capsys.readouterr().err.split("error: ", 1)[1].splitlines()
    assert error[0].startswith("no such ")
    assert error[1:] == ([f"    {hint}"] if hint else [])


def test_the_words_of_other_tools_are_not_ours() -> None:
    from reconciler.cli.main import COMMANDS

    assert not set(COMMAND_SYNONYMS) & set(COMMANDS)
    assert all(needed.startswith("--") for _, needed in OPTION_SYNONYMS.values())
