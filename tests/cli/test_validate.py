"""`validate`: diagnostics, totals and codes, as text and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.main import run

LESSON = "kind: lesson\nid: {id}\ntitle: T\nurl: https://lessons.example/x\n"


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The catalog's folder, with two valid lessons."""
    folder = tmp_path / "customers/lessons"
    folder.mkdir(parents=True)
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text(LESSON.format(id=name))
    monkeypatch.chdir(tmp_path)
    return folder


def test_valid_files_are_counted(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate"]) == ExitCode.DONE
    assert capsys.readouterr().out == "2 files are valid.\n"
    (lessons / "b.yaml").unlink()
    run(["validate"])
    assert capsys.readouterr().out == "1 file is valid.\n"
    (lessons / "a.yaml").unlink()
    assert run(["validate"]) == ExitCode.DONE
    assert "reconciler new customer" in capsys.readouterr().out


def test_mistakes_are_listed_and_counted_with_exit_65(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lessons / "b.yaml").write_text(LESSON.format(id="b") + "titel: x\nurll: x\n")
    assert run(["validate"]) == ExitCode.INVALID_CONFIGURATION
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "customers/lessons/b.yaml:5:1: error: unknown key titel [unknown-key]",
        "    Did you mean title?",
        "customers/lessons/b.yaml:6:1: error: unknown key urll [unknown-key]",
        "    Did you mean url?",
        "2 errors in 1 of 2 files.",
    ]
    assert captured.err == ""


def test_a_warning_is_shown_and_is_no_error(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lessons.parent / "notes.yaml").write_text("seen: true\n")
    assert run(["validate"]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert "customers/notes.yaml: warning: reconciler ignores this file [ignored-file]" in out
    assert out.endswith("2 files are valid.\n")


def test_json_holds_the_same_as_the_text(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lessons / "b.yaml").write_text(LESSON.format(id="b") + "urll: x\n")
    assert run(["validate", "--format", "json"]) == ExitCode.INVALID_CONFIGURATION
    assert json.loads(capsys.readouterr().out) == {
        "format_version": "1.0",
        "files": 2,
        "diagnostics": [
            {
                "code": "unknown-key",
                "severity": "error",
                "message": "unknown key urll",
                "file": "customers/lessons/b.yaml",
                "line": 5,
                "column": 1,
                "hint": "Did you mean url?",
            }
        ],
    }


def test_path_limits_what_is_reported_but_not_read(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lessons / "b.yaml").write_text("kind: lesson\n")
    assert run(["validate", str(lessons / "a.yaml")]) == ExitCode.DONE
    assert capsys.readouterr().out == "1 file is valid.\n"
    assert run(["validate", "customers/lessons/b.yaml"]) == ExitCode.INVALID_CONFIGURATION
    assert capsys.readouterr().out.endswith("3 errors in 1 of 1 file.\n")
    assert run(["validate", "customers"]) == ExitCode.INVALID_CONFIGURATION


@pytest.mark.usefixtures("lessons")
def test_path_missing_or_outside_the_repository_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("a: 1\n")
    assert run(["validate", "nix.yaml"]) == ExitCode.WRONG_USE
    assert run(["validate", "other.yaml"]) == ExitCode.WRONG_USE


@pytest.mark.usefixtures("lessons")
def test_a_directory_that_is_not_there_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--dir", "nix"]) == ExitCode.WRONG_USE
    said = capsys.readouterr().err
    assert "directory nix not found" in said
    assert "reconciler init DIR" in said


@pytest.mark.usefixtures("lessons")
def test_the_store_s_options_are_taken_and_mean_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", "--store", "postgresql://nowhere.invalid/x", "--env", "nix"]) == ExitCode.DONE
    assert capsys.readouterr().out == "2 files are valid.\n"


def test_a_folder_that_cannot_be_listed_is_named(
    lessons: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    # root may list everything, so the refusal is the operating system's only by hand
    monkeypatch.setattr("reconciler.config.load.layout.os.scandir", forbidden)
    assert lessons.is_dir()
    assert run(["validate"]) == ExitCode.INVALID_CONFIGURATION
    assert "customers: error: the folder cannot be listed: Permission denied" in capsys.readouterr().err
