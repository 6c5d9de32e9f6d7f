"""A folder that is given for that of all customers, and is another one, is told with the one that was meant."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from reconciler.cli.exit_code import ExitCode
from reconciler.cli.main import run
from reconciler.config.load.directory import detect_wrong_directory


def tree(root: Path, files: Iterable[str]) -> None:
    for each in files:
        path = root / each
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")


REPOSITORY = (
    "reconciler.yaml",
    "customers/defaults.yaml",
    "customers/lessons/leaves.yaml",
    "customers/north/defaults.yaml",
    "customers/north/springfield/customer.yaml",
    "customers/north/springfield/communities/high.yaml",
    "customers/shelby/customer.yaml",
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tree(tmp_path, REPOSITORY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", ["customers", "customers/", "./customers", "customers/../customers", "nowhere"])
def test_nothing_speaks_against_the_folder_of_all_customers(repository: Path, given: str) -> None:
    assert repository.is_dir()
    assert detect_wrong_directory(Path(given)) is None


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("customers/shelby", "is the folder of one customer"),
        ("customers/north/springfield", "is the folder of one customer"),
        ("customers/north", "is a folder inside customers"),
        ("customers/lessons", "is a folder inside customers"),
        ("customers/north/springfield/communities", "is a folder inside customers"),
        (".", "is the folder of reconciler.yaml"),
    ],
)
def test_folder_inside_or_around_it_suggests_the_right_one(repository: Path, given: str, what: str) -> None:
    for path, meant in ((Path(given), Path("customers")), (repository / given, repository / "customers")):
        found = detect_wrong_directory(path)
        assert found is not None
        assert found.customers_directory == meant
    found = detect_wrong_directory(Path(given))
    assert found is not None
    assert found.reason == what


@pytest.mark.parametrize(
    ("place", "given", "meant"), [("customers", "shelby", "."), ("customers/shelby", ".", "{}/customers")]
)
def test_suggested_path_fits_the_working_directory(
    repository: Path, monkeypatch: pytest.MonkeyPatch, place: str, given: str, meant: str
) -> None:
    monkeypatch.chdir(repository / place)
    found = detect_wrong_directory(Path(given))
    assert found is not None
    assert found.customers_directory == Path(meant.format(repository))


def test_without_settings_only_a_customers_own_folder_is_told(tmp_path: Path) -> None:
    tree(tmp_path, [each for each in REPOSITORY if each != "reconciler.yaml"])
    assert detect_wrong_directory(tmp_path / "customers") is None
    assert detect_wrong_directory(tmp_path / "customers/north") is None
    found = detect_wrong_directory(tmp_path / "customers/shelby")
    assert found is not None
    assert found.customers_directory == tmp_path / "customers"


def test_a_repository_within_another_one_is_its_own(tmp_path: Path) -> None:
    tree(tmp_path, ["reconciler.yaml", "demo/reconciler.yaml", "demo/schools/shelby/customer.yaml", "made/x/y/z.txt"])
    assert detect_wrong_directory(tmp_path / "demo/schools") is None
    assert detect_wrong_directory(tmp_path / "made/x") is None
    found = detect_wrong_directory(tmp_path / "demo/schools/shelby")
    assert found is not None
    assert found.customers_directory == tmp_path / "demo/schools"


def test_settings_file_among_customers_is_left_to_validate(tmp_path: Path) -> None:
    tree(tmp_path, ["customers/reconciler.yaml", "customers/shelby/customer.yaml"])
    assert detect_wrong_directory(tmp_path / "customers") is None


@pytest.mark.parametrize("verb", ["validate", "fmt", "plan", "apply", "sync", "holds", "import", "history", "purge"])
def test_every_verb_says_so_and_does_nothing(repository: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([verb, "--dir", "customers/shelby"]) == ExitCode.WRONG_USE
    said = " ".join(capsys.readouterr().err.split())
    assert "customers/shelby is the folder of one customer" in said
    assert "Did you mean --dir customers?" in said
    assert sorted(os.listdir(repository)) == ["customers", "reconciler.yaml"], "no store was made"


def test_a_new_customer_may_be_put_into_a_group(repository: Path) -> None:
    assert run(["new", "customer", "ogden", "--dir", "customers/north"]) == ExitCode.DONE
    assert (repository / "customers/north/ogden/customer.yaml").is_file()
