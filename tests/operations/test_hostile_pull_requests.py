"""Hostile pull requests get no secret, connection or foreign store from `plan --base`."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.config import secrets
from tests.support.customers.checkout import begin, commit
from tests.support.customers.project import Project

SECRET = "correct-horse-battery-staple"
OTHERS = "tr0ub4dor-and-three"
SFTP = """\
rostering:
  type: oneroster
  client_partner_id: d-1
  match_with: identifier
  sync:
    type: sftp
    host: {host}
    port: {port}
    username: reader
    password: {{secret: {secret}}}
    path: /out/roster.zip
    host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBsvS6n5OJNCuZ4cmDG2VNK5iQXTnb1aUCGmW3zlIuVY"
"""


@dataclass
class Listener:
    """A host of the attacker's, and how often anybody came."""

    port: int
    visits: list[str] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        heard = Listener(server.getsockname()[1])

        def listen() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, address = server.accept()
                    heard.visits.append(str(address))
                    connection.close()

        threading.Thread(target=listen, daemon=True).start()
        yield heard


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Every secret that anybody asks a backend for."""
    found: list[tuple[str, str]] = []
    real = secrets.EnvironmentSecretBackend.get_secret

    def get(self: secrets.EnvironmentSecretBackend, customer: str, name: str) -> object:
        found.append((customer, name))
        return real(self, customer, name)

    monkeypatch.setattr(secrets.EnvironmentSecretBackend, "get_secret", get)
    return found


@pytest.fixture
def repository(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Springfield fetches by SFTP from a host of its own; both secrets are set."""
    monkeypatch.setenv("RECONCILER_SECRET__SPRINGFIELD__SFTP", SECRET)
    monkeypatch.setenv("RECONCILER_SECRET__SHELBYVILLE__SFTP", OTHERS)
    project.customer(org=None, more=SFTP.format(host="sftp.springfield.example", port=22, secret="sftp"))
    project.customer("shelbyville")
    begin(project.folder)
    commit(project.folder)
    assert project.apply().code == 0
    return project


def hostile(repository: Project, listener: Listener, secret: str = "sftp") -> None:
    repository.customer(org=None, more=SFTP.format(host="127.0.0.1", port=listener.port, secret=secret))
    settings = repository.folder / "reconciler.yaml"
    repository.write("reconciler.yaml", settings.read_text(encoding="utf-8") + 'network: {allow: ["127.0.0.1"]}\n')


def test_own_secret_is_never_read_or_sent_to_foreign_hosts(
    repository: Project, listener: Listener, asked: list[tuple[str, str]]
) -> None:
    hostile(repository, listener)
    asked.clear()
    plan = repository.plan("--base", "main")
    assert plan.code == 2, plan.err
    assert asked == []
    assert listener.visits == []
    assert SECRET not in plan.out + plan.err
    assert "No roster was fetched" in plan.err
    told = {(each["protection"], each["path"]) for each in plan.json["customers"][0]["weakened"]}
    assert {("credentials", "rostering.sync.host"), ("credentials", "rostering.sync.port")} <= told
    assert [(each["protection"], each["after"]) for each in plan.json["weakened"]] == [("network", ["127.0.0.1"])]


def test_another_customers_secret_cannot_be_named(
    repository: Project, listener: Listener, asked: list[tuple[str, str]]
) -> None:
    for name in ("../shelbyville/sftp", "shelbyville__sftp", "SHELBYVILLE__SFTP"):
        hostile(repository, listener, secret=f'"{name}"')
        asked.clear()
        plan = repository.plan("--base", "main")
        assert plan.code == 65
        assert (asked, listener.visits) == ([], [])
        assert OTHERS not in plan.out + plan.err


def test_full_plan_does_read_the_same_secrets(repository: Project, asked: list[tuple[str, str]]) -> None:
    asked.clear()
    repository.plan()
    assert ("springfield", "sftp") in asked


def test_the_pull_requests_environments_are_not_used(
    repository: Project, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another store, another backend of secrets: what the base says holds, and the change is told."""
    store = repository.store_url if repository.store_url.startswith("sqlite") else None
    if store is None:
        pytest.skip("the base's own store is a file here")
    repository.write("reconciler.yaml", f'format: 1\nenvironments: {{test: {{store: "{store}"}}}}\n')
    commit(repository.folder)
    foreign = f"postgresql://127.0.0.1:{listener.port}/foreign"
    repository.write("reconciler.yaml", f'format: 1\nenvironments: {{test: {{store: "{foreign}"}}}}\n')
    monkeypatch.delenv("RECONCILER_STORE", raising=False)
    without_store = Project(repository.folder, store, repository._capsys)
    monkeypatch.setattr("tests.support.customers.project.FILES_ONLY", frozenset({"plan"}))
    plan = without_store.plan("--base", "main")
    assert plan.code in (0, 2), plan.err
    assert listener.visits == []
    assert [(each["path"], each["after"]) for each in plan.json["weakened"]] == [
        ("environments.test.store", "(changed)")
    ]
    assert str(listener.port) not in plan.out + plan.err


def test_linked_file_reveals_nothing_of_its_target(repository: Project, tmp_path: Path) -> None:
    secret = tmp_path / "secret.yaml"
    secret.write_text(f"kind: community\nid: north\nname: {SECRET}\nsite_license: {{seats: 1}}\n", encoding="utf-8")
    communities = repository.folder / "customers/springfield/communities"
    communities.mkdir()
    os.symlink(secret, communities / "north.yaml")
    plan = repository.plan("--base", "main")
    assert plan.code == 65
    assert "[linked-file]" in plan.err or "linked-file" in plan.out
    assert SECRET not in plan.out + plan.err
