"""Which addresses a host may be reached at: none of a private network unless reconciler.yaml allows it.

A name is looked up once and the connection goes to the very address that was checked, so that a name cannot lead
elsewhere the second time.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable

from reconciler.model.diagnostic import Diagnostic, Refusal, error

#: Whether reconciler.yaml names this host or address under `network: allow:` (`config.models.settings.Network.allows`).
Allows = Callable[[str], bool]

#: Seconds for one attempt to connect.
CONNECT_TIMEOUT = 15.0


def addresses(host: str, port: int, allows: Allows) -> tuple[str, ...]:
    """Every address of a host, as numbers, in the system's order.

    Raises Refusal: `unknown-host` where the name leads nowhere, `private-host` where any of its addresses is of a
    private network and neither the name nor that address is allowed.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as problem:
        raise Refusal(
            [error("unknown-host", f"the host {host} cannot be found", hint="correct its name, or try again later")]
        ) from problem
    numbers = tuple(dict.fromkeys(str(each[4][0]) for each in found))
    if not allows(host):
        private = [number for number in numbers if not _is_public(number) and not allows(number)]
        if private:
            raise Refusal([_private(host, private)])
    return numbers


def connected(host: str, port: int, allows: Allows, timeout: float = CONNECT_TIMEOUT) -> socket.socket:
    """A connection to the first address that answers. timeout: seconds for each.

    Raises Refusal as `addresses`, and `host-unreachable` where none answers."""
    last: OSError | None = None
    for number in addresses(host, port, allows):
        try:
            return socket.create_connection((number, port), timeout)
        except OSError as problem:
            last = problem
    raise unreachable(host, port, last) from last


def unreachable(host: str, port: int, problem: OSError | None) -> Refusal:
    """`host-unreachable`, with the system's reason if there is one."""
    why = (problem.strerror if problem else None) or "no answer in time"
    return Refusal(
        [
            error(
                "host-unreachable",
                f"no connection to {host} port {port}: {why}",
                hint="check host and port, and that the server lets this machine in; the next fetch tries again",
            )
        ]
    )


def _is_public(number: str) -> bool:
    address = ipaddress.ip_address(number.partition("%")[0])
    inner = getattr(address, "ipv4_mapped", None) or address
    return bool(inner.is_global and not inner.is_multicast)


def _private(host: str, found: Iterable[str]) -> Diagnostic:
    return error(
        "private-host",
        f"{host} leads to {', '.join(found)}, an address of a private network",
        hint="name the host or its network under network: allow: in reconciler.yaml if that is meant",
    )
