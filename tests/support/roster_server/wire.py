"""Sends the answers of the roster server whole, cut, swollen, slowly or not at all."""

from __future__ import annotations

import gzip
import socket
import ssl
import sys
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.support.roster_server.switches import (
    Answer,
    Body,
    CutBody,
    CutGzip,
    Dropped,
    GzipBomb,
    HugeBody,
    LoginPage,
    NoContent,
    Redirect,
    Slow,
    Switches,
    Withheld,
)

if TYPE_CHECKING:
    from tests.support.roster_server.server import RosterServer

BLANKS = 16 * 1024**2
LOGIN = b"<!doctype html><title>Sign in</title><form action=/login><input name=user><input name=password></form>"


@dataclass(frozen=True)
class Reply:
    """An answer, and what is to go wrong with it on its way."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fault: Answer | None = None


def sent_as(reply: Reply, switches: Switches, accepts_gzip: bool, target: str) -> Reply:
    """The answer with the fault put in as far as it is one of the answer itself."""
    fault = reply.fault
    if isinstance(fault, LoginPage):
        return Reply(200, {"Content-Type": fault.type}, LOGIN)
    if isinstance(fault, Body):
        return Reply(200, {"Content-Type": fault.type}, fault.content)
    if isinstance(fault, NoContent):
        return Reply(204)
    if isinstance(fault, Redirect):
        return Reply(fault.code, {"Location": fault.to.replace("{path}", target)})
    if isinstance(fault, CutGzip):
        packed = gzip.compress(reply.body)
        return Reply(200, {**reply.headers, "Content-Encoding": "gzip"}, packed[: len(packed) // 2])
    if switches.gzip and accepts_gzip and fault is None:
        return Reply(reply.status, {**reply.headers, "Content-Encoding": "gzip"}, gzip.compress(reply.body, 1))
    return reply


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Http

    def _answer(self) -> None:
        served = self.server.served
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers.items())
        reply = served.reply(self.command, self.path, headers, body)
        accepts = "gzip" in self.headers.get("Accept-Encoding", "")
        self._send(sent_as(reply, served.switches, accepts, self.path))

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

    def _send(self, reply: Reply) -> None:
        served, fault = self.server.served, reply.fault
        if isinstance(fault, Dropped):
            self.close_connection = True
            return
        if isinstance(fault, Withheld):
            served.withheld()
        if isinstance(fault, Slow) and not fault.drip:
            served.closing.wait(fault.seconds)
        if served.closing.is_set():
            self.close_connection = True
            return
        if isinstance(fault, GzipBomb | HugeBody):
            self._swell(fault)
            return
        length = len(reply.body) * 2 if isinstance(fault, CutBody) else len(reply.body)
        head = {**reply.headers, **({} if reply.status == 204 else {"Content-Length": str(length)})}
        self.send_response(reply.status)
        for name, value in head.items():
            self.send_header(name, value)
        self.end_headers()
        if isinstance(fault, Slow) and fault.drip:
            self._drip(reply.body)
        else:
            self.wfile.write(reply.body)
        if isinstance(fault, CutBody):
            self.close_connection = True

    def _drip(self, body: bytes) -> None:
        for number in range(len(body)):
            if self.server.served.closing.wait(0.1):
                return
            self.wfile.write(body[number : number + 1])

    def _swell(self, fault: GzipBomb | HugeBody) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if isinstance(fault, GzipBomb):
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Connection", "close")
        self.end_headers()
        for part in _bomb(fault.size) if isinstance(fault, GzipBomb) else _blanks(fault.size):
            if self.server.served.closing.is_set():
                return
            self.wfile.write(part)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Of the header Date: by the server's own clock."""
        return super().date_time_string(self.server.served.clock() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are kept, not printed."""


class Http(ThreadingHTTPServer):
    """One thread for each connection; all of them end with the server."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, served: RosterServer, tls: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.served = served
        self._tls = tls
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self._tls is not None:
            # The handshake belongs to the connection's own thread.
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def end(self) -> None:
        """Ends what is still connected."""
        with self._lock:
            left = list(self._open)
        for connection in left:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client may leave, or not believe a certificate; all else is an error of the server."""
        problem = sys.exc_info()[1]
        if problem is not None and not isinstance(problem, OSError):
            self.served.problems.append(problem)


def _blanks(size: int) -> Iterator[bytes]:
    yield b'{"users": ['
    part = b" " * min(BLANKS, size)
    for _ in range(max(size // len(part), 1)):
        yield part


def _bomb(size: int) -> Iterator[bytes]:
    """A gzip stream whose parts are made once: after a full flush each stands for itself. Its checksum is not right,
    but nobody should get there."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield packer.compress(b'{"users": [') + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(b" " * BLANKS) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(max(size // BLANKS, 1)):
        yield part
