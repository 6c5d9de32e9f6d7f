"""An HTTP client for other people's servers: it reaches only what may be reached, at the address that was checked.

What it never does: follow a redirect, obey proxies or passwords of the environment (`HTTPS_PROXY`, `.netrc`), remember
cookies, go on with a certificate that is not in order. What asks with it decides what to do about an answer.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

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


class SafeTransport(httpx.HTTPTransport):
    """httpx's own transport for HTTP/1.1, over a pool that checks every address before it connects."""

    def __init__(self, allows: HostFilter, connections: ConnectionGroup) -> None:
        # httpx has no public way to give a transport its pool. Its own constructor is not called, as all that it makes
        # is a pool that checks nothing: should httpx rename the attribute, no request can be sent at all.
        self._pool = _SafePool(allows, connections)
        self._allows = allows

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over an allowed connection. Raises Refusal, `httpx.TransportError`."""
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
        response = super().handle_request(request)
        # httpx reads it even where it does not go there, and fails at one that it cannot read.
        response.extensions[_LOCATION] = response.headers.pop("location", "")
        return response


class _SafePool(httpcore.ConnectionPool):
    def __init__(self, allows: HostFilter, connections: ConnectionGroup) -> None:
        super().__init__(
            ssl_context=get_ssl_context(),
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_SECONDS,
            network_backend=_SafeBackend(allows, connections),
        )
        self._group = connections

    def close(self) -> None:
        super().close()
        self._group.close()


class _SafeBackend(httpcore.NetworkBackend):
    """Connects to an address that `reach.addresses` has checked, and to no other. The name stays with the request: for
    the Host header, and for the certificate."""

    def __init__(self, allows: HostFilter, connections: ConnectionGroup) -> None:
        self._allows = allows
        self._connections = connections
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
        for number in resolve_allowed_addresses(host, port, self._allows, self._connections.remaining):
            left = self._connections.remaining
            if not left:
                break
            within = min(CONNECT_TIMEOUT if timeout is None else timeout, left)
            try:
                stream = self._inner.connect_tcp(number, port, within, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
                last = problem
            else:
                return _NetworkStream(stream, host, port, self._connections)
        raise _make_unreachable_refusal(host, port, last) from last


class _NetworkStream(httpcore.NetworkStream):
    """A connection that its group can cut. host, port: what it was opened for. duplicate: of `add_connection`."""

    def __init__(
        self,
        inner: httpcore.NetworkStream,
        host: str,
        port: int,
        connections: ConnectionGroup,
        duplicate: socket.socket | None = None,
    ) -> None:
        self._inner = inner
        self._host = host
        self._port = port
        self._connections = connections
        self._duplicate = duplicate or connections.add_connection(inner.get_extra_info("socket"))

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, timeout)

    def close(self) -> None:
        self._connections.remove_connection(self._duplicate)
        self._inner.close()

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            encrypted = self._inner.start_tls(ssl_context, server_hostname, timeout)
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
            self._connections.remove_connection(self._duplicate)
            cause = problem.__cause__
            # A connection that ends within the handshake says nothing of certificates.
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
                raise Refusal([make_tls_error(self._host, cause)]) from problem
            raise _make_unreachable_refusal(self._host, self._port, problem) from problem
        return _NetworkStream(encrypted, self._host, self._port, self._connections, self._duplicate)


def _make_unreachable_refusal(host: str, port: int, problem: Exception | None) -> Refusal:
    cause = problem.__cause__ if problem else None
    return make_unreachable_refusal(host, port, cause if isinstance(cause, OSError) else None)
