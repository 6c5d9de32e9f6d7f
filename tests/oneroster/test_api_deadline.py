"""Servers that send something again and again, and never an answer: they hold nobody beyond the timeout of a fetch."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from reconciler.model.diagnostic import Refusal
from reconciler.network.lines import ConnectionGroup
from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.api.client import create_api_client
from tests.support.servers.scripted_http import BASE, account, loopback

TIMEOUT = timedelta(seconds=0.3)
HELD = 8.0


@contextmanager
def dripping(first: bytes, then: bytes) -> Iterator[int]:
    """The port of a server that says this and then that for ever to whoever asks; it hears nothing."""
    over = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def drip(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65536)
                connection.sendall(first)
                while not over.wait(0.02):
                    connection.sendall(then)
            except OSError:
                """It was hung up on."""

    def accept() -> None:
        while not over.is_set():
            try:
                threading.Thread(target=drip, args=(listening.accept()[0],), daemon=True).start()
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        over.set()
        listening.close()


def outcome(url: str, **changes: object) -> str | None:
    """The code of the refusal; None where the asking does not end by itself."""
    codes: list[str] = []

    def ask() -> None:
        with create_api_client(account(url, timeout=TIMEOUT, **changes), HostThrottle(), loopback) as client:
            try:
                client.get("/users", {})
            except Refusal as refusal:
                codes.append(refusal.diagnostics[0].code)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(HELD)
    return codes[0] if codes else None


ENDLESS = {
    "header": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"a"),
    "103": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    "chunk extension": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"a"),
    "body without length": (b'HTTP/1.1 200 OK\r\n\r\n{"users": [', b" "),
    "body of an error": (b"HTTP/1.1 500 Oh\r\nContent-Length: 60000\r\n\r\n", b" "),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_endless_answer_is_cut_off_at_the_timeout(kind: str) -> None:
    with dripping(*ENDLESS[kind]) as port:
        assert outcome(f"http://127.0.0.1:{port}{BASE}") == "fetch-too-long"


def test_a_handshake_without_end_is_cut_off_too() -> None:
    with dripping(b"\x16\x03\x03\x40\x00", b"a") as port:
        assert outcome(f"https://127.0.0.1:{port}{BASE}") == "fetch-too-long"


@pytest.mark.parametrize(
    "kind",
    [(b"HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n{", b" "), ENDLESS["103"], ENDLESS["body without length"]],
)
def test_a_token_without_end_is_cut_off_too(kind: tuple[bytes, bytes]) -> None:
    with dripping(*kind) as port:
        token_url = f"http://127.0.0.1:{port}/token"
        found = outcome(f"http://127.0.0.1:1{BASE}", authorization="oauth2", token_url=token_url)
    assert found == "fetch-too-long"


def test_connection_added_after_cancellation_is_cut_at_once() -> None:
    ours, theirs = socket.socketpair()
    lines = ConnectionGroup()
    with ours, theirs:
        lines.cut_all()
        held = lines.add_connection(ours)
        assert theirs.recv(1) == b""
        lines.remove_connection(held)
        lines.remove_connection(held)
        lines.close()


def test_lines_that_were_closed_are_cut_no_more() -> None:
    ours, theirs = socket.socketpair()
    lines = ConnectionGroup()
    with ours, theirs:
        lines.add_connection(ours)
        lines.close()
        lines.cut_all()
        ours.sendall(b"x")
        assert theirs.recv(1) == b"x"
