"""The door: what it imports, what it says of an error, and the exit code that goes with it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from reconciler import __version__
from reconciler.cli import main as door
from reconciler.cli.exit_code import EXIT_CODE_MEANINGS, PRECEDENCE, ExitCode, select_worst_exit_code
from reconciler.cli.main import COMMANDS, LazyCommand, run
from reconciler.model.diagnostic import ConfigurationRefusal, Refusal, Span, build_error

HEAVY = ("polars", "sqlalchemy", "pyarrow", "adbc_driver_manager", "pydantic", "jinja2", "rich", "ruamel.yaml")
REFUSED = [build_error("some-code", "it is wrong", Span("f.yaml", 3, 1), "do this")]


@click.command()
def failing() -> None:
    raise RAISED[0]


@click.command()
def working() -> ExitCode:
    click.echo("output")
    return ExitCode.CHANGES


RAISED: list[BaseException] = []


@pytest.fixture
def fails_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    def prepare(problem: BaseException) -> None:
        RAISED[:] = [problem]

    monkeypatch.setitem(COMMANDS, "failing", LazyCommand(f"{__name__}:failing", "Fails."))
    monkeypatch.setitem(COMMANDS, "working", LazyCommand(f"{__name__}:working", "Works."))
    return prepare


def python(code: str, *, cwd: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=cwd, check=True, capture_output=True, text=True, timeout=60
    ).stdout


def imported_by(arguments: list[str], cwd: Path) -> set[str]:
    code = f"import sys\nfrom reconciler.cli.main import run\nrun({arguments!r})\nprint('MODULES', *sys.modules)"
    return set(python(code, cwd=cwd).split("MODULES")[1].split())


def test_version_and_help_import_nothing_heavy(tmp_path: Path) -> None:
    for arguments in (["--version"], ["--help"]):
        assert imported_by(arguments, tmp_path).isdisjoint(HEAVY)


def test_validate_imports_neither_frames_nor_the_store(tmp_path: Path) -> None:
    (tmp_path / "customers").mkdir()
    found = imported_by(["validate"], tmp_path)
    assert "pydantic" in found
    assert found.isdisjoint({"polars", "sqlalchemy", "pyarrow", "adbc_driver_manager"})


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == ExitCode.DONE
    assert capsys.readouterr().out == f"reconciler {__version__}\n"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_verb_of_the_table_loads_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == ExitCode.DONE
    assert f"Usage: reconciler {name}" in capsys.readouterr().out


def test_help_names_every_verb_and_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    run(["--help"])
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in COMMANDS)
    assert all(f"\n  {code.value} " in out for code in EXIT_CODE_MEANINGS)


@pytest.mark.parametrize("arguments", [[], ["nix"], ["--nix"], ["validate", "--nix"], ["validate", "--format", "xml"]])
def test_wrong_use_is_64_and_goes_to_stderr(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == ExitCode.WRONG_USE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage: reconciler" in captured.err
    assert ("\nerror: " in captured.err) == bool(arguments)
    assert "Error:" not in captured.err


@pytest.mark.usefixtures("fails_with")
def test_a_verb_s_code_is_the_program_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["working"]) == ExitCode.CHANGES
    assert capsys.readouterr().out == "output\n"


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (Refusal(REFUSED), ExitCode.ERROR, "f.yaml:3:1: error: it is wrong [some-code]\n    do this\n"),
        (ConfigurationRefusal(REFUSED), ExitCode.INVALID_CONFIGURATION, "f.yaml:3:1: error: it is wrong"),
        (ConfigurationRefusal([build_error("unknown-environment", "no x")]), ExitCode.WRONG_USE, "error: no x"),
        (FileNotFoundError(2, "No such file or directory", "x.zip"), ExitCode.ERROR, "error: x.zip: No such file"),
        (OSError(28, "No space left on device"), ExitCode.ERROR, "error: No space left on device"),
        (ValueError("hunter2"), ExitCode.ERROR, "error: unexpected ValueError; run again with --debug"),
        (click.UsageError("not so"), ExitCode.WRONG_USE, "error: not so\n"),
        (click.ClickException("it is there"), ExitCode.ERROR, "error: it is there\n"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted\n"),
        (click.Abort(), ExitCode.INTERRUPTED, "interrupted\n"),
    ],
)
def test_what_a_verb_raises_becomes_words_and_a_code(
    problem: BaseException,
    code: ExitCode,
    said: str,
    fails_with: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    fails_with(problem)
    assert run(["failing"]) == code
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out.strip() == ""
    assert "Traceback" not in captured.err
    assert "hunter2" not in captured.err


@pytest.mark.parametrize("problem", [ValueError("x"), Refusal(REFUSED), OSError(28, "No space left on device")])
def test_debug_shows_the_traceback(
    problem: BaseException, fails_with: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    fails_with(problem)
    assert run(["--debug", "failing"]) == ExitCode.ERROR
    assert "Traceback" in capsys.readouterr().err


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = command.replace("reconciler", f"{sys.executable} -m reconciler")
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_reader_that_has_read_enough_ends_it_quietly(tmp_path: Path) -> None:
    assert shell("reconciler --help | true", tmp_path).stderr == ""


def test_a_full_disk_is_an_error_in_words(tmp_path: Path) -> None:
    done = shell("reconciler --help > /dev/full", tmp_path)
    assert done.returncode == 1
    assert done.stderr == "error: cannot write the output: No space left on device\n    Redirect it to another place.\n"


def test_the_worst_code_counts() -> None:
    order = [64, 65, 1, 5, 4, 3, 2, 0]
    for place, code in enumerate(order):
        assert select_worst_exit_code(ExitCode(each) for each in order[place:]) == code
    assert select_worst_exit_code([]) == ExitCode.DONE


def test_every_code_has_a_meaning_and_a_rank() -> None:
    assert set(EXIT_CODE_MEANINGS) == set(PRECEDENCE) == set(ExitCode)


def test_table_entry_without_a_command_is_a_defect() -> None:
    with pytest.raises(TypeError, match="is no command"):
        LazyCommand(f"{door.__name__}:COMMANDS", "x").load_command()
