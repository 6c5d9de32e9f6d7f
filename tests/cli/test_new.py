"""`new`: each file validates but for what only people can know, and none is ever overwritten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.main import run
from reconciler.config.repository import load_repository

AGREED = "agreements: {privacy_policy: 2026-08-01, terms_of_service: 2026-08-01}\n"


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def codes() -> list[str]:
    return [f"{each.code} {each.message.split()[0]}" for each in load_repository(Path("customers")).diagnostics]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([], []),
        (["--sync", "zip"], []),
        (["--sync", "sftp"], ["missing-key host_key"]),
        (["--sync", "api"], []),
    ],
)
def test_new_customer_needs_only_what_cannot_be_guessed(
    options: list[str], left: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "customer", "spring-field", *options]) == ExitCode.DONE
    captured = capsys.readouterr()
    assert captured.out == "customers/spring-field/customer.yaml\n"
    assert "Agreements are left out on purpose" in captured.err
    assert "reconciler validate" in captured.err
    assert codes() == ["missing-key agreements", *left]
    path = Path("customers/spring-field/customer.yaml")
    path.write_text(path.read_text() + AGREED)
    assert codes() == left


def test_a_new_community_and_new_lessons_validate(capsys: pytest.CaptureFixture[str]) -> None:
    run(["new", "customer", "springfield"])
    assert run(["new", "community", "high", "--customer", "springfield"]) == ExitCode.DONE
    assert run(["new", "lesson", "own", "--customer", "springfield"]) == ExitCode.DONE
    assert run(["new", "lesson", "shared"]) == ExitCode.DONE
    assert capsys.readouterr().out.splitlines()[1:] == [
        "customers/springfield/communities/high.yaml",
        "customers/springfield/lessons/own.yaml",
        "customers/lessons/shared.yaml",
    ]
    assert codes() == ["missing-key agreements"]


def test_a_community_goes_to_its_customer_however_deep(capsys: pytest.CaptureFixture[str]) -> None:
    run(["new", "customer", "springfield", "--dir", "customers/group"])
    assert run(["new", "community", "high", "--customer", "springfield"]) == ExitCode.DONE
    assert capsys.readouterr().out.endswith("customers/group/springfield/communities/high.yaml\n")


def test_what_the_comments_propose_is_valid_too() -> None:
    run(["new", "customer", "springfield", "--sync", "api"])
    run(["new", "community", "springfield", "--customer", "springfield"])
    path = Path("customers/springfield/customer.yaml")
    text = path.read_text().replace("frequency: manual", "frequency: auto")
    keys = "password|street|city|region|postal_code|suffix|period|at|limits|  [a-z]+|    - id|      [a-z_]+"
    proposed = re.sub(rf"(?m)^( *)# ({keys}): ", r"\1\2: ", text)
    proposed = re.sub(r"(?m)^# (lti:|  platforms:)", r"\1", proposed)
    assert proposed.count("\n#") < text.count("\n#") - 5
    path.write_text(re.sub(r"(?m)^ *(privacy_policy|terms_of_service): YEAR.*\n", "", proposed) + AGREED)
    assert codes() == []
    customer = load_repository(Path("customers")).customers["springfield"].customer
    assert customer.lti.platforms[0].community == "springfield"


@pytest.mark.parametrize(
    "arguments",
    [["customer", "springfield"], ["customer", "springfield", "--sync", "zip"], ["lesson", "shared"]],
)
def test_nothing_is_overwritten(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", *arguments]) == ExitCode.DONE
    path = Path(capsys.readouterr().out.strip())
    path.write_text("# mine\n")
    assert run(["new", *arguments]) == ExitCode.ERROR
    assert "already exists" in capsys.readouterr().err
    assert path.read_text() == "# mine\n"


def test_a_customer_that_is_elsewhere_is_not_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    run(["new", "customer", "springfield", "--dir", "customers/group"])
    assert run(["new", "customer", "springfield"]) == ExitCode.ERROR
    assert "already exists: customers/group/springfield" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["customer", "Springfield"],
        ["customer", "../springfield"],
        ["customer", "a--b"],
        ["customer", "springfield", "--sync", "ftp"],
        ["customer", "springfield", "--customer", "x"],
        ["community", "high"],
        ["community", "high", "--customer", "x", "--sync", "zip"],
        ["course", "x"],
        ["customer"],
    ],
)
def test_conflicting_options_are_a_usage_error_and_write_nothing(arguments: list[str]) -> None:
    assert run(["new", *arguments]) == ExitCode.WRONG_USE
    assert not Path("customers").exists()


def test_a_community_of_nobody_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "community", "high", "--customer", "nix"]) == ExitCode.ERROR
    assert "customer nix not found in customers" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["lessons", "communities", "catalog", "catalogue"])
def test_reserved_name_cannot_be_a_customer(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "customer", name]) == ExitCode.WRONG_USE
    assert f"{name} is reserved" in capsys.readouterr().err
    assert not (tmp_path / "customers" / name).exists()
