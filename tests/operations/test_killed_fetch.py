"""A killed fetch resumes from its checkpoint and requests again only the page that verifies it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.customers.project import LIVE, Project
from tests.support.roster_server.authority import SECRET
from tests.support.roster_server.server import RosterServer
from tests.support.roster_server.switches import Fault, Withheld
from tests.support.schools.by_api import DAY_ONE, DAY_TWO, PAGE, VARIABLE, api_customer, everybody

pytestmark = pytest.mark.slow

#: Seconds; a process takes its time to start where many do.
PATIENCE = 60


@pytest.fixture
def killed(
    project: Project, serving: Callable[..., RosterServer], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> RosterServer:
    """An apply that was killed while it waited for the fourth page of enrollments, after a good first day."""
    monkeypatch.setenv("RECONCILER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, SECRET)
    server = serving(DAY_ONE)
    api_customer(project, server)
    assert project.apply("springfield").code == 0
    server.now(Fault("enrollments", Withheld(), at=4), bundle=DAY_TWO)
    command = [sys.executable, "-m", "reconciler", "apply", "--yes", "--store", project.store_url, "springfield"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        assert server.reached.wait(PATIENCE), running.poll()
    finally:
        os.kill(running.pid, signal.SIGKILL)
        said = running.communicate()[0]
    assert running.returncode == -signal.SIGKILL, said
    return server


def test_killed_fetch_resumes_where_it_stopped(project: Project, killed: RosterServer) -> None:
    rows = DAY_TWO.tables["users"]
    kept = [path for path in (project.folder / "cache" / "fetches").rglob("*") if path.is_file()]
    assert kept
    content = b"".join(path.read_bytes() for path in kept)
    assert not [row["sourcedId"] for row in rows if row["sourcedId"].encode() in content], "what is kept is encrypted"
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept)
    assert frozenset(project.ask(LIVE)) == everybody(DAY_ONE), "and nothing is applied"

    killed.now(bundle=DAY_TWO)
    assert project.apply("springfield").code == 0
    assert frozenset(project.ask(LIVE)) == everybody(DAY_TWO)
    step = PAGE - 1
    assert killed.offsets("users") == [3 * step, len(rows) - 1], "the last page once more, and that none is behind it"
    assert killed.offsets("enrollments") == [*range(2 * step, 201, step), 200]
    assert not list((project.folder / "cache" / "fetches").rglob("*-0*")), "nothing is kept of a fetch that ended"


def test_killed_fetch_of_a_changed_roster_starts_over(project: Project, killed: RosterServer) -> None:
    """The one who comes first in every order is new: each page that was kept begins one row too early."""
    later = DAY_TWO.with_user("a-new")
    killed.now(bundle=later)
    assert project.apply("springfield").code == 0
    assert frozenset(project.ask(LIVE)) == everybody(later)
    assert killed.offsets("users")[1] == 0
