"""The README is a promise: every command in it runs, and prints what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.readme import README, plain, played


@pytest.mark.slow
def test_everything_in_the_readme_comes_out_as_written(tmp_path: Path) -> None:
    text = README.read_text(encoding="utf-8")
    assert plain(played(text, tmp_path)) == plain(text)


def test_every_verb_of_the_readme_is_one_of_the_program() -> None:
    from reconciler.cli.main import COMMANDS

    text = README.read_text(encoding="utf-8")
    table = text[text.index("## Commands") : text.index("## What is where")]
    assert {verb for verb in COMMANDS if f"`{verb} " in table or f"`{verb}`" in table} == set(COMMANDS)
