"""A run that ends begins no further fetch."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.model.ids import CustomerId, Moment
from reconciler.network.politeness import FetchStoppedError
from reconciler.oneroster.sources.interface import FetchRequest, SourceBundle
from reconciler.operations.fetch.fetching import open_fetch_pool
from reconciler.operations.sync import run as syncing
from tests.support.customers.project import Project
from tests.support.operations.synced_customers import DAILY
from tests.support.sources.in_memory import GivenSource

ASK = FetchRequest(Moment("2026-11-30T06:00:00Z"))


class Slow:
    """A source that answers when it is told to."""

    host = "slow.example"

    def __init__(self) -> None:
        self.began = threading.Event()
        self.answers = threading.Event()

    def fetch(self, ask: FetchRequest) -> SourceBundle:
        self.began.set()
        self.answers.wait(10)
        raise OSError("the end")


def test_a_fetch_that_waits_for_its_turn_is_canceled() -> None:
    first, second = Slow(), Slow()
    with open_fetch_pool(at_once=1) as pool:
        running = pool.start_fetch(CustomerId("one"), first, ASK)  # type: ignore[arg-type]
        waiting = pool.start_fetch(CustomerId("two"), second, ASK)  # type: ignore[arg-type]
        assert first.began.wait(10)
    first.answers.set()
    assert isinstance(running.exception(10), OSError)
    assert waiting.cancelled()
    assert not second.began.wait(0.2)


@pytest.mark.slow
def test_an_interrupted_sync_lets_no_fetch_begin_a_request(
    project: Project, customer: Callable[..., GivenSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    throttles: list[Any] = []
    real = syncing.create_host_throttle

    def remember(workspace: Any) -> Any:
        throttles.append(real(workspace))
        return throttles[-1]

    monkeypatch.setattr(syncing, "create_host_throttle", remember)
    customer(auto=DAILY)

    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(syncing, "wait", interrupted)
    project.run("sync", "--due")
    (hosts,) = throttles
    with pytest.raises(FetchStoppedError):
        hosts.wait_for_turn("sftp.example.org")
