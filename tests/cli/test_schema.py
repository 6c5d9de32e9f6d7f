"""`schema`: writes the schemas, and says which are out of date."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.main import run

NAMES = ["community", "customer", "defaults", "lesson", "plan", "reconciler"]


def test_all_schemas_are_written_and_then_up_to_date(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "new/schemas"
    assert run(["schema", str(target)]) == ExitCode.DONE
    assert sorted(each.name for each in target.iterdir()) == [f"{name}.schema.json" for name in NAMES]
    for path in target.iterdir():
        assert json.loads(path.read_text())["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert run(["schema", "--check", str(target)]) == ExitCode.DONE
    assert "up to date" in capsys.readouterr().out


def test_check_names_what_differs_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["schema", str(tmp_path)])
    (tmp_path / "lesson.schema.json").write_text("{}")
    (tmp_path / "plan.schema.json").unlink()
    capsys.readouterr()
    assert run(["schema", "--check", str(tmp_path)]) == ExitCode.ERROR
    assert capsys.readouterr().err.splitlines() == [
        f"{tmp_path}/lesson.schema.json: error: the schema is out of date [stale-schema]",
        f"{tmp_path}/plan.schema.json: error: the schema is missing [stale-schema]",
        f"    Run: reconciler schema {tmp_path}",
    ]
    assert (tmp_path / "lesson.schema.json").read_text() == "{}"
    assert not (tmp_path / "plan.schema.json").exists()


def test_the_schemas_of_this_repository_are_up_to_date() -> None:
    assert run(["schema", "--check", str(Path(__file__).parents[2] / "schemas")]) == ExitCode.DONE
