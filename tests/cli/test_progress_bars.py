"""Bars on a terminal: they show what a server calls its files as it is, and never stand in a fetch's way."""

from __future__ import annotations

import io
import sys

import pytest
from rich.progress import Progress as Bars

from reconciler.cli.progress import show_progress_bars
from reconciler.oneroster.sources.interface import FetchProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """In the place of stderr. By a fixture, pytest would take it away again."""
    made = Terminal()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    return made


@pytest.mark.parametrize("name", ["[/x].csv", "[bold]users.csv", "[/]"])
def test_file_name_like_markup_is_shown_literally(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    screen = terminal(monkeypatch)
    with show_progress_bars() as heard:
        heard("springfield")(FetchProgress(name, 2**20, 2 * 2**20, "bytes"))
        heard("shelbyville")(FetchProgress("users", 30, 60, "rows", 1))
    shown = screen.getvalue()
    assert name in shown
    assert "1.0 of 2.0 MiB" in shown
    assert "shelbyville" in shown


def test_a_bar_that_cannot_be_drawn_fails_no_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch)
    tried = []

    def add_task(bars: Bars, description: str, **_: object) -> None:
        tried.append(description)
        raise RuntimeError

    monkeypatch.setattr(Bars, "add_task", add_task)
    with show_progress_bars() as heard:
        heard("springfield")(FetchProgress("users", 30, 60, "rows", 1))
        heard("shelbyville")(FetchProgress("orgs", 30, 60, "rows", 1))
    assert tried == ["users"]
