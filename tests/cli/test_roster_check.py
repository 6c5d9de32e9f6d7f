"""`roster check`: what is wrong with a bundle, without a store."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bundles import bundle
from reconciler.cli.door import run as called
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.roster import roster

SMALL = bundle(users=10)


def check(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(roster, ["check", *map(str, arguments)], standalone_mode=False)
    assert result.exception is None
    return result


def test_a_good_bundle_is_one_line(tmp_path: Path) -> None:
    result = check(SMALL.zip(tmp_path / "roster.zip"))
    assert result.stdout == "users 10 · classes 8 · enrollments 20 · orgs 3\n"
    assert result.return_value == ExitCode.DONE


def test_warnings_come_first_then_the_rows_set_aside_and_the_total(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0003", role="wizard").with_user("u-0002", username="").without_manifest()
    result = check(made.zip(tmp_path / "roster.zip"))
    lines = [line for line in result.stdout.splitlines() if not line.startswith("    ")]
    assert [line.split(": ")[:2] for line in lines[:-1]] == [
        ["manifest.csv", "warning"],
        ["users.csv:3", "warning"],
        ["users.csv:4:6", "error"],
    ]
    assert lines[-1] == "users 10 · classes 8 · enrollments 20 · orgs 3 · 1 row set aside"
    assert result.return_value == ExitCode.DONE


def test_every_row_set_aside_is_shown(tmp_path: Path) -> None:
    made = bundle(users=60)
    for number in range(10, 60):
        made = made.with_user(f"u-00{number}", givenName="")
    result = check(made.zip(tmp_path / "roster.zip"))
    assert result.stdout.count("[missing-value]") == 50
    assert "50 rows set aside" in result.stdout


def test_a_refused_bundle_says_why_and_is_an_error(tmp_path: Path) -> None:
    result = check(SMALL.raw("users.csv", b"").zip(tmp_path / "roster.zip"))
    assert result.stdout == (
        "users.csv: error: users.csv is empty (0 bytes) [empty-file]\n"
        "    export it again\n"
        "roster.zip refused: it cannot be used as a roster\n"
    )
    assert result.return_value == ExitCode.ERROR


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = check(tmp_path / "absent.zip")
    assert "absent.zip: error: the file cannot be read" in result.stdout
    assert result.return_value == ExitCode.ERROR


def test_json_has_the_same_diagnostics(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0003", role="wizard")
    found = json.loads(check(made.zip(tmp_path / "roster.zip"), "--format", "json").stdout)
    assert list(found) == ["format_version", "file", "version", "complete", "rows", "diagnostics"]
    assert (found["file"], found["version"], found["complete"]) == ("roster.zip", "1.1", True)
    assert found["rows"] == {"classes": 8, "enrollments": 20, "orgs": 3, "users": 10}
    assert [(each["code"], each["file"], each["line"], each["column"]) for each in found["diagnostics"]] == [
        ("unknown-role", "users.csv", 4, 6)
    ]


def test_json_of_a_refused_bundle_is_not_complete(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    path.write_bytes(b"no archive")
    result = check(path, "--format", "json")
    found = json.loads(result.stdout)
    assert (found["version"], found["complete"], found["rows"]) == (None, False, {})
    assert [each["code"] for each in found["diagnostics"]] == ["not-a-zip"]
    assert result.return_value == ExitCode.ERROR


def test_usernames_that_two_people_share_are_told_as_a_plan_tells_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = bundle(users=20)
    one, two = made.students()[:2]
    name = next(row["username"] for row in made.tables["users"] if row["sourcedId"] == one)
    path = made.with_user(two, username=name.upper()).zip(tmp_path / "day.zip")

    assert called(["roster", "check", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.count("error: another row of this file has the same username [duplicate-username]") == 2
    assert out.endswith("2 rows set aside\n")
