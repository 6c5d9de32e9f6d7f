"""`roster check`: what is wrong with a bundle, without a store."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli.commands.rosters.check import group_roster_commands
from reconciler.cli.exit_code import ExitCode
from reconciler.cli.main import run as called
from tests.support.rosters.bundles import bundle

SMALL = bundle(users=10)


def check(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(group_roster_commands, ["check", *map(str, arguments)], standalone_mode=False)
    assert result.exception is None
    return result


def test_a_good_bundle_is_one_line(tmp_path: Path) -> None:
    result = check(SMALL.zip(tmp_path / "roster.zip"))
    assert result.stdout == "users 10 · classes 8 · enrollments 20 · orgs 3\n"
    assert result.return_value == ExitCode.DONE


def test_warnings_precede_quarantined_rows_and_the_total(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0003", role="wizard").with_user("u-0002", username="").without_manifest()
    result = check(made.zip(tmp_path / "roster.zip"))
    lines = [line for line in result.stdout.splitlines() if not line.startswith("    ")]
    assert [line.split(": ")[:2] for line in lines[:-1]] == [
        ["manifest.csv", "warning"],
        ["users.csv:3", "warning"],
        ["users.csv:4:6", "error"],
    ]
    assert lines[-1] == "users 10 · classes 8 · enrollments 20 · orgs 3 · 1 quarantined row"
    assert result.return_value == ExitCode.DONE


def test_every_row_set_aside_is_shown(tmp_path: Path) -> None:
    made = bundle(users=60)
    for number in range(10, 60):
        made = made.with_user(f"u-00{number}", givenName="")
    result = check(made.zip(tmp_path / "roster.zip"))
    assert result.stdout.count("[missing-value]") == 50
    assert "50 quarantined rows" in result.stdout


def test_a_refused_bundle_says_why_and_is_an_error(tmp_path: Path) -> None:
    result = check(SMALL.raw("users.csv", b"").zip(tmp_path / "roster.zip"))
    assert result.stdout == (
        "users.csv: error: users.csv is empty (0 bytes) [empty-file]\n"
        "    Export it again.\n"
        "roster.zip: refused; it cannot be used as a roster\n"
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


def test_shared_usernames_are_reported_as_in_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = bundle(users=20)
    one, two = made.students()[:2]
    name = next(row["username"] for row in made.tables["users"] if row["sourcedId"] == one)
    path = made.with_user(two, username=name.upper()).zip(tmp_path / "day.zip")

    assert called(["roster", "check", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.count("error: another row of this file has the same username [duplicate-username]") == 2
    assert out.endswith("2 quarantined rows\n")


def test_person_at_two_schools_counts_once_as_in_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = bundle(users=20)
    row = next(row for row in made.tables["users"] if row["sourcedId"] == made.students()[0])
    other = "s-1" if row["orgSourcedIds"] == "s-2" else "s-2"
    path = made.with_row("users", "w-1", **{**row, "sourcedId": "w-1", "orgSourcedIds": other}).zip(
        tmp_path / "day.zip"
    )

    assert called(["roster", "check", str(path)]) == 0
    out = capsys.readouterr().out
    assert "1 person has several sourcedIds in this roster and one account [several-sourced-ids]" in out
    assert "duplicate-username" not in out


#: Nothing deviates: with the courses and terms that classes refer to.
TO_THE_LETTER = SMALL.with_rows(
    "courses", [{"sourcedId": f"course-{number}", "title": "Course", "orgSourcedId": "d-1"} for number in range(3)]
).with_rows(
    "academicSessions",
    [
        {
            "sourcedId": key,
            "title": "Term",
            "type": "term",
            "startDate": "2026-08-20",
            "endDate": "2027-06-11",
            "schoolYear": "2027",
        }
        for key in ("t-1", "t-2")
    ],
)


def test_strict_says_that_nothing_deviates(tmp_path: Path) -> None:
    result = check(TO_THE_LETTER.zip(tmp_path / "roster.zip"), "--strict")
    assert result.stdout == ("users 10 · classes 8 · enrollments 20 · orgs 3\nstrict: no violations of OneRoster 1.1\n")
    assert result.return_value == ExitCode.DONE


def test_strict_reports_tolerated_deviations_as_errors(tmp_path: Path) -> None:
    path = TO_THE_LETTER.with_user("u-0002", enabledUser="TRUE").zip(tmp_path / "roster.zip")
    assert check(path).return_value == ExitCode.DONE
    result = check(path, "--strict")
    assert result.stdout.endswith(
        "users.csv:3:4: error: enabledUser is not true or false [strict-invalid-boolean]\n"
        "    Write true or false.\n"
        "users 10 · classes 8 · enrollments 20 · orgs 3\n"
        "strict: 1 violation of OneRoster 1.1, in 1 rule\n"
    )
    assert result.return_value == ExitCode.ERROR


def test_a_deviation_that_is_a_warning_is_no_error(tmp_path: Path) -> None:
    made = TO_THE_LETTER.raw("orgs.csv", b"\xef\xbb\xbf" + TO_THE_LETTER.text("orgs").encode())
    result = check(made.zip(tmp_path / "roster.zip"), "--strict")
    assert "orgs.csv:1: warning: the file begins with a byte order mark [strict-byte-order-mark]" in result.stdout
    assert result.return_value == ExitCode.DONE


def test_strict_lists_the_first_of_each_rule_or_all(tmp_path: Path) -> None:
    path = bundle(users=60).with_rows("demographics", [{"sourcedId": f"x-{n}"} for n in range(50)])
    made = path.zip(tmp_path / "roster.zip")
    short, long = check(made, "--strict").stdout, check(made, "--strict", "--all").stdout
    assert short.count("[strict-missing-target-record]") == 21
    assert "info: 30 more violations of this rule are not listed [strict-missing-target-record]" in short
    assert long.count("[strict-missing-target-record]") == 50
    assert "not listed" not in long
    last = "strict: 66 violations of OneRoster 1.1, in 2 rules\n"
    assert short.endswith(last)
    assert long.endswith(last)


def test_all_without_strict_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = SMALL.zip(tmp_path / "roster.zip")
    assert called(["roster", "check", str(path), "--all"]) == ExitCode.WRONG_USE
    assert "--all requires --strict" in capsys.readouterr().err


def test_strict_continues_after_a_refusal_and_says_so_once(tmp_path: Path) -> None:
    made = TO_THE_LETTER.raw("users.csv", b"").raw("../users.csv", b"x").with_row("orgs", "s-1", name="")
    result = check(made.zip(tmp_path / "roster.zip"), "--strict")
    assert result.stdout.count("[unsafe-member-name]") == 1
    assert "orgs.csv:3:4: error: name is empty [strict-missing-required-value]" in result.stdout
    assert "users.csv:1: error: the file has no header row [strict-missing-header]" in result.stdout
    assert "roster.zip: refused; it cannot be used as a roster\nstrict: " in result.stdout
    assert result.return_value == ExitCode.ERROR


def test_strict_says_where_nothing_can_be_checked(tmp_path: Path) -> None:
    path = tmp_path / "roster.zip"
    path.write_bytes(b"no archive")
    result = check(path, "--strict")
    assert result.stdout.count("[not-a-zip]") == 1
    assert result.stdout.endswith("strict: the file cannot be opened; nothing was checked\n")
    assert result.return_value == ExitCode.ERROR
    assert "absent.zip: error: the file cannot be read" in check(tmp_path / "absent.zip", "--strict").stdout


def test_json_of_strict_counts_every_rule(tmp_path: Path) -> None:
    made = SMALL.with_user("u-0002", enabledUser="TRUE")
    found = json.loads(check(made.zip(tmp_path / "roster.zip"), "--strict", "--format", "json").stdout)
    assert list(found)[-1] == "strict"
    assert found["strict"] == {
        "version": "1.1",
        "deviations": 17,
        "rules": [
            {"code": "strict-invalid-boolean", "rule": "row.invalid_boolean", "count": 1},
            {"code": "strict-missing-target-file", "rule": "reference.missing_target_file", "count": 16},
        ],
    }
    boolean = next(each for each in found["diagnostics"] if each["code"] == "strict-invalid-boolean")
    assert (boolean["file"], boolean["line"], boolean["column"]) == ("users.csv", 3, 4)


def test_neither_demographics_nor_passwords_are_printed(tmp_path: Path) -> None:
    secret = "Zebra77"
    made = TO_THE_LETTER.with_user("u-0002", password=secret, agentSourcedIds=f"{secret} {secret}")
    made = made.with_rows(
        "demographics", [{"sourcedId": "u-0002", "birthDate": secret, "sex": secret, "asian": secret}]
    )
    path = made.zip(tmp_path / "roster.zip")
    for form in ("text", "json"):
        out = check(path, "--strict", "--format", form).stdout
        assert "strict-invalid-date" in out
        assert secret not in out
