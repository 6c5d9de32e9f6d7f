"""Real stores for every test that wants one: a fresh SQLite file, and a fresh database of a real PostgreSQL."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from reconciler.config.models.settings import DEFAULT_STORE
from reconciler.store.open import Store, open_store
from tests.support.customers.project import ENVIRONMENT, KEY, Project
from tests.support.roster_server.server import RosterServer
from tests.support.servers import sshd
from tests.support.stores.postgresql import DATABASE, administer, emptied, share_driver_database, start_server

#: Seconds
STOPPED_WITHIN = 30

# How long an example takes says more of the machine than of the code.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tests")


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A server of this process's own; yields the URL of a database with `{}` for its name."""
    # As root, the server opens every parent of its folder for reading: none may be a home.
    with tempfile.TemporaryDirectory(prefix="rpg-") as folder:
        data = Path(folder) / "data"
        server = start_server(data)
        process = int((data / "postmaster.pid").read_text(encoding="utf-8").split()[0])
        try:
            url = server.get_uri(database="{}")
            # What is in it need not outlive a test.
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                administer(url, sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
            administer(url, sql.SQL("SELECT pg_reload_conf()").format())
            yield url
        finally:
            # By a signal: a process that has reserved much address space cannot fork off a program that stops it.
            os.kill(process, signal.SIGINT)
            end = time.monotonic() + STOPPED_WITHIN
            while (data / "postmaster.pid").exists() and time.monotonic() < end:
                time.sleep(0.05)


@pytest.fixture(scope="session", autouse=True)
def _server_before_memory_is_reserved(request: pytest.FixtureRequest) -> None:
    """The server is forked off, and a process that has reserved much address space, as polars does, cannot fork."""
    if any(item.get_closest_marker("postgres") for item in request.session.items):
        request.getfixturevalue("postgresql_server")


@pytest.fixture(scope="session")
def postgresql_store(postgresql_server: str) -> Iterator[str]:
    """The URL of a database with a store in it, emptied for each test: making a new one takes half a second."""
    administer(postgresql_server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    url = postgresql_server.format(DATABASE)
    with share_driver_database(url):
        open_store(url, ENVIRONMENT, key=KEY)
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of an up-to-date store, to be copied."""
    folder = tmp_path_factory.mktemp("template")
    open_store(f"sqlite:///{folder / 'store.db'}", ENVIRONMENT, key=KEY)
    return folder


@pytest.fixture(scope="session")
def _database_numbers() -> Iterator[int]:
    return iter(range(1, 1_000_000))


@pytest.fixture
def empty_postgresql(postgresql_server: str, _database_numbers: Iterator[int]) -> Iterator[str]:
    """The URL of a database that nobody has used yet."""
    name = sql.Identifier(f"test_{next(_database_numbers)}")
    administer(postgresql_server, sql.SQL("CREATE DATABASE {}").format(name))
    yield postgresql_server.format(name.as_string().strip('"'))
    administer(postgresql_server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=[pytest.mark.postgres, pytest.mark.slow])])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a fresh store under KEY.

    Every test that uses it runs on both databases, on PostgreSQL as a slow test. A test that is to be quick on
    PostgreSQL too says so by QUICK_ON_BOTH of `tests.support.stores.databases`.
    """
    if request.param == "sqlite":
        for path in request.getfixturevalue("sqlite_template").iterdir():
            shutil.copy(path, tmp_path / path.name)
        return f"sqlite:///{tmp_path / 'store.db'}"
    return emptied(request.getfixturevalue("postgresql_store"))


@pytest.fixture
def store(store_url: str) -> Store:
    return open_store(store_url, ENVIRONMENT, key=KEY)


@pytest.fixture
def project(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Project:
    """An empty customers repository beside a store that is not there yet, on each of the two databases."""
    monkeypatch.setenv("RECONCILER_KEY", KEY.hex())
    # nothing of a test is remembered at home
    monkeypatch.setenv("RECONCILER_CACHE", str(tmp_path.with_name(f"{tmp_path.name}-remembered")))
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path, store_url, capsys)
    made.write("reconciler.yaml", f'format: 1\nenvironments: {{{ENVIRONMENT}: {{store: "{DEFAULT_STORE}"}}}}\n')
    return made


@pytest.fixture
def serving() -> Iterator[Callable[..., RosterServer]]:
    """Starts OneRoster servers (the arguments are RosterServer's), which end with the test."""
    with ExitStack() as servers:
        yield lambda *arguments, **named: servers.enter_context(RosterServer(*arguments, **named))


@pytest.fixture(scope="session")
def sshd_server() -> Iterator[sshd.Sshd]:
    """A real OpenSSH sshd for the session. Where none can be had: skipped, but never under CI."""
    reason = sshd.missing()
    if reason is not None and os.environ.get("CI"):
        pytest.fail(reason)
    if reason is not None:
        pytest.skip(reason)
    with sshd.running() as server:
        yield server


@pytest.fixture
def sftp_home(sshd_server: sshd.Sshd) -> sshd.Home:
    """A folder of one test's own on it."""
    return sshd_server.home()
