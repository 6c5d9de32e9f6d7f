"""Cuts or stalls connections after a given number of bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

HOST = "127.0.0.1"
CHUNK = 16 * 1024


@dataclass(frozen=True)
class Break:
    """after: bytes from the server that come through. how: the connection is cut, with what is under way; it ends, once
    they have come; or nothing comes any more."""

    after: int
    how: Literal["cut", "end", "stall"] = "cut"


@dataclass
class Proxy:
    """connections: how many were made. carried: bytes from the server, by connection. breaks: of the first connections,
    in order; later ones hold."""

    port: int
    server: int
    breaks: Sequence[Break]
    connections: int = 0
    carried: dict[int, int] = field(default_factory=dict)
    lines: list[socket.socket] = field(default_factory=list)


@contextmanager
def breaking(server: int, *breaks: Break) -> Iterator[Proxy]:
    """server: its port on loopback."""
    listener = socket.create_server((HOST, 0))
    proxy = Proxy(listener.getsockname()[1], server, breaks)
    accepting = threading.Thread(target=_accept, args=(listener, proxy), daemon=True)
    accepting.start()
    try:
        yield proxy
    finally:
        # Closing alone does not wake who waits in accept.
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for line in proxy.lines:
            _end(line)
        accepting.join(5)


def _accept(listener: socket.socket, proxy: Proxy) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        number = proxy.connections
        proxy.connections += 1
        broken = proxy.breaks[number] if number < len(proxy.breaks) else None
        server = socket.create_connection((HOST, proxy.server))
        proxy.lines += [client, server]
        threading.Thread(target=_carry, args=(client, server, None, lambda _: None), daemon=True).start()
        proxy.carried[number] = 0
        count = partial(_count, proxy, number)
        threading.Thread(target=_carry, args=(server, client, broken, count), daemon=True).start()


def _count(proxy: Proxy, number: int, length: int) -> None:
    proxy.carried[number] += length


def _carry(source: socket.socket, sink: socket.socket, broken: Break | None, count: Callable[[int], None]) -> None:
    left = broken.after if broken else None
    with suppress(OSError):
        while left is None or left > 0:
            chunk = source.recv(CHUNK if left is None else min(CHUNK, left))
            if not chunk:
                break
            sink.sendall(chunk)
            count(len(chunk))
            left = None if left is None else left - len(chunk)
        if broken is not None and left == 0 and broken.how == "stall":
            return
        if broken is not None and left == 0 and broken.how == "end":
            sink.shutdown(socket.SHUT_WR)
            return
    for line in (source, sink):
        _end(line)


def _end(line: socket.socket) -> None:
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
