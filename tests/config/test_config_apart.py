"""Work in several processes: the same answers, and nothing that depends on the processes."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from customer_files import TODAY, Files

from reconciler.config import parallel as apart
from reconciler.config.cache import customers as remembered
from reconciler.config.parallel import done_apart
from reconciler.config.repository import Repository, load


@pytest.fixture(autouse=True)
def _three_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "LEAST", 2)
    monkeypatch.setattr(apart, "AT_ONCE", 1)
    monkeypatch.setattr(apart, "_processors", lambda: 3)
    monkeypatch.setattr(apart, "_alone", lambda: True)


def answer(place: int) -> bytes:
    return b"%d" % place * (place * 1000)


@pytest.fixture
def forking() -> None:
    try:
        child = os.fork()
    except OSError as problem:
        pytest.skip(f"this process has reserved too much memory for a copy of itself: {problem.strerror}")
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


class Meeting:
    """Of this process with `others` that it starts: none goes on before each of them has something to do."""

    def __init__(self, others: int) -> None:
        self._here = os.getpid()
        self._others = others
        self._arrived, self._arrive = os.pipe()
        self._opened, self._open = os.pipe()
        self._met = False

    def come(self) -> bool:
        """Whether this is the first process."""
        first = os.getpid() == self._here
        if not self._met and first:
            for _ in range(self._others):
                os.read(self._arrived, 1)
            os.write(self._open, b"." * self._others)
        elif not self._met:
            os.write(self._arrive, b".")
            os.read(self._opened, 1)
        self._met = True
        return first


@pytest.mark.usefixtures("forking")
def test_every_place_is_done_once_by_several_processes() -> None:
    meeting = Meeting(2)

    def work(place: int) -> bytes:
        meeting.come()
        return answer(place) + b" %d" % os.getpid()

    done = done_apart(20, work)
    assert {place: each.split(b" ")[0] for place, each in done.items()} == {place: answer(place) for place in range(20)}
    assert len({each.split(b" ")[1] for each in done.values()}) == 3


@pytest.mark.usefixtures("forking")
def test_what_a_process_that_fails_had_to_do_is_missing() -> None:
    meeting = Meeting(2)

    def fails_elsewhere(place: int) -> bytes:
        if not meeting.come():
            raise ValueError
        return answer(place)

    done = done_apart(9, fails_elsewhere)
    assert len(done) == 7
    assert all(each == answer(place) for place, each in done.items())


@pytest.mark.parametrize("count", [2, 3, 17, 5000])
def test_no_place_is_left_out(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "PIPE_HOLDS", 3)
    assert done_apart(count, lambda place: b"%d" % place) == {place: b"%d" % place for place in range(count)}


@pytest.mark.usefixtures("forking")
def test_no_process_is_left_where_the_work_fails_here(monkeypatch: pytest.MonkeyPatch) -> None:
    meeting = Meeting(2)
    children: list[int] = []
    real = apart._started

    def noted(places: Iterable[int], work: Callable[[int], bytes]) -> tuple[int, int]:
        child, answer = real(places, work)
        children.append(child)
        return child, answer

    monkeypatch.setattr(apart, "_started", noted)

    def fails_here(place: int) -> bytes:
        if meeting.come():
            raise KeyboardInterrupt
        time.sleep(60)
        return answer(place)

    with pytest.raises(KeyboardInterrupt):
        done_apart(9, fails_here)
    assert len(children) == 2
    for child in children:
        with pytest.raises(ProcessLookupError):
            os.kill(child, 0)


def test_where_the_system_grants_no_further_process_one_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory() -> int:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr(os, "fork", no_memory)
    before = len(os.listdir("/proc/self/fd"))
    assert done_apart(9, answer) == {place: answer(place) for place in range(9)}
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_few_things_are_not_worth_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("it was forked"))
    assert done_apart(1, answer) == {}
    monkeypatch.setattr(apart, "_processors", lambda: 1)
    assert done_apart(9, answer) == {}
    monkeypatch.setattr(apart, "_processors", lambda: 3)
    monkeypatch.setattr(apart, "_alone", lambda: False)
    assert done_apart(9, answer) == {}


@pytest.mark.parametrize("memory", ["cache", "off"])
def test_a_repository_that_several_processes_read_is_the_same(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: str
) -> None:
    monkeypatch.setenv(remembered.VARIABLE, memory if memory == "off" else str(tmp_path / memory))
    files.write("customers/defaults.yaml", "kind: defaults\ntimezone: America/Chicago\n")
    for number in range(8):
        more = ("", "support: {email: help@a.example}\n", "notify: {email: [a@b.example]}\n", "wrong: 1\n")[number % 4]
        files.customer(more, name=f"district-{number}")
        files.community(of=f"district-{number}")

    def said(found: Repository) -> object:
        return (
            {
                name: [(one.document, dict(one.origins)) for one in each.declared]
                for name, each in found.customers.items()
            },
            [each.warnings for each in found.customers.values()],
            found.invalid,
            found.diagnostics,
        )

    plain = said(load(Path("customers"), today=TODAY))
    for _ in range(2):
        assert said(load(Path("customers"), today=TODAY, remembering=True)) == plain
