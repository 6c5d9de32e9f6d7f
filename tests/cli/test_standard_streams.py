"""Standard streams that are closed or full, and files that cannot be written: said in one line, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.customers.project import Project

PROGRAM = Path(sys.executable).with_name("reconciler")


def shell(folder: Path, redirections: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = " ".join(f"'{word}'" for word in (str(PROGRAM), *arguments))
    return subprocess.run(
        ["sh", "-c", f"{words} {redirections}"], capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "customers").mkdir()
    return tmp_path


@pytest.mark.parametrize("arguments", [["plan"], ["--help"], ["validate"]], ids=" ".join)
def test_closed_standard_output_is_reported_before_any_work(folder: Path, arguments: list[str]) -> None:
    done = shell(folder, ">&-", *arguments)
    assert done.returncode == 1
    assert done.stderr == (
        "error: standard output is closed; nothing was done\n    Redirect it to a file or to /dev/null.\n"
    )
    assert [path.name for path in folder.iterdir()] == ["customers"]


def test_full_output_is_reported_in_one_line(folder: Path) -> None:
    done = shell(folder, ">/dev/full", "validate")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2:] == [
        "error: cannot write the output: No space left on device",
        "    Redirect it to another place.",
    ]
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("redirection", ["<&-", "2>&-", "<&- 2>&-"])
def test_the_other_streams_may_be_closed(folder: Path, redirection: str) -> None:
    done = shell(folder, redirection, "--version")
    assert done.returncode == 0
    assert done.stdout.startswith("reconciler ")


def test_plan_is_saved_under_the_given_name_or_not_at_all(project: Project) -> None:
    project.customer()
    assert project.run("plan", "--out", "").code == 64
    for name, hint in (("nowhere/monday.plan", "Create its folder first"), ("m" * 300, "Choose a shorter name")):
        refused = project.run("plan", "--out", name)
        assert refused.code == 1
        *_, first, last = refused.err.splitlines()
        assert first.startswith(f"{name}: error: the plan cannot be saved: ")
        assert hint in last
    assert project.run("plan", "--out", "m" * 240 + ".plan").code == 0
    assert sorted(path.name for path in project.folder.glob("*.plan")) == ["m" * 240 + ".plan"]
    assert not list(project.folder.glob(".*.part"))


@pytest.mark.parametrize(
    "verb", [["holds"], ["history"], ["show", "monday.plan"], ["undo", "1", "--yes"]], ids=" ".join
)
def test_read_only_verb_creates_no_store_at_a_mistyped_path(project: Project, verb: list[str]) -> None:
    project.customer()
    project.write("monday.plan", "")
    mistyped = project.folder / "mistyped" / "store.db"
    project.store_url = f"sqlite:///{mistyped}"
    refused = project.run(*verb)
    assert refused.code == 1
    assert f"error: sqlite:///{mistyped} does not exist [no-store]" in refused.err
    assert not mistyped.parent.exists()
