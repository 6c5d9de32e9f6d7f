"""Parallel fetches and requests per second of one host, with a fake clock."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from reconciler.network.politeness import FetchStoppedError, HostThrottle


class Time:
    """A clock that only sleep() advances."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_concurrent_fetches_of_one_host_are_limited(at_once: int) -> None:
    hosts = HostThrottle(at_once)
    running, most, lock = 0, 0, threading.Lock()
    full = threading.Barrier(at_once)

    def fetch(number: int) -> None:
        nonlocal running, most
        # capitals make no other host
        with hosts.acquire_slot("SIS.example" if number % 2 else "sis.example"):
            with lock:
                running += 1
                most = max(most, running)
            full.wait(5)
            with lock:
                running -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch, range(at_once * 4)))
    assert most == at_once


def test_another_host_does_not_wait() -> None:
    hosts = HostThrottle(1)
    with hosts.acquire_slot("a.example"), hosts.acquire_slot("b.example"):
        pass


def test_requests_to_one_host_are_spaced_without_delaying_others() -> None:
    time = Time()
    hosts = HostThrottle(2, 4, clock=time, sleep=time.sleep)
    for _ in range(3):
        hosts.wait_for_turn("a.example")
    assert time.slept == [0.25, 0.25]
    hosts.wait_for_turn("b.example")
    assert time.slept == [0.25, 0.25]


def test_without_a_rate_only_a_requested_pause_delays() -> None:
    time = Time()
    hosts = HostThrottle(clock=time, sleep=time.sleep)
    hosts.wait_for_turn("a.example")
    hosts.wait_for_turn("a.example")
    assert time.slept == []
    hosts.defer_requests("a.example", 30)
    hosts.wait_for_turn("b.example")
    assert time.slept == []
    hosts.wait_for_turn("a.example")
    assert time.slept == [30]


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    time = Time()
    hosts = HostThrottle(clock=time, sleep=time.sleep)
    hosts.defer_requests("a.example", 30)
    hosts.defer_requests("a.example", 1)
    hosts.wait_for_turn("a.example")
    assert time.slept == [30]


def test_nothing_begins_after_the_run_was_stopped() -> None:
    hosts = HostThrottle()
    with hosts.acquire_slot("a.example"):
        hosts.wait_for_turn("a.example")
        hosts.stop()
        with pytest.raises(FetchStoppedError):
            hosts.wait_for_turn("a.example")
    with pytest.raises(FetchStoppedError), hosts.acquire_slot("b.example"):
        raise AssertionError("a fetch began")


def test_a_pause_that_outlasts_the_run_ends_in_no_request() -> None:
    hosts = HostThrottle(sleep=lambda _: hosts.stop())
    hosts.defer_requests("a.example", 30)
    with pytest.raises(FetchStoppedError):
        hosts.wait_for_turn("a.example")
