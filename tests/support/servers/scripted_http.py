"""Runs an HTTP server that answers as a test tells it to."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from pydantic import SecretStr

from reconciler.network.politeness import HostThrottle
from reconciler.oneroster.sources.api.account import ApiAccount

KEY = "consumer-0815"
SECRET = "s3cr3t-Hush/+=%"
BASE = "/ims/oneroster/v1p1"


@dataclass(frozen=True)
class Asked:
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    port: int

    @property
    def path(self) -> str:
        return urlsplit(self.target).path.removeprefix(BASE)

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


@dataclass(frozen=True)
class Reply:
    """raw: written as it is, in place of everything else; the connection ends after it."""

    status: int = 200
    body: bytes = b'{"users": []}'
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes | None = None


def of_json(document: object, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(body=json.dumps(document).encode(), headers={"Content-Type": "application/json"} | named)


Script = Callable[[Asked], Reply]


def in_turn(*replies: Reply) -> Script:
    """One after the other; the last one for ever."""
    left = list(replies)
    lock = threading.Lock()

    def next_one(_: Asked) -> Reply:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return next_one


class Serving(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Script, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script
        self.asked: list[Asked] = []
        self.scheme = "http"
        if tls:
            self.scheme = "https"
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def origin(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    @property
    def url(self) -> str:
        return self.origin + BASE

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one piece: written apart, the second waits for the first to be acknowledged.
    wbufsize = -1
    server: Serving

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, body, self.client_address[1])
        self.server.asked.append(asked)
        reply = self.server.script(asked)
        if reply.raw is not None:
            self.wfile.write(reply.raw)
            self.close_connection = True
            return
        self.send_response_only(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(reply.body)

    do_POST = do_GET  # noqa: N815 - http.server finds it by this name

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Serving]:
    server = Serving(script, tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Time:
    """Goes forward when somebody sleeps, and by hand."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.now = start
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds

    def hosts(self, per_second: float | None = None) -> HostThrottle:
        return HostThrottle(requests_per_second=per_second, clock=self, sleep=self.sleep)


def account(url: str, **changes: object) -> ApiAccount:
    values: dict[str, object] = {
        "url": url,
        "version": "1.1",
        "authorization": "oauth1",
        "consumer_key": KEY,
        "secret_key": SecretStr(SECRET),
        "timeout": timedelta(hours=2),
    }
    return ApiAccount(**(values | changes))  # type: ignore[arg-type]


def loopback(host: str) -> bool:
    return host in ("127.0.0.1", "localhost")
