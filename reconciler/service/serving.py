"""Run the web application in worker processes, which a supervisor starts again if one dies."""

import socket
from dataclasses import dataclass, field
from functools import partial

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from reconciler.service.app import build_app
from reconciler.service.site import Site
from reconciler.store.address import Address
from reconciler.store.key import StoreKey
from reconciler.store.service import ConfigurationCache, open_request_database

#: Connections that may wait to be accepted, such as when a whole school signs in at eight
BACKLOG = 2_048
#: Seconds that running requests have to end when the server is stopped
GRACE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve a store, which must exist and be up to date."""

    public_url: str
    address: Address
    key: StoreKey = field(repr=False)
    workers: int = 1
    #: addresses of proxies whose X-Forwarded-* headers are trusted; none by default
    proxies: tuple[str, ...] = ()


def serve(options: ServeOptions, bound: socket.socket) -> None:
    """Serve on a bound socket until SIGTERM or SIGINT.

    Workers are spawned, not forked, so that no worker ever loads a second SQLite library.
    """
    config = uvicorn.Config(
        partial(_build_worker_app, options),
        factory=True,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        backlog=BACKLOG,
        workers=options.workers,
        proxy_headers=bool(options.proxies),
        forwarded_allow_ips=list(options.proxies),
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    Multiprocess(config, sockets=[bound]).run()


def bind(host: str, port: int) -> socket.socket:
    """Return a bound socket, from which every worker accepts connections. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.set_inheritable(True)
    except BaseException:
        bound.close()
        raise
    return bound


def _build_worker_app(options: ServeOptions) -> Starlette:
    database = open_request_database(options.address)
    configurations = ConfigurationCache(database, options.key)
    return build_app(Site(options.public_url.rstrip("/"), database, configurations, options.key))
