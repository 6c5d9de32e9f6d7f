"""DNS lookups and connections end with the time limit of the fetch, even if they hang."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpcore
import pytest
from paramiko import Transport
from paramiko.ssh_exception import SSHException

from reconciler.model.diagnostic import Refusal
from reconciler.network import lookup
from reconciler.network.http import create_http_client
from reconciler.network.lines import ConnectionGroup
from reconciler.network.lookup import LOOKUP_TIMEOUT, resolve_host
from reconciler.network.reach import CONNECT_TIMEOUT, open_connection, resolve_allowed_addresses
from reconciler.oneroster.sources.sftp import connection
from reconciler.oneroster.sources.sftp.account import SftpAccount
from reconciler.oneroster.sources.sftp.connection import open_transport

NUMBERS = ("93.184.216.34", "93.184.216.35", "93.184.216.36")


class Clock:
    """A clock that the test advances."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make every name resolve to NUMBERS, and return the list of lookups."""
    asked: list[str] = []

    def found(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in NUMBERS]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    return asked


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Make lookups hang; the event is set when one starts."""
    asked, over = threading.Event(), threading.Event()

    def hang(*_: Any, **__: Any) -> list[Any]:
        asked.set()
        over.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield asked
    over.set()


def never(_: str) -> bool:
    return False


def code(raising: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as refused:
        raising()
    (found,) = refused.value.diagnostics
    return found.code


def test_hanging_lookup_is_abandoned_at_its_deadline(hanging: threading.Event) -> None:
    with pytest.raises(Refusal, match="timed out"):
        resolve_host("sis.example", 443, 0.01)
    assert hanging.is_set()


def test_no_time_is_no_look_up(names: list[str]) -> None:
    for seconds in (0.0, -3.0):
        assert code(lambda left=seconds: resolve_allowed_addresses("sis.example", 443, never, left)) == "unknown-host"  # type: ignore[misc]
    assert names == []


@pytest.mark.parametrize(("within", "waited"), [(4.0, 4.0), (3600.0, LOOKUP_TIMEOUT), (None, LOOKUP_TIMEOUT)])
def test_lookup_waits_only_for_the_remaining_time(
    monkeypatch: pytest.MonkeyPatch, within: float | None, waited: float
) -> None:
    seen: list[float] = []

    class Future:
        def result(self, seconds: float) -> tuple[str, ...]:
            seen.append(seconds)
            return NUMBERS

        def set_result(self, _: object) -> None: ...

        def set_exception(self, _: object) -> None: ...

    monkeypatch.setattr(lookup, "Future", Future)
    assert resolve_host("127.0.0.1", 443, *(() if within is None else (within,))) == NUMBERS
    assert seen == [waited]


def slow(clock: Clock, seconds: float, tried: list[float]) -> Callable[..., Any]:
    """Fail every connection after its timeout, at most this many seconds."""

    def connect(_: object, timeout: float) -> Any:
        tried.append(timeout)
        clock.seconds += min(timeout, seconds)
        raise TimeoutError

    return connect


@pytest.mark.parametrize(
    ("within", "timeouts"),
    [
        (100.0, [CONNECT_TIMEOUT] * 3),
        (20.0, [CONNECT_TIMEOUT, 5.0]),
        (2.0, [2.0]),
    ],
)
def test_all_addresses_together_get_what_is_left(
    monkeypatch: pytest.MonkeyPatch, names: list[str], clock: Clock, within: float, timeouts: list[float]
) -> None:
    tried: list[float] = []
    monkeypatch.setattr(socket, "create_connection", slow(clock, CONNECT_TIMEOUT, tried))
    assert code(lambda: open_connection("sis.example", 22, never, within, clock=clock)) == "host-unreachable"
    assert tried == pytest.approx(timeouts)


def test_lookup_time_counts_against_connecting(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    def late(*_: Any, **__: Any) -> list[Any]:
        clock.seconds += 8.0
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (NUMBERS[0], 22))]

    tried: list[float] = []
    monkeypatch.setattr(socket, "getaddrinfo", late)
    monkeypatch.setattr(socket, "create_connection", slow(clock, CONNECT_TIMEOUT, tried))
    assert code(lambda: open_connection("sis.example", 22, never, 10.0, clock=clock)) == "host-unreachable"
    assert tried == pytest.approx([2.0])


def test_lines_say_what_is_left_until_they_are_cut(clock: Clock) -> None:
    lines = ConnectionGroup(clock)
    assert lines.remaining == float("inf")
    lines.cut_after(60.0)
    clock.seconds += 45.0
    assert lines.remaining == 15.0
    clock.seconds += 45.0
    assert lines.remaining == 0.0
    lines.close()
    other = ConnectionGroup(clock)
    other.cut_all()
    assert other.remaining == 0.0


def test_a_request_connects_no_longer_than_its_lines_live(
    monkeypatch: pytest.MonkeyPatch, names: list[str], clock: Clock
) -> None:
    tried: list[float | None] = []

    def connect(self: object, host: str, port: int, timeout: float | None, *_: object) -> Any:
        tried.append(timeout)
        clock.seconds += timeout or 0.0
        raise httpcore.ConnectTimeout

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    lines = ConnectionGroup(clock)
    lines.cut_after(20.0)
    with create_http_client(never, connections=lines) as client:
        assert code(lambda: client.get("https://sis.example/")) == "host-unreachable"
    assert tried == pytest.approx([CONNECT_TIMEOUT, 5.0])


def test_canceled_request_looks_nothing_up(names: list[str], clock: Clock) -> None:
    lines = ConnectionGroup(clock)
    lines.cut_all()
    with create_http_client(never, connections=lines) as client:
        assert code(lambda: client.get("https://sis.example/")) == "unknown-host"
    assert names == []


def test_a_handshake_has_what_connecting_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remaining time is read again once there is a connection."""
    given: list[float] = []
    left = iter([9.0, 0.25])

    def reached(_: str, __: int, ___: object, within: float) -> socket.socket:
        given.append(within)
        return ours

    ours, theirs = socket.socketpair()

    def begun(self: Transport, timeout: float) -> None:
        given.append(timeout)
        raise SSHException

    monkeypatch.setattr(connection, "open_connection", reached)
    monkeypatch.setattr(Transport, "start_client", begun)
    account = SftpAccount(host="sftp.example", port=22, username="u", path="/out", host_key=None)
    with theirs:
        assert code(lambda: open_transport(account, never, ["ssh-ed25519"], lambda: next(left))) == "no-ssh"
    assert given == [9.0, 0.25]
