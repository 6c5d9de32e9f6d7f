"""Options that reach a command as one value."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from reconciler.cli.options import add_location_options, add_options, format_location_options
from reconciler.operations.location import Location


@dataclass(frozen=True)
class Choice:
    color: str = "red"
    size: int = 1


def run_command(command: click.Command, *arguments: str) -> str:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_options_reach_the_command_as_one_value() -> None:
    @click.command()
    @click.argument("name")
    @add_options(Choice, "choice", click.option("--color"), click.option("--size", type=int))
    def show(name: str, choice: Choice) -> None:
        click.echo(f"{name} {choice}")

    assert run_command(show, "x", "--size", "3", "--color", "blue") == "x Choice(color='blue', size=3)\n"


def test_a_field_without_an_option_keeps_its_default() -> None:
    @click.command()
    @add_options(Choice, "choice", click.option("--size", type=int, default=2))
    def show(choice: Choice) -> None:
        click.echo(choice)

    assert run_command(show) == "Choice(color='red', size=2)\n"


def test_a_location_names_directory_environment_and_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @add_location_options
    def show(location: Location) -> None:
        click.echo(location == Location(tmp_path, "prod", "sqlite:///x.db"))

    monkeypatch.setenv("RECONCILER_ENV", "prod")
    assert run_command(show, "--dir", str(tmp_path), "--store", "sqlite:///x.db") == "True\n"


@pytest.mark.parametrize(
    ("location", "words"),
    [
        (Location(Path("customers")), []),
        (
            Location(Path("other"), "prod", "sqlite:///x.db"),
            ["--dir", "other", "--env", "prod", "--store", "sqlite:///x.db"],
        ),
        (Location(Path("customers"), None, "postgresql://me:pass@host/db"), ["--store", "URL"]),
    ],
)
def test_a_location_is_named_again_without_its_password(location: Location, words: list[str]) -> None:
    assert format_location_options(location) == words
