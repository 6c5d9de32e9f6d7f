"""The program itself serves, in worker processes, on both databases."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.service.conftest import MakeSchool
from tests.support.customers.project import ENVIRONMENT, KEY, Project
from tests.support.launches.school import FORM, NONCES
from tests.support.launches.signed import LAUNCH, sign_launch

pytestmark = pytest.mark.slow

#: Seconds
STARTS_WITHIN, STOPS_WITHIN = 60, 30


class Server:
    """A running `reconciler serve`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"

    def launch(self, user: str) -> httpx.Response:
        """Return the page at which the launch of a new browser ends."""
        path = "/lti/launch/cells"
        fields = {**LAUNCH, "user_id": user}
        body = sign_launch(
            fields.items(), url=f"{self.url}{path}", timestamp=int(time.time()), nonce=f"served-{next(NONCES)}"
        )
        with httpx.Client(base_url=self.url, timeout=30, follow_redirects=True) as browser:
            return browser.post(path, content=body, headers=FORM)

    def list_workers(self) -> list[int]:
        """Return the process IDs of those that serve, without the supervisor and its resource tracker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(encoding="ascii")
        commands = {int(each): Path(f"/proc/{each}/cmdline").read_bytes() for each in children.split()}
        return [each for each, command in commands.items() if b"spawn_main" in command]


@pytest.fixture
def start_server(project: Project, store_url: str) -> Iterator[Callable[[int], Server]]:
    running: list[subprocess.Popen[bytes]] = []

    def start(workers: int) -> Server:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        options = ["--port", str(port), "--public-url", f"http://127.0.0.1:{port}", "--workers", str(workers)]
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "serve", "--env", ENVIRONMENT, "--store", store_url, *options],
            cwd=project.folder,
            env={**os.environ, "RECONCILER_KEY": KEY.hex()},
            stdout=subprocess.DEVNULL,
        )
        running.append(process)
        server = Server(process, port)
        end = time.monotonic() + STARTS_WITHIN
        while time.monotonic() < end and process.poll() is None:
            try:
                if httpx.get(f"{server.url}/healthz").status_code == 200:
                    return server
            except httpx.TransportError:
                time.sleep(0.1)
        raise AssertionError(f"the server does not answer; exit code {process.poll()}")

    yield start
    for each in running:
        each.terminate()
        each.wait(STOPS_WITHIN)


def count_accounts(project: Project) -> int:
    return int(project.ask("select count(*) from accounts where managed_by = 'lti'")[0][0])


def prepare(make_school: MakeSchool) -> None:
    """Apply the school; the test's own process keeps its hands off the store from then on."""
    make_school().database.close()


def test_two_workers_make_one_account_of_each_person(
    make_school: MakeSchool, start_server: Callable[[int], Server], project: Project
) -> None:
    prepare(make_school)
    server = start_server(2)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(server.launch, [f"u-{number // 4}" for number in range(80)]))
    assert {each.status_code for each in answers} == {200}
    assert all("Cells &amp; tissues" in each.text for each in answers)
    server.process.terminate()
    assert server.process.wait(STOPS_WITHIN) == 0
    assert count_accounts(project) == 20


def test_a_killed_worker_loses_no_account_and_doubles_none(
    make_school: MakeSchool, start_server: Callable[[int], Server], project: Project
) -> None:
    prepare(make_school)
    server = start_server(2)
    people = [f"u-{number}" for number in range(60)]

    def launch_patiently(user: str) -> int:
        for _ in range(60):
            try:
                return server.launch(user).status_code
            except httpx.TransportError:
                time.sleep(0.2)
        return 0

    with ThreadPoolExecutor(4) as pool:
        answers = pool.map(launch_patiently, people)
        for _ in range(2):
            time.sleep(0.3)
            os.kill(server.list_workers()[0], signal.SIGKILL)
        assert set(answers) == {200}
    assert {server.launch(user).status_code for user in people[:10]} == {200}
    server.process.terminate()
    server.process.wait(STOPS_WITHIN)
    assert count_accounts(project) == len(people)


def test_a_port_that_is_taken_is_said_in_words(make_school: MakeSchool, project: Project, store_url: str) -> None:
    prepare(make_school)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = project.run("serve", "--env", ENVIRONMENT, "--port", str(taken.getsockname()[1]))
    assert (result.code, result.out) == (1, "")
    assert "Address already in use [address-in-use]" in result.err
    assert "Traceback" not in result.err
