"""Ctrl-C during a fetch, in a process of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest

from tests.support.customers.project import Project

pytestmark = pytest.mark.slow

API = """\
rostering:
  type: oneroster
  client_partner_id: d-1
  match_with: identifier
  sync: {{type: api, url: "http://127.0.0.1:{port}/ims/oneroster/v1p1", authorization: oauth1, consumer_key: key,
         secret_key: {{secret: oneroster}}}}
"""
#: Who is started in the background by a shell inherits that it ignores the signal.
PROGRAM = """\
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("reconciler", run_name="__main__")
"""
#: Seconds until a process counts as one that does not end; the server never answers.
HANGS = 60


@pytest.mark.parametrize("command", ["sync springfield", "plan springfield --roster fresh"])
def test_nobody_who_interrupts_waits_for_a_server(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__ONEROSTER", "hunter2")
    settings = (project.folder / "reconciler.yaml").read_text(encoding="utf-8")
    project.write("reconciler.yaml", f'{settings}network: {{allow: ["127.0.0.1"]}}\n')
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(HANGS)
        project.customer("springfield", org=None, more=API.format(port=server.getsockname()[1]))
        assert project.apply("--roster", "none").code == 0
        verb, *rest = command.split()
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, verb, "--store", project.store_url, *rest],
            cwd=project.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            line, _ = server.accept()
            with line:
                assert line.recv(4)
                process.send_signal(signal.SIGINT)
                said, _ = process.communicate(timeout=HANGS / 2)
        finally:
            process.kill()
    assert (process.returncode, said.strip()) == (130, "interrupted")
