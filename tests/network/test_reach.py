"""Allowed addresses, and connections only to the address that was checked."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.config.models.settings import Network
from reconciler.model.diagnostic import Refusal
from reconciler.network.reach import open_connection, resolve_allowed_addresses


def nothing(_: str) -> bool:
    return False


def resolving(monkeypatch: pytest.MonkeyPatch, *numbers: str) -> list[str]:
    """Make names resolve to these addresses, and return the list of lookups."""
    asked: list[str] = []

    def lookup(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port)) for number in numbers]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


@pytest.mark.parametrize(
    "number",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.9",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.0.0.1",
        "::ffff:0:10.0.0.1",
        "::127.0.0.1",
        "fec0::1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a00:1::5",
        "2001:0:7f00:1::",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)
def test_a_private_address_is_refused_unless_it_is_named(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    resolving(monkeypatch, number)
    with pytest.raises(Refusal) as refused:
        resolve_allowed_addresses("sis.example", 443, nothing)
    assert [each.code for each in refused.value.diagnostics] == ["private-host"]
    assert resolve_allowed_addresses("sis.example", 443, lambda host: host == number) == (number,)
    assert resolve_allowed_addresses("sis.example", 443, lambda host: host == "sis.example") == (number,)


def test_private_address_in_any_notation_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        resolve_allowed_addresses("10.0.0.1", 443, nothing)
    assert [each.message for each in refused.value.diagnostics] == ["10.0.0.1 is in a private network"]


def test_one_private_address_among_public_ones_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "93.184.216.34", "10.0.0.1")
    with pytest.raises(Refusal):
        resolve_allowed_addresses("sis.example", 443, nothing)


@pytest.mark.parametrize(
    "number",
    [
        "93.184.216.34",
        "2606:2800:220:1:248:1893:25c8:1946",
        "::ffff:93.184.216.34",
        "64:ff9b::5db8:d822",
    ],
)
def test_a_public_address_needs_no_permission(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    resolving(monkeypatch, number)
    assert resolve_allowed_addresses("sis.example", 443, nothing) == (number,)


def test_a_network_that_is_allowed_lets_its_addresses_through(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "10.20.3.4")
    assert resolve_allowed_addresses("sis.example", 443, Network(allow=("10.20.0.0/16",)).is_allowed) == ("10.20.3.4",)


def test_a_name_that_leads_nowhere_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(Refusal) as refused:
        resolve_allowed_addresses("sis.example", 443, nothing)
    assert [each.code for each in refused.value.diagnostics] == ["unknown-host"]


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is looked up only once, so a second answer cannot lead elsewhere."""
    asked = resolving(monkeypatch, "93.184.216.34")
    reached: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda address, timeout: reached.append(address) or object())
    open_connection("sis.example", 22, nothing)
    assert (asked, reached) == (["sis.example"], [("93.184.216.34", 22)])


def test_unresponsive_address_falls_back_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, "93.184.216.34", "93.184.216.35")

    def connect(address: tuple[str, int], timeout: float) -> str:
        if address[0].endswith("34"):
            raise ConnectionRefusedError(111, "Connection refused")
        return address[0]

    monkeypatch.setattr(socket, "create_connection", connect)
    assert open_connection("sis.example", 22, nothing) == "93.184.216.35"


@pytest.mark.parametrize("problem", [ConnectionRefusedError(111, "Connection refused"), TimeoutError()])
def test_a_host_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch, problem: OSError) -> None:
    resolving(monkeypatch, "93.184.216.34")

    def connect(*_: Any) -> Callable[[], None]:
        raise problem

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Refusal) as refused:
        open_connection("sis.example", 22, nothing)
    assert [each.code for each in refused.value.diagnostics] == ["host-unreachable"]
