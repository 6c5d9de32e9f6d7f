"""A plan makes no store, and a store's place depends on reconciler.yaml and not on where a command runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.store.address import SqliteAddress, build_sqlite_uri
from tests.support.customers.project import ENVIRONMENT, KEY, Project
from tests.support.rosters.bundles import bundle

DAY_ONE = bundle(users=20)
NEW = "The store does not exist yet: the first apply creates it."


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.slow])])
def absent(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Project:
    """A customers repository without a store, or with an empty database."""
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    monkeypatch.chdir(tmp_path)
    sqlite = f"sqlite:///{tmp_path / 'none/store.db'}"
    url = sqlite if request.param == "sqlite" else str(request.getfixturevalue("empty_postgresql"))
    made = Project(tmp_path, url, capsys)
    made.write("reconciler.yaml", f"format: 1\nenvironments: {{{ENVIRONMENT}: {{}}}}\n")
    made.customer()
    return made


def test_a_plan_without_a_store_shows_everything_as_new_and_makes_none(absent: Project) -> None:
    zip_file = DAY_ONE.zip(absent.folder / "day.zip")
    planned = absent.plan("springfield", "--zip", zip_file)
    assert planned.code == 2
    assert planned.json["store"]["new"] is True
    assert planned.json["customers"][0]["counts"]["user"]["create"] == 20
    said = " ".join(absent.run("plan", "springfield", "--zip", zip_file).out.split())
    assert NEW in said
    assert not (absent.folder / "none").exists()
    missing = absent.run("holds")
    assert missing.code == 1
    assert "[no-store]" in missing.err

    assert absent.apply("springfield", "--zip", zip_file).code == 0
    later = absent.plan("springfield", "--zip", zip_file)
    assert (later.code, later.json["store"]["new"]) == (0, False)
    assert later.json["plan_id"] != planned.json["plan_id"]


@pytest.mark.parametrize("output_format", ["markdown", "html"])
def test_every_report_says_that_the_store_is_new(absent: Project, output_format: str) -> None:
    assert NEW in absent.run("plan", "--format", output_format).out


def test_the_id_of_such_a_plan_releases_nothing(absent: Project) -> None:
    plan_id = absent.plan().json["plan_id"]
    assert absent.run("apply", "--expect", plan_id).code != 0
    again = absent.plan().json["plan_id"]
    assert again != plan_id


def test_such_a_plan_cannot_be_saved(absent: Project) -> None:
    saved = absent.folder / "first.plan"
    refused = absent.plan("--out", saved)
    assert refused.code == 1
    assert "[new-store]" in refused.err
    assert not saved.exists()


def test_explain_makes_no_store_either(absent: Project) -> None:
    absent.run("explain", "springfield", "u-0003", "--zip", DAY_ONE.zip(absent.folder / "day.zip"))
    assert not (absent.folder / "none").exists()


SETTINGS = """\
format: 1
environments:
  test:
    store: sqlite:///data/store.db
    secrets: {backend: directory, path: hidden}
    mail: {backend: file, path: letters}
"""


def test_relative_paths_start_beside_reconciler_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from reconciler.cli.main import run

    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    repository = tmp_path / "repository"
    made = Project(repository, "", capsys)
    made.write("reconciler.yaml", SETTINGS)
    lti = "lti: {platforms: [{id: canvas, consumer_key: k, shared_secret: {secret: canvas}, community: high}]}\n"
    made.customer("springfield", org=None, more=lti)
    made.write(
        "customers/springfield/communities/high.yaml",
        "kind: community\nid: high\nname: High\nsite_license: {seats: 9, starts: 2026-08-01, ends: 2027-07-31}\n",
    )
    made.write("hidden/springfield/canvas", "s3cret\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert run(["apply", "--yes", "--dir", str(repository / "customers")]) == 0, capsys.readouterr()
    monkeypatch.chdir(repository / "customers")
    assert run(["plan", "--detailed-exitcode", "--dir", "."]) == 0, capsys.readouterr()
    monkeypatch.chdir(repository)
    assert run(["holds"]) == 0
    assert (repository / "data/store.db").exists()
    assert not any(each.is_dir() or each.suffix == ".db" for each in elsewhere.iterdir())


@pytest.fixture
def readable() -> Iterator[Path]:
    """A folder that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="reconciler-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_read_only_store_is_opened_without_a_log_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"")
    assert not SqliteAddress(path).is_read_only
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert SqliteAddress(path).is_read_only
    assert build_sqlite_uri(path, is_read_only=True).endswith("?mode=ro&immutable=1")
    (tmp_path / "store.db-wal").write_bytes(b"x")
    assert build_sqlite_uri(path, is_read_only=True).endswith("?mode=ro")


PLAN_READ_ONLY = """
import os, sys
real = os.access
folder = sys.argv[1]
os.access = lambda path, mode, **more: real(path, mode) and not (mode == os.W_OK and str(path).startswith(folder))
from reconciler.cli.main import run
sys.exit(int(run(sys.argv[2:])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("keeps_volatile", [True, False])
def test_a_read_only_store_can_be_planned(project: Project, readable: Path, keeps_volatile: bool) -> None:
    project.customer()
    assert project.apply("springfield", "--zip", DAY_ONE.zip(project.folder / "day.zip")).code == 0
    source = Path(project.store_url.removeprefix("sqlite:///"))
    store = readable / "store"
    store.mkdir()
    shutil.copy(source, store / "store.db")
    if keeps_volatile:
        shutil.copy(source.with_name("store-volatile.db"), store / "store-volatile.db")
    for path in store.iterdir():
        path.chmod(0o444)
    store.chmod(0o555)
    before = {path.name: path.stat().st_mtime_ns for path in store.iterdir()}
    later = DAY_ONE.without_users([DAY_ONE.students()[0]]).zip(project.folder / "later.zip")
    arguments = ("plan", "springfield", "--zip", str(later), "--detailed-exitcode", "--store")
    try:
        done = subprocess.run(
            [sys.executable, "-c", PLAN_READ_ONLY, str(store), *arguments, f"sqlite:///{store / 'store.db'}"],
            cwd=project.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2, done.stderr
        assert "1 person" in done.stdout
        assert {path.name: path.stat().st_mtime_ns for path in store.iterdir()} == before
    finally:
        store.chmod(0o755)
