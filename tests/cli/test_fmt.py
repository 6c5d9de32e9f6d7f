"""`fmt`: writes what is not in canonical form, shows it with --check, and leaves alone what it cannot read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.main import run

TIDY = "kind: lesson\nid: a\ntitle: T\nurl: https://lessons.example/x\n"
UNTIDY = "# a lesson\nid: 'b'  # its id\nkind: lesson\n\ntitle: T\nurl: https://lessons.example/x"


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The catalog's folder, with one lesson that is tidy and one that is not."""
    folder = tmp_path / "customers/lessons"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(TIDY)
    (folder / "b.yaml").write_text(UNTIDY)
    monkeypatch.chdir(tmp_path)
    return folder


def test_noncanonical_files_are_rewritten_and_named(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (lessons / "a.yaml").stat().st_mtime_ns
    assert run(["fmt"]) == ExitCode.DONE
    captured = capsys.readouterr()
    assert captured.out == "customers/lessons/b.yaml\n"
    assert captured.err == "1 of 2 files changed.\n"
    assert (lessons / "b.yaml").read_text() == (
        "# a lesson\nkind: lesson\nid: b    # its id\n\ntitle: T\nurl: https://lessons.example/x\n"
    )
    assert (lessons / "a.yaml").stat().st_mtime_ns == before
    assert run(["fmt"]) == ExitCode.DONE
    assert capsys.readouterr().out == ""
    assert run(["fmt", "--check"]) == ExitCode.DONE
    assert sorted(os.listdir(lessons)) == ["a.yaml", "b.yaml"]


def test_check_writes_nothing_and_shows_a_patch(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fmt", "--check"]) == ExitCode.ERROR
    captured = capsys.readouterr()
    assert captured.err == "1 of 2 files would change. To write them: reconciler fmt\n"
    assert captured.out.startswith("--- a/customers/lessons/b.yaml\n+++ b/customers/lessons/b.yaml\n@@")
    assert (lessons / "b.yaml").read_text() == UNTIDY
    applied = subprocess.run(["git", "apply", "-p1"], input=captured.out, text=True, check=False, capture_output=True)
    assert applied.returncode == 0, applied.stderr
    assert run(["fmt", "--check"]) == ExitCode.DONE


def test_file_keeps_its_mode_and_links_stay_links(lessons: Path, tmp_path: Path) -> None:
    file = lessons / "b.yaml"
    file.chmod(0o640)
    (lessons / "c.yaml").symlink_to(tmp_path / "shared.yaml")
    (tmp_path / "shared.yaml").write_text(UNTIDY)
    assert run(["fmt"]) == ExitCode.DONE
    assert file.stat().st_mode & 0o777 == 0o640
    assert (lessons / "c.yaml").is_symlink()
    assert (tmp_path / "shared.yaml").read_text() == file.read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: lesson\nid: [\n", "customers/lessons/0.yaml:3:1: error: "),
        ("id: a\nid: b\n", "customers/lessons/0.yaml:2:1: error: duplicate key id"),
        ("id: &a x\ntitle: *a\n", "customers/lessons/0.yaml:1:5: error: YAML anchors (&) are not allowed [anchor]"),
        ("id: *a\n", "customers/lessons/0.yaml:1:5: error: YAML aliases (*) are not allowed"),
    ],
)
@pytest.mark.parametrize("options", [[], ["--check"]])
def test_unreadable_file_is_left_alone_and_others_go_on(
    lessons: Path, text: str, said: str, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (lessons / "0.yaml").write_text(text)
    assert run(["fmt", *options]) == ExitCode.INVALID_CONFIGURATION
    captured = capsys.readouterr()
    assert captured.err.startswith(said)
    assert "customers/lessons/b.yaml" in captured.out
    assert (lessons / "0.yaml").read_text() == text


def test_without_a_path_settings_are_written_too(
    lessons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reconciler.yaml").write_text("format:   1\n")
    (tmp_path / "other.yaml").write_text("a:   1\n")
    (lessons / "notes.txt").write_text("x")
    (lessons.parent / ".hidden").mkdir()
    (lessons.parent / ".hidden/customer.yaml").write_text("kind:   customer\n")
    run(["fmt"])
    assert capsys.readouterr().out.splitlines() == ["reconciler.yaml", "customers/lessons/b.yaml"]
    assert (tmp_path / "other.yaml").read_text() == "a:   1\n"


def test_paths_say_which_files_are_meant(lessons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["fmt", str(lessons / "a.yaml")]) == ExitCode.DONE
    assert capsys.readouterr().err == "0 of 1 file changed.\n"
    assert run(["fmt", ".", str(lessons)]) == ExitCode.DONE
    assert capsys.readouterr().err == "1 of 2 files changed.\n"
    (tmp_path / "empty").mkdir()
    assert run(["fmt", "empty"]) == ExitCode.WRONG_USE
    assert run(["fmt", "nix"]) == ExitCode.WRONG_USE


def test_file_changed_meanwhile_is_left_alone(
    lessons: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.config.atomic_write.os.fsync", lambda _: (lessons / "b.yaml").write_text(TIDY))
    assert run(["fmt"]) == ExitCode.ERROR
    assert "b.yaml: error: another process changed the file" in capsys.readouterr().err
    assert (lessons / "b.yaml").read_text() == TIDY
    assert sorted(os.listdir(lessons)) == ["a.yaml", "b.yaml"]


def test_a_full_disk_leaves_the_file_and_no_draft(
    lessons: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("reconciler.config.atomic_write.os.fsync", full)
    assert run(["fmt"]) == ExitCode.ERROR
    assert "No space left on device" in capsys.readouterr().err
    assert (lessons / "b.yaml").read_text() == UNTIDY
    assert sorted(os.listdir(lessons)) == ["a.yaml", "b.yaml"]


def test_a_secret_that_somebody_wrote_down_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "customer.yaml"
    file.write_text(
        "lti: {platforms: [{shared_secret: 'hunter-two', id: canvas}]}\n"
        "rostering:\n  sync:\n    private_key: |\n        BEGIN\n        abcdef\n    password: {secret: sftp}\n"
        "support: {url: 'https://u:pass-word@a.example'}\nkind:   customer\n"
    )
    assert run(["fmt", "--check", str(file)]) == ExitCode.ERROR
    captured = capsys.readouterr()
    for secret in ("hunter", "BEGIN", "abcdef", "pass-word"):
        assert secret not in captured.out + captured.err
    assert "{secret: sftp}" in captured.out


@pytest.mark.parametrize("options", [[], ["--sync", "zip"], ["--sync", "sftp"], ["--sync", "api"]])
def test_new_writes_canonical_files(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("on", "spring-field", "a-1"):
        assert run(["new", "customer", name, *options]) == ExitCode.DONE
        assert run(["new", "community", name, "--customer", name]) == ExitCode.DONE
        assert run(["new", "lesson", name, "--customer", name]) == ExitCode.DONE
        assert run(["new", "lesson", name]) == ExitCode.DONE
    assert run(["fmt", "--check"]) == ExitCode.DONE


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_init_writes_canonical_files(ci: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["init", str(tmp_path / "schools"), "--ci", ci]) == ExitCode.DONE
    monkeypatch.chdir(tmp_path / "schools")
    assert run(["fmt", "--check"]) == ExitCode.DONE
