"""Standard streams that are closed or full, and files that cannot be written: said in one line, never a traceback."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.customers.project import CUSTOMER, Project

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


def run_on_terminal(folder: Path, encoding: str, *arguments: str) -> tuple[int, bytes]:
    """The exit code, and what a terminal of this encoding gets."""
    controller, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "TERM": "dumb"}
    started = subprocess.Popen([PROGRAM, *arguments], stdout=terminal, stderr=terminal, cwd=folder, env=environment)
    os.close(terminal)
    printed = b""
    try:
        while chunk := os.read(controller, 65536):
            printed += chunk
    except OSError:  # the terminal has no writer any more
        pass
    os.close(controller)
    return started.wait(), printed


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_159_terminal_gets_stand_ins_for_what_it_cannot_print(folder: Path, encoding: str) -> None:
    (folder / "customers/springfield").mkdir()
    text = CUSTOMER.format(id="springfield", name="Łódź → Süd", more="")
    (folder / "customers/springfield/customer.yaml").write_text(text, encoding="utf-8")
    code, printed = run_on_terminal(folder, encoding, "plan")
    # Output to a terminal that says ASCII is UTF-8, since most of them only lack a locale.
    shown = printed.decode("utf-8" if encoding == "ascii" else encoding)
    assert code == 0
    assert "unexpected" not in shown
    expected = {
        "ascii": "Łódź → Süd",
        "iso-8859-1": "\\u0141ód\\u017a -> Süd",
        "utf-8": "Łódź → Süd",
    }
    assert expected[encoding] in shown


@pytest.mark.parametrize("form", ["json", "html", "markdown", "text"])
def test_159_pipe_gets_utf_8_in_any_locale(folder: Path, form: str) -> None:
    (folder / "customers/springfield").mkdir()
    text = CUSTOMER.format(id="springfield", name="Łódź", more="")
    (folder / "customers/springfield/customer.yaml").write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [PROGRAM, "plan", "--format", form], capture_output=True, check=False, cwd=folder, env=environment
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert "Łódź" in done.stdout.decode("utf-8")


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("report.html", "run: reconciler plan springfield --format html > report.html"),
        ("Plan.JSON", "--format json > Plan.JSON"),
        ("plan.md", "--format markdown > plan.md"),
        ("plan.txt", "choose a name such as plan.plan"),
    ],
)
def test_159_report_s_name_gets_no_plan_archive(project: Project, name: str, more: str) -> None:
    project.customer()
    refused = project.run("plan", "springfield", "--out", name)
    assert refused.code == 64
    assert "--out saves the plan for apply, not a report" in refused.err
    assert more in refused.err
    assert not (project.folder / name).exists()


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
