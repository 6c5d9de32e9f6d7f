"""An HTTP client for other people's servers: it reaches only what may be reached, at the address that was checked.

What it never does: follow a redirect, obey proxies or passwords of the environment (`HTTPS_PROXY`, `.netrc`), remember
cookies, go on with a certificate that is not in order. What asks with it decides what to do about an answer.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Any, Self

import httpcore
import httpx

from reconciler import __version__
from reconciler.model.diagnostic import Refusal, build_error
from reconciler.network.certificates import get_ssl_context, make_tls_error
from reconciler.network.lines import ConnectionGroup
from reconciler.network.reach import CONNECT_TIMEOUT, HostFilter, make_unreachable_refusal, resolve_allowed_addresses

#: Seconds. read: between two bytes of an answer; a page of ten thousand rows may take a server its time.
TIMEOUTS = httpx.Timeout(connect=CONNECT_TIMEOUT, read=120.0, write=30.0, pool=120.0)
#: Connections at once, and seconds that an idle one is kept.
MAX_CONNECTIONS = 16
KEEPALIVE_SECONDS = 30.0

_LOCATION = "reconciler.location"
USER_AGENT = f"roster-reconciler/{__version__}"


def create_http_client(
    allows: HostFilter, timeouts: httpx.Timeout = TIMEOUTS, connections: ConnectionGroup | None = None
) -> httpx.Client:
    """A client that several threads may share; close it in the end. lines: get its connections, and are closed with it.

    Its requests raise Refusal where no connection comes about: `plain-http` where https is missing and the host is not
    allowed without, `unknown-host`, `private-host`, `host-unreachable`, `tls-failed`. What goes wrong later is an
    `httpx.TransportError` as ever, and any status is an answer."""
    return httpx.Client(
        transport=SafeTransport(allows, connections or ConnectionGroup()),
        timeout=timeouts,
        headers={"User-Agent": USER_AGENT},
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        trust_env=False,
    )


def get_location(response: httpx.Response) -> str:
    """The header Location, as it came; empty where there is none."""
    found = response.extensions.get(_LOCATION, "")
    assert isinstance(found, str)
    return found


class SafeTransport(httpx.BaseTransport):
    """HTTP/1.1 with connections that are kept, over a backend that checks every address before it connects."""

    def __init__(self, allows: HostFilter, connections: ConnectionGroup) -> None:
        self._allows = allows
        self._lines = connections
        self._pool = httpcore.ConnectionPool(
            ssl_context=get_ssl_context(),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_SECONDS,
            http1=True,
            http2=False,
            network_backend=_SafeBackend(allows, connections),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme != "https" and not self._allows(request.url.host):
            raise Refusal(
                [
                    build_error(
                        "plain-http",
                        f"{request.url.host} would be asked without encryption; nothing was sent",
                        hint="write https://, or name the host under network: allow: in reconciler.yaml",
                    )
                ]
            )
        assert isinstance(request.stream, httpx.SyncByteStream)
        with _translate_httpcore_errors():
            answer = self._pool.handle_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        assert isinstance(answer.stream, Iterable)
        response = httpx.Response(
            status_code=answer.status,
            headers=answer.headers,
            stream=_ResponseBody(answer.stream),
            extensions=answer.extensions,
        )
        # httpx reads it even where it does not go there, and fails at one that it cannot read.
        response.extensions[_LOCATION] = response.headers.pop("location", "")
        return response

    def close(self) -> None:
        self._pool.close()
        self._lines.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.close()


class _ResponseBody(httpx.SyncByteStream):
    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        with _translate_httpcore_errors():
            yield from self._parts

    def close(self) -> None:
        if hasattr(self._parts, "close"):
            self._parts.close()


class _SafeBackend(httpcore.NetworkBackend):
    """Connects to an address that `reach.addresses` has checked, and to no other. The name stays with the request: for
    the Host header, and for the certificate."""

    def __init__(self, allows: HostFilter, connections: ConnectionGroup) -> None:
        self._allows = allows
        self._lines = connections
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        last: Exception | None = None
        for number in resolve_allowed_addresses(host, port, self._allows, self._lines.remaining):
            left = self._lines.remaining
            if not left:
                break
            within = min(CONNECT_TIMEOUT if timeout is None else timeout, left)
            try:
                stream = self._inner.connect_tcp(number, port, within, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
                last = problem
            else:
                return _PlainStream(stream, host, port, self._lines)
        raise _make_unreachable_refusal(host, port, last) from last

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None
    ) -> httpcore.NetworkStream:
        raise NotImplementedError("other people's servers are not reached by a socket file")


class _NetworkStream(httpcore.NetworkStream):
    """A connection that can be cut. held: of `Lines.add`."""

    def __init__(self, inner: httpcore.NetworkStream, connections: ConnectionGroup, duplicate: socket.socket) -> None:
        self._inner = inner
        self._lines = connections
        self._held = duplicate

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._lines.remove_connection(self._held)
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _PlainStream(_NetworkStream):
    """A connection that has not been encrypted yet: it knows whose certificate it waits for."""

    def __init__(self, inner: httpcore.NetworkStream, host: str, port: int, connections: ConnectionGroup) -> None:
        super().__init__(inner, connections, connections.add_connection(inner.get_extra_info("socket")))
        self._host = host
        self._port = port

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            return _NetworkStream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._lines, self._held)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
            self._lines.remove_connection(self._held)
            cause = problem.__cause__
            # A connection that ends within the handshake says nothing of certificates.
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
                raise Refusal([make_tls_error(self._host, cause)]) from problem
            raise _make_unreachable_refusal(self._host, self._port, problem) from problem


def _make_unreachable_refusal(host: str, port: int, problem: Exception | None) -> Refusal:
    cause = problem.__cause__ if problem else None
    return make_unreachable_refusal(host, port, cause if isinstance(cause, OSError) else None)


#: The two libraries call the same thing by the same name.
_HTTPX_ERRORS: dict[type[Exception], type[httpx.TransportError]] = {
    httpcore.ConnectTimeout: httpx.ConnectTimeout,
    httpcore.ReadTimeout: httpx.ReadTimeout,
    httpcore.WriteTimeout: httpx.WriteTimeout,
    httpcore.PoolTimeout: httpx.PoolTimeout,
    httpcore.ConnectError: httpx.ConnectError,
    httpcore.ReadError: httpx.ReadError,
    httpcore.WriteError: httpx.WriteError,
    httpcore.ProxyError: httpx.ProxyError,
    httpcore.UnsupportedProtocol: httpx.UnsupportedProtocol,
    httpcore.LocalProtocolError: httpx.LocalProtocolError,
    httpcore.RemoteProtocolError: httpx.RemoteProtocolError,
}


@contextmanager
def _translate_httpcore_errors() -> Iterator[None]:
    try:
        yield
    except tuple(_HTTPX_ERRORS) as problem:
        raise _HTTPX_ERRORS[type(problem)](str(problem)) from problem
