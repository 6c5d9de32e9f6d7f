"""An HTTP client for third-party servers that connects only to allowed addresses, each checked first.

It never follows a redirect, uses proxies or passwords from the environment (`HTTPS_PROXY`, `.netrc`), or accepts an
invalid certificate. It keeps cookies only if asked to. It returns every response; the caller decides what each status
means.
"""

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
from reconciler.network.cookies import HostCookies
from reconciler.network.lines import ConnectionGroup
from reconciler.network.reach import CONNECT_TIMEOUT, HostFilter, make_unreachable_refusal, resolve_allowed_addresses

#: In seconds. `read` is between two bytes of a response: a server may need long for a page of ten thousand rows.
TIMEOUTS = httpx.Timeout(connect=CONNECT_TIMEOUT, read=120.0, write=30.0, pool=120.0)
#: Open connections per client.
MAX_CONNECTIONS = 16
#: How long an idle connection stays open.
KEEPALIVE_SECONDS = 30.0

_LOCATION = "reconciler.location"
USER_AGENT = f"roster-reconciler/{__version__}"


def create_http_client(
    allows: HostFilter,
    timeouts: httpx.Timeout = TIMEOUTS,
    connections: ConnectionGroup | None = None,
    *,
    keeps_cookies: bool = False,
) -> httpx.Client:
    """Return a client that threads may share; the caller closes it, and `connections` with it.

    keeps_cookies: each host gets the cookies back that it set, as load balancers need; they end with the client.

    Requests raise Refusal if no connection is made: `plain-http` (no https, and the host is not in network.allow),
    `unknown-host`, `private-host`, `host-unreachable`, `tls-failed`. Later failures raise `httpx.TransportError`."""
    return httpx.Client(
        transport=SafeTransport(allows, connections or ConnectionGroup()),
        timeout=timeouts,
        headers={"User-Agent": USER_AGENT},
        # httpx would send the cookies of a host to the hosts below it too.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        event_hooks=HostCookies().hooks if keeps_cookies else {},
        follow_redirects=False,
        trust_env=False,
    )


def get_location(response: httpx.Response) -> str:
    """Return the Location header unchanged, or an empty string if there is none."""
    location = response.extensions.get(_LOCATION, "")
    assert isinstance(location, str)
    return location


class SafeTransport(httpx.HTTPTransport):
    """httpx's own HTTP/1.1 transport over a pool that checks every address before it connects."""

    def __init__(self, allows: HostFilter, connections: ConnectionGroup) -> None:
        # httpx has no public way to pass a pool to a transport. Its constructor is not called because it only creates
        # a pool without checks; if httpx renames the attribute, every request fails.
        self._pool = _SafePool(allows, connections)
        self._allows = allows

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request over an allowed connection. Raises Refusal, `httpx.TransportError`."""
        if request.url.scheme != "https" and not self._allows(request.url.host):
            raise Refusal(
                [
                    build_error(
                        "plain-http",
                        f"the connection to {request.url.host} would not be encrypted; nothing was sent",
                        hint="Use https://, or add the host to network.allow in reconciler.yaml.",
                    )
                ]
            )
        response = super().handle_request(request)
        # httpx parses Location even without following it, and raises if it is malformed.
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
    """Connects only to addresses that `resolve_allowed_addresses` has checked.

    The request keeps the host name for the Host header and the certificate check."""

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
        for address in resolve_allowed_addresses(host, port, self._allows, self._connections.remaining):
            remaining = self._connections.remaining
            if not remaining:
                break
            seconds = min(CONNECT_TIMEOUT if timeout is None else timeout, remaining)
            try:
                stream = self._inner.connect_tcp(address, port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as problem:
                last = problem
            else:
                return _NetworkStream(stream, host, port, self._connections)
        raise _make_unreachable_refusal(host, port, last) from last


class _NetworkStream(httpcore.NetworkStream):
    """A connection to `host` and `port` that its group can cut.

    The duplicate is the socket that `ConnectionGroup.add_connection` returned."""

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
            # A connection that ends during the handshake says nothing about certificates.
            if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
                raise Refusal([make_tls_error(self._host, cause)]) from problem
            raise _make_unreachable_refusal(self._host, self._port, problem) from problem
        return _NetworkStream(encrypted, self._host, self._port, self._connections, self._duplicate)


def _make_unreachable_refusal(host: str, port: int, problem: Exception | None) -> Refusal:
    cause = problem.__cause__ if problem else None
    return make_unreachable_refusal(host, port, cause if isinstance(cause, OSError) else None)
