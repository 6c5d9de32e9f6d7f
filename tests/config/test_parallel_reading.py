"""Reading in worker processes gives the same answers as reading in one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from reconciler.config import parallel
from reconciler.config.parallel import map_in_processes
from reconciler.config.repository import Repository, load_repository
from reconciler.model.diagnostic import ConfigurationRefusal
from tests.support.customers.files import NOW, Files


@pytest.fixture(autouse=True)
def _two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "MIN_ITEMS", 2)
    monkeypatch.setattr(parallel, "CHUNK", 1)
    monkeypatch.setattr(parallel, "_count_processors", lambda: 2)
    # xdist's own threads hold no lock of ours
    monkeypatch.setattr(parallel.threading, "active_count", lambda: 1)


@pytest.fixture
def forking() -> None:
    try:
        child = os.fork()
    except OSError as problem:
        pytest.skip(f"this process has reserved too much memory for a copy of itself: {problem.strerror}")
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.usefixtures("forking")
@pytest.mark.parametrize("count", [2, 3, 17, 500])
def test_results_come_in_order_from_other_processes(count: int) -> None:
    results = map_in_processes(lambda item: (item, os.getpid()), range(count))
    assert results is not None
    assert [item for item, _ in results] == list(range(count))
    assert os.getpid() not in {process for _, process in results}


@pytest.mark.usefixtures("forking")
def test_an_error_of_the_work_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        map_in_processes(lambda item: 1 // (item - 7), range(20))


@pytest.mark.usefixtures("forking")
def test_a_worker_that_is_killed_gives_no_result() -> None:
    assert map_in_processes(lambda item: os.kill(os.getpid(), 9) if item == 5 else item, range(20)) is None


def test_a_refused_fork_gives_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(os, "fork", refuse)
    assert map_in_processes(lambda item: item, range(9)) is None


def test_little_work_is_not_handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    assert map_in_processes(lambda item: item, range(1)) is None
    monkeypatch.setattr(parallel, "_count_processors", lambda: 1)
    assert map_in_processes(lambda item: item, range(9)) is None
    monkeypatch.setattr(parallel, "_count_processors", lambda: 2)
    monkeypatch.setattr(parallel.threading, "active_count", lambda: 2)
    assert map_in_processes(lambda item: item, range(9)) is None


def _write_districts(files: Files) -> None:
    files.write("customers/defaults.yaml", "kind: defaults\ntimezone: America/Chicago\n")
    for number in range(8):
        more = ("", "support: {email: help@a.example}\n", "notify: {email: [a@b.example]}\n", "wrong: 1\n")[number % 4]
        files.customer(more, name=f"district-{number}")
        files.community(of=f"district-{number}")


def _describe(found: Repository) -> object:
    return (
        {name: [(one.document, dict(one.origins)) for one in each.documents] for name, each in found.customers.items()},
        {
            name: (each.name, each.previously, each.digest, each.outline, each.span, each.warnings)
            for name, each in found.customers.items()
        },
        {name: (each.customer, each.communities, each.lessons) for name, each in found.customers.items()},
        found.invalid,
        found.diagnostics,
    )


@pytest.mark.usefixtures("forking")
def test_repository_reads_the_same_with_any_worker_count(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_districts(files)
    several = _describe(load_repository(Path("customers"), moment=NOW))
    monkeypatch.setattr(parallel, "_count_processors", lambda: 1)
    assert several == _describe(load_repository(Path("customers"), moment=NOW))


@pytest.mark.usefixtures("forking")
def test_what_customers_must_not_share_is_compared_across_processes(files: Files) -> None:
    lti = """lti:
  platforms:
    - {id: canvas, consumer_key: same, shared_secret: {secret: canvas}, community: high}
"""
    files.customer(lti, name="one")
    files.customer(lti, name="two")
    for name in ("one", "two"):
        files.community(of=name)
    files.customer(name="three")
    found = load_repository(Path("customers"), moment=NOW)
    assert list(found.customers) == ["three"]
    assert {each.code for each in found.errors} == {"consumer-key-taken"}


@pytest.mark.usefixtures("forking")
@pytest.mark.parametrize("edit", ["timezone: Europe/Paris\n", "wrong: 1\n"])
def test_file_edited_after_a_worker_read_it_is_noticed(files: Files, edit: str) -> None:
    for name in ("one", "two"):
        files.customer(name=name)
    found = load_repository(Path("customers"), moment=NOW)
    path = Path("customers/one/customer.yaml")
    path.write_text(path.read_text() + edit)
    with pytest.raises(ConfigurationRefusal, match="changed while they were being read"):
        _ = found.customers["one"].documents
    assert found.customers["two"].documents
