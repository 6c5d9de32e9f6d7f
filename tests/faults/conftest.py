"""A school for each fault test: a copy of a store with a good roster applied."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.config.models.settings import DEFAULT_STORE
from tests.support.customers.project import ENVIRONMENT, KEY, Project
from tests.support.roster_server.authority import SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.schools.by_api import DAY_ONE as DAY_ONE_BY_API
from tests.support.schools.by_api import VARIABLE, ApiSchool, PassingTime, api_customer
from tests.support.schools.by_files import DAY_ONE, School


def customers_of(project: Project) -> Project:
    project.write("reconciler.yaml", f'format: 1\nenvironments: {{{ENVIRONMENT}: {{store: "{DEFAULT_STORE}"}}}}\n')
    project.customer()
    return project


@pytest.fixture(scope="session")
def applied_store(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files of a store, filled by the first test that needs it."""
    folder = tmp_path_factory.mktemp("applied")
    for path in sqlite_template.iterdir():
        shutil.copy(path, folder / path.name)
    return folder


@pytest.fixture
def school(
    applied_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> School:
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    done = applied_store / "done"
    if not done.exists():
        folder = applied_store / "first"
        folder.mkdir()
        monkeypatch.chdir(folder)
        first = customers_of(Project(folder, f"sqlite:///{applied_store / 'store.db'}", capsys))
        assert first.apply("springfield", "--zip", DAY_ONE.zip(folder / "day-1.zip")).code == 0
        done.touch()
    for path in applied_store.glob("store*"):
        if path.is_file():
            shutil.copy(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    return School(customers_of(Project(tmp_path, f"sqlite:///{tmp_path / 'store.db'}", capsys)))


@pytest.fixture
def anywhere(project: Project) -> School:
    """The same school on each of the two databases."""
    customers_of(project)
    made = School(project)
    assert made.apply(DAY_ONE.zip(project.folder / "day-1.zip")).code == 0
    return made


@pytest.fixture(scope="session")
def _api() -> Iterator[tuple[RosterServer, PassingTime]]:
    """One server for all tests, because the applied configuration has its address."""
    passing = PassingTime()
    with RosterServer(DAY_ONE_BY_API, clock=passing.now) as server:
        yield server, passing


@pytest.fixture(scope="session")
def applied_by_api(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files of a store, filled by the first test that needs it."""
    folder = tmp_path_factory.mktemp("applied-by-api")
    for path in sqlite_template.iterdir():
        shutil.copy(path, folder / path.name)
    return folder


@pytest.fixture
def api(
    _api: tuple[RosterServer, PassingTime],
    applied_by_api: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> ApiSchool:
    """A school fetched from an API: applied once, with a copy for each test."""
    server, passing = _api
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    monkeypatch.setenv("RECONCILER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, SECRET)
    passing.in_place_of_real(monkeypatch)
    server.now(bundle=DAY_ONE_BY_API)
    done = applied_by_api / "done"
    if not done.exists():
        folder = applied_by_api / "first"
        folder.mkdir()
        monkeypatch.chdir(folder)
        first = Project(folder, f"sqlite:///{applied_by_api / 'store.db'}", capsys)
        api_customer(first, server)
        applied = first.apply("springfield")
        assert applied.code == 0, applied.err
        done.touch()
    for path in applied_by_api.glob("store*"):
        if path.is_file():
            shutil.copy(path, tmp_path / path.name)
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path, f"sqlite:///{tmp_path / 'store.db'}", capsys)
    api_customer(project, server)
    return ApiSchool(project, server, passing)
